"""Model catalogues: both formats, exact names, near names, prices."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from attractor.backends import ModelCatalog, Price, Usage, cost_usd, load_catalog
from attractor.errors import ConfigError

OPENROUTER = {
    "data": [
        {"id": "openai/gpt-5.4", "context_length": 400_000,
         "pricing": {"prompt": "0.000002", "completion": "0.000008"}},
        {"id": "google/gemini-3-pro-preview", "pricing": {"prompt": "0.000001", "completion": "0.000002",
                                                          "input_cache_read": "0.0000001"}},
        {"id": "google/gemini-3-flash", "pricing": {}},
        {"id": "anthropic/claude-sonnet-4.6", "pricing": {"prompt": "0.000003", "completion": "0.000015"}},
        {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
    ]
}  # fmt: skip
LITELLM: dict[str, Any] = {
    "sample_spec": {"litellm_provider": "one of the providers", "max_tokens": "a number"},
    "gpt-5.4": {"litellm_provider": "openai", "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06,
                "max_input_tokens": 400_000},
    "gemini/gemini-3-pro-preview": {"litellm_provider": "gemini", "input_cost_per_token": 1e-06,
                                    "output_cost_per_token": 2e-06, "cache_read_input_token_cost": 1e-07},
    "vertex_ai/gemini-3-flash": {"litellm_provider": "vertex_ai-language-models"},
    "claude-sonnet-4-6": {"litellm_provider": "anthropic", "input_cost_per_token": 3e-06,
                          "output_cost_per_token": 1.5e-05},
}  # fmt: skip


@pytest.fixture(params=["openrouter", "litellm"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> ModelCatalog:
    path = tmp_path / "models.json"
    path.write_text(json.dumps(OPENROUTER if request.param == "openrouter" else LITELLM), encoding="utf-8")
    loaded = load_catalog(path)
    assert loaded.format == request.param
    return loaded


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-5.4"),
        ("openai", "openai/gpt-5.4"),
        ("codex", "gpt-5.4"),
        ("google", "gemini-3-pro-preview"),
        ("gemini", "gemini/gemini-3-pro-preview"),
        ("google", "google/gemini-3-flash"),
        ("anthropic", "claude-sonnet-4-6"),
        ("anthropic", "claude-sonnet-4.6"),
    ],
)
def test_known_models(catalog: ModelCatalog, provider: str, model: str) -> None:
    assert catalog.has(provider, model)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("google", "gemini-3-pro"),
        ("google", "gemini-3-pro-preview-extra"),
        ("openai", "gpt-5-4"),
        ("openai", "GPT-5.4"),
        ("google", "gpt-5.4"),
        ("openai", "google/gemini-3-flash"),
        ("openai", ""),
        ("", "gpt-5.4"),
    ],
)
def test_unknown_models(catalog: ModelCatalog, provider: str, model: str) -> None:
    assert not catalog.has(provider, model)
    assert catalog.price(provider, model) is None


def test_near_names_begin_with_what_was_meant(catalog: ModelCatalog) -> None:
    assert catalog.nearest("gemini", "gemini-3-pro") == ("gemini-3-pro-preview", "gemini-3-flash")
    assert catalog.nearest("gemini", "gemini-3-pro", limit=1) == ("gemini-3-pro-preview",)
    assert catalog.nearest("openai", "zzz") == ()
    assert catalog.nearest("nobody", "gpt-5.4") == ()


def test_prices(catalog: ModelCatalog) -> None:
    assert catalog.price("openai", "gpt-5.4") == Price(2e-06, 8e-06, 2e-06, 2e-06)
    assert catalog.price("google", "gemini-3-pro-preview") == Price(1e-06, 2e-06, 1e-07, 1e-06)
    assert catalog.price("google", "gemini-3-flash") is None
    assert catalog.context_tokens("openai", "gpt-5.4") == 400_000


def test_a_price_that_varies_is_none(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(OPENROUTER), encoding="utf-8")
    assert load_catalog(path).price("openrouter", "auto") is None


def test_the_cost_of_a_session() -> None:
    usage = Usage(input_tokens=1_000, cached_input_tokens=600, cache_write_input_tokens=100, output_tokens=10)
    assert cost_usd(usage, Price(2.0, 8.0, 0.5, 3.0)) == 300 * 2.0 + 600 * 0.5 + 100 * 3.0 + 10 * 8.0


def test_a_catalogue_knows_its_file(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(OPENROUTER), encoding="utf-8")
    loaded = load_catalog(path)
    assert loaded.source == str(path)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        ('{\n"data": x', ":2:9", "not JSON"),
        ("[]", "", "neither"),
        ('{"data": {}}', "", "neither"),
        ('{"data": []}', "", "no models"),
        ('{"data": [{"id": "a/b"}, {"id": 3}]}', ": data[1]", "expected provider/model"),
        ('{"data": [{"id": "a/b", "pricing": {"prompt": "free"}}]}', ": data[0].pricing.prompt", "not a price"),
        ('{"a": {"litellm_provider": "openai"}, "b": {}}', ": b", "litellm_provider is missing"),
        ("\udcff", "", "not JSON"),
    ],
)
def test_what_is_wrong_with_a_catalogue_is_said_with_its_place(
    tmp_path: Path, content: str, place: str, message: str
) -> None:
    path = tmp_path / "models.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=message) as caught:
        load_catalog(path)
    assert caught.value.place == f"{path}{place}"


def test_a_missing_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file") as caught:
        load_catalog(tmp_path / "none.json")
    assert caught.value.place == str(tmp_path / "none.json")
