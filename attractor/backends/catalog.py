"""A run's model catalogue: which models exist, and what their tokens cost.

Two formats, told apart by their shape: OpenRouter's models.json (`{"data": [{"id": "openai/gpt-5.4", ...}]}`) and
LiteLLM's model_prices_and_context_window.json (`{"gpt-5.4": {"litellm_provider": "openai", ...}}`). A model counts
as known only by its exact name, `gemini-3-pro` is not `gemini-3-pro-preview`; the one liberty is that Anthropic's
version numbers may be written with a dot or a dash, as catalogue and program disagree about it.

There is no built-in catalogue: one would be wrong within weeks, and a stale list that refuses a new model is worse
than none. `load_catalog` is the only thing in this package that reads a file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

from attractor.backends.profiles import canonical_provider
from attractor.backends.stream import Usage
from attractor.errors import ConfigError

# LiteLLM's own provider names, where they are not ours.
_LITELLM_PROVIDERS: Final[Mapping[str, str]] = {
    "text-completion-openai": "openai",
    "gemini": "google",
    "vertex_ai-language-models": "google",
    "vertex_ai": "google",
}

# Keys of the prices in each format: sent, produced, read from the cache, written to it.
_OPENROUTER_PRICES: Final = ("prompt", "completion", "input_cache_read", "input_cache_write")
_LITELLM_PRICES: Final = (
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars a token. The cache prices are the input price where the catalogue names none."""

    input: float
    output: float
    cached_input: float
    cache_write_input: float


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """One model, by the name a graph uses for it."""

    provider: str
    name: str
    price: Price | None
    context_tokens: int | None


@dataclass(frozen=True, slots=True)
class ModelCatalog:
    """The models of one file. `sha256` is the file's."""

    source: str
    format: str
    sha256: str
    models: Mapping[tuple[str, str], CatalogModel] = field(repr=False)

    def has(self, provider: str, model: str) -> bool:
        return _key(provider, model) in self.models

    def price(self, provider: str, model: str) -> Price | None:
        """None where the model, or its price, is not known."""
        found = self.models.get(_key(provider, model))
        return found.price if found else None

    def context_tokens(self, provider: str, model: str) -> int | None:
        found = self.models.get(_key(provider, model))
        return found.context_tokens if found else None

    def nearest(self, provider: str, model: str, limit: int = 3) -> tuple[str, ...]:
        """The provider's models most like this one; names that begin with it come first."""
        wanted_provider, wanted = _key(provider, model)
        names = {m.name: key for (owner, key), m in self.models.items() if owner == wanted_provider}
        if not wanted:
            return ()

        def rank(name: str) -> tuple[bool, float, str]:
            key = names[name]
            return not key.startswith(wanted), -SequenceMatcher(None, wanted, key).ratio(), name

        close = (n for n in names if names[n].startswith(wanted) or -rank(n)[1] >= 0.5)
        return tuple(sorted(close, key=rank)[:limit])


def cost_usd(usage: Usage, price: Price) -> float:
    """What the tokens cost. Cached and cache-written tokens are part of `input_tokens`, each at its own price."""
    plain = max(0, usage.input_tokens - usage.cached_input_tokens - usage.cache_write_input_tokens)
    return (
        plain * price.input
        + usage.cached_input_tokens * price.cached_input
        + usage.cache_write_input_tokens * price.cache_write_input
        + usage.output_tokens * price.output
    )


def load_catalog(path: Path) -> ModelCatalog:
    """Read a catalogue; ConfigError, with the place, for a file that is missing or neither format."""
    try:
        content = path.read_bytes()
        data = json.loads(content)
    except OSError as error:
        raise ConfigError(f"the model catalogue cannot be read: {error.strerror}", place=str(path)) from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"not JSON: {error.msg}", place=f"{path}:{error.lineno}:{error.colno}") from error
    except (ValueError, RecursionError) as error:  # also a number of too many digits
        raise ConfigError(f"not JSON: {error}", place=str(path)) from error
    form, models = _models(data, path)
    found: dict[tuple[str, str], CatalogModel] = {}
    for model in models:
        found.setdefault(_key(model.provider, model.name), model)
    if not found:
        raise ConfigError("the model catalogue holds no models", place=str(path))
    return ModelCatalog(str(path), form, hashlib.sha256(content).hexdigest(), found)


def _models(data: Any, path: Path) -> tuple[str, Iterator[CatalogModel]]:
    if isinstance(data, dict) and isinstance(data.get("data"), list):
        return "openrouter", _openrouter(data["data"], path)
    if isinstance(data, dict) and any(isinstance(v, dict) and "litellm_provider" in v for v in data.values()):
        return "litellm", _litellm(data, path)
    raise ConfigError(
        "neither a model catalogue of OpenRouter nor one of LiteLLM",
        place=str(path),
        hint='expected {"data": [{"id": "provider/model", ...}]} or {"model": {"litellm_provider": ...}}',
    )


def _openrouter(entries: list[Any], path: Path) -> Iterator[CatalogModel]:
    for number, entry in enumerate(entries):
        place = f"{path}: data[{number}]"
        model_id = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(model_id, str) or "/" not in model_id:
            raise ConfigError(f"id is {model_id!r}, expected provider/model", place=place)
        provider, _, name = model_id.partition("/")
        pricing = entry.get("pricing") or {}
        if not isinstance(pricing, dict):
            raise ConfigError("pricing is not an object", place=place)
        price = _price([_number(pricing.get(key), f"{place}.pricing.{key}") for key in _OPENROUTER_PRICES])
        yield CatalogModel(_provider(provider), name, price, _whole(entry.get("context_length")))


def _litellm(entries: Mapping[str, Any], path: Path) -> Iterator[CatalogModel]:
    for name, entry in entries.items():
        if name == "sample_spec":
            continue
        place = f"{path}: {name}"
        provider = entry.get("litellm_provider") if isinstance(entry, dict) else None
        if not isinstance(provider, str):
            raise ConfigError("litellm_provider is missing", place=place)
        price = _price([_number(entry.get(key), f"{place}.{key}") for key in _LITELLM_PRICES])
        owner = _LITELLM_PROVIDERS.get(provider) or _provider(provider)
        yield CatalogModel(owner, _bare(owner, name), price, _whole(entry.get("max_input_tokens")))


def _price(figures: list[float | None]) -> Price | None:
    """A price needs both directions; a negative figure means "varies" (OpenRouter's own routers)."""
    sent, produced, read, written = figures
    if sent is None or produced is None or sent < 0 or produced < 0:
        return None
    return Price(sent, produced, sent if read is None else read, sent if written is None else written)


def _number(value: Any, place: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or number != number or abs(number) > 1e6:
        raise ConfigError(f"{value!r} is not a price", place=place)
    return number


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _provider(name: str) -> str:
    return canonical_provider(name) or name.strip().lower()


def _bare(provider: str, model: str) -> str:
    """The model's name without a provider in front of it."""
    prefix, slash, rest = model.partition("/")
    return rest if slash and _provider(prefix) == provider else model


def _key(provider: str, model: str) -> tuple[str, str]:
    owner = _provider(provider)
    name = _bare(owner, model.strip())
    return owner, re.sub(r"(?<=\d)\.(?=\d)", "-", name) if owner == "anthropic" else name
