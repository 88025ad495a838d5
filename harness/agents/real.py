"""The real agent programs: where they are, and a home in which they talk to a scripted provider and to nobody else.

Rules: no credentials but a dummy key; telemetry, update checks and everything that would call home is
off, and what still tries meets a proxy that does not exist; retries are few, because a case is short.
The home is the case's own: nothing of the user's is read, and all the programs write goes there.
"""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

from harness.agents import PROGRAMS
from harness.agents.install import AGENTS_DIR, PACKAGES, installed

__all__ = ["DUMMY_KEY", "agents_problem", "command_line", "furnish_home", "program_of"]

DUMMY_KEY = "dummy-key-for-a-scripted-provider"
_PACKAGE_OF = {"openai": "@openai/codex", "google": "@google/gemini-cli"}
SETTINGS = "gemini-settings.json"
_NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once


def agents_problem(provider: str, directory: Path = AGENTS_DIR) -> str:
    """Why the real agent of that provider cannot be run here; empty when it can."""
    package = _PACKAGE_OF.get(provider)
    if package is None:
        return f"there is no real agent for {provider}: {PROGRAMS.get(provider, provider)} is not open source"
    if installed(directory).get(package) != PACKAGES[package]:
        return f"needs {package} {PACKAGES[package]}: run `make agents`"
    return "needs node on PATH" if shutil.which("node") is None else ""


def program_of(provider: str, directory: Path = AGENTS_DIR) -> Path:
    return directory / "node_modules" / ".bin" / PROGRAMS[provider]


def furnish_home(home: Path, base_url: str, *, retries: bool = True) -> dict[str, str]:
    """Makes what the programs need below `home`; the environment they need beside HOME.

    `retries` off: they give up at the first failure, where they can be told to.
    """
    settings, temporary = home / SETTINGS, home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    patience = {} if retries else {"maxAttempts": 1}
    told = _GEMINI_SETTINGS | {"general": _GEMINI_SETTINGS["general"] | patience}
    settings.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    here = "127.0.0.1,localhost"
    proxies = {"HTTP_PROXY": _NOWHERE, "HTTPS_PROXY": _NOWHERE, "NO_PROXY": here}
    return {
        "OPENAI_API_KEY": DUMMY_KEY,
        "GEMINI_API_KEY": DUMMY_KEY,
        "GOOGLE_GEMINI_BASE_URL": base_url,
        "TMPDIR": str(temporary),  # gemini leaves reports of its errors there
        **proxies,
        **{name.lower(): value for name, value in proxies.items()},
    }


def command_line(provider: str, home: Path, base_url: str, helper: str, *, retries: bool = True) -> str:
    """Shell text that becomes the program, with its arguments `"$@"` behind our own; `helper` starts the fakes' main.

    codex takes its settings as arguments. gemini wants a file in whatever home it is given, without which a
    base URL makes it ask for another way to sign in; what an engine has put there stays.
    """
    program = shlex.quote(str(program_of(provider)))
    if provider == "openai":
        return f'exec {program} {shlex.join(_codex_settings(base_url, retries))} "$@"\n'
    place = '"${GEMINI_CLI_HOME:-$HOME}/.gemini/settings.json"'
    return f'{helper} --settings {place} {shlex.quote(str(home / SETTINGS))} || exit 70\nexec {program} "$@"\n'


def _codex_settings(base_url: str, retries: bool) -> list[str]:
    settings = {
        "model_provider": "scripted",
        "model_providers.scripted.name": "scripted",
        "model_providers.scripted.base_url": f"{base_url}/v1",
        "model_providers.scripted.wire_api": "responses",
        "model_providers.scripted.experimental_bearer_token": DUMMY_KEY,
        # One retry of each kind, as when the recordings were made.
        "model_providers.scripted.request_max_retries": int(retries),
        "model_providers.scripted.stream_max_retries": int(retries),
        "check_for_update_on_startup": False,
        "analytics.enabled": False,
        "feedback.enabled": False,
        "otel.exporter": "none",
        # Its commands may write to the case's own temporary directory, not to everybody's: when it ends while one of
        # them runs, its sandbox leaves empty folders wherever they may write, a `.git` among them.
        "sandbox_workspace_write.exclude_slash_tmp": True,
    }
    # JSON's texts, numbers and booleans are TOML's, too.
    return [word for key, value in settings.items() for word in ("-c", f"{key}={json.dumps(value)}")]


_GEMINI_SETTINGS: dict[str, dict[str, Any]] = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "ide": {"enabled": False},
}
