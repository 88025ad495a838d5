"""How programs are started: names, arguments, environment."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from attractor.backends import PROFILES, AgentRequest, canonical_provider, known_providers

REQUEST = AgentRequest("do it", "m-1", Path("/run/tree"), Path("/run/stage"), "prog")
PROVIDERS = sorted(PROFILES)


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("openai", "openai"),
        ("codex", "openai"),
        ("Anthropic", "anthropic"),
        ("claude-code", "anthropic"),
        ("gemini", "google"),
        ("google_ai_studio", "google"),
        ("google-ai-studio", "google"),
        ("mistral", None),
        ("", None),
    ],
)
def test_provider_names(name: str, provider: str | None) -> None:
    assert canonical_provider(name) == provider


def test_the_known_providers() -> None:
    assert known_providers() == ("anthropic", "google", "openai")


def test_codexs_command_line() -> None:
    request = replace(REQUEST, reasoning_effort="high", writable=(Path("/extra"),), base_url='http://h"x')
    assert PROFILES["openai"].argv(request) == (
        "prog", "exec", "--json", "--color", "never", "--sandbox", "workspace-write", "--skip-git-repo-check",
        "--cd", "/run/tree", "--add-dir", "/run/stage", "--add-dir", "/extra", "-c", 'approval_policy="never"',
        "-c", "check_for_update_on_startup=false", "-c", "analytics.enabled=false",
        "-c", 'model_reasoning_effort="high"', "-c", 'model_provider="attractor"',
        "-c", 'model_providers.attractor.name="attractor"', "-c", 'model_providers.attractor.base_url="http://h\\"x"',
        "-c", 'model_providers.attractor.wire_api="responses"',
        "-c", "model_providers.attractor.requires_openai_auth=true",
        "-c", "model_providers.attractor.supports_websockets=false", "-m", "m-1", "do it",
    )  # fmt: skip


def test_claudes_command_line() -> None:
    request = replace(REQUEST, model="claude-sonnet-4.6", reasoning_effort="low")
    assert PROFILES["anthropic"].argv(request) == (
        "prog", "-p", "--add-dir", "/run/stage", "--output-format", "stream-json", "--verbose",
        "--permission-mode", "bypassPermissions", "--effort", "low", "--model", "claude-sonnet-4-6", "do it",
    )  # fmt: skip


def test_geminis_command_line() -> None:
    assert PROFILES["google"].argv(REQUEST) == (
        "prog", "--output-format", "stream-json", "--yolo", "--skip-trust", "--include-directories", "/run/stage",
        "-m", "m-1", "-p", "do it",
    )  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("prompt", ["x" * 100_001, "é" * 60_000, "--help me"])
def test_prompts_that_are_no_good_as_arguments_go_by_stdin(provider: str, prompt: str) -> None:
    profile, request = PROFILES[provider], replace(REQUEST, prompt=prompt)
    assert profile.prompt_on_stdin(request)
    assert prompt not in profile.argv(request)
    assert profile.stdin_text(request) == prompt


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_short_prompt_is_an_argument_and_stdin_stays_empty(provider: str) -> None:
    assert PROFILES[provider].argv(REQUEST)[-1] == "do it"
    assert PROFILES[provider].stdin_text(REQUEST) == ""


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_prompt_is_never_one_of_the_programs_own_commands(provider: str) -> None:
    assert PROFILES[provider].argv(replace(REQUEST, prompt="/clear"))[-1] == " /clear"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_state_lies_in_the_state_root_and_nowhere_else(provider: str) -> None:
    profile = PROFILES[provider]
    inherited = {"HOME": "/home/u", **dict.fromkeys(profile.state_variables, "/elsewhere")}
    environment = profile.child_environment(inherited, Path("/run/state"))
    assert profile.state_variables
    for name in profile.state_variables:
        assert Path(environment[name]).is_relative_to("/run/state")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_only_named_variables_are_passed_on(provider: str) -> None:
    profile = PROFILES[provider]
    removed = dict.fromkeys(profile.removed_variables, "1")
    key = profile.credential_variables[0]
    environment = profile.child_environment({"PATH": "/bin", "SECRET": "s", key: "k", **removed}, Path("/run/state"))
    assert (environment["PATH"], environment[key], environment["NO_COLOR"]) == ("/bin", "k", "1")
    assert "SECRET" not in environment
    assert "CI" not in environment
    assert not set(removed) & set(environment)


def test_codex_gets_the_key_where_it_looks_for_it() -> None:
    environment = PROFILES["openai"].child_environment({"OPENAI_API_KEY": "k"}, Path("/s"))
    assert environment["CODEX_API_KEY"] == "k"
    environment = PROFILES["openai"].child_environment({"OPENAI_API_KEY": "k", "CODEX_API_KEY": "own"}, Path("/s"))
    assert environment["CODEX_API_KEY"] == "own"


@pytest.mark.parametrize("provider", ["anthropic", "google"])
def test_a_base_url_is_a_variable(provider: str) -> None:
    profile = PROFILES[provider]
    environment = profile.child_environment({}, Path("/s"), base_url="http://127.0.0.1:1")
    assert environment[profile.base_url_variable] == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({"GEMINI_API_KEY": "k"}, "gemini-api-key"),
        ({"GEMINI_API_KEY": "k", "GOOGLE_GENAI_USE_VERTEXAI": "true"}, None),
        ({}, None),
    ],
)
def test_geminis_settings_say_how_to_sign_in(environment: dict[str, str], way: str | None) -> None:
    settings = json.loads(PROFILES["google"].state_files(environment)[".gemini/settings.json"])
    assert settings["privacy"] == {"usageStatisticsEnabled": False}
    assert settings.get("security", {}).get("auth", {}).get("selectedType") == way
    assert "k" not in settings.get("security", {}).get("auth", {}).values()


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_the_others_need_no_files(provider: str) -> None:
    assert PROFILES[provider].state_files({}) == {}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_seedable_files_lie_inside_the_home(provider: str) -> None:
    profile = PROFILES[provider]
    for file in (*profile.credential_files, *profile.settings_files):
        assert not Path(file).is_absolute()
        assert ".." not in Path(file).parts
