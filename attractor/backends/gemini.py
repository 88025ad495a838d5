"""Facts of `gemini` (provider google).

Read from @google/gemini-cli 0.61.0, run against a scripted provider (tests/backends/golden/gemini.json), and from
its published source (stream events, error classes, exit codes, storage; August 2026).

It exits with the HTTP status of the provider's answer, of which the system keeps the remainder by 256: 145 is 401,
148 is 404. Ended by SIGTERM it exits 0, in mid-answer too, so exit 0 means nothing without a `result` line. It
retries 429, 500, 503 and refused connections in silence for more than 25 s; only standard error tells why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from attractor.backends.failure_kinds import FailureKind
from attractor.backends.hints import HTTP_KINDS
from attractor.backends.profile import AgentProfile, AgentRequest
from attractor.backends.stream import (
    MAX_FINAL_TEXT_CHARS,
    AgentError,
    AgentEvent,
    StreamReader,
    Usage,
    compact,
    count_of,
    embedded_error,
    excerpt,
    object_of,
    text_of,
)


def _argv(request: AgentRequest, on_stdin: bool) -> tuple[str, ...]:
    argv = [request.executable, "--output-format", "stream-json", "--yolo", "--skip-trust"]
    for folder in request.extra_folders:
        argv += ["--include-directories", str(folder)]
    if request.session_id:
        argv += ["--resume", "latest"]  # it takes no id; its state root has this one only
    argv += ["-m", request.model]
    return tuple(argv) if on_stdin else (*argv, "-p", request.prompt)


def _state_files(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Its settings: nothing sent home, no updates, and how to sign in.

    With GOOGLE_GEMINI_BASE_URL set it would choose `gateway` by itself, which its own check then refuses (exit 41).
    """
    settings: dict[str, Any] = {
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
        "privacy": {"usageStatisticsEnabled": False},
    }
    chosen = any(environment.get(f"GOOGLE_GENAI_USE_{way}") == "true" for way in ("GCA", "VERTEXAI"))
    if environment.get("GEMINI_API_KEY") and not chosen:
        settings["security"] = {"auth": {"selectedType": "gemini-api-key"}}
    return {".gemini/settings.json": json.dumps(settings, indent=2)}


# The program's own errors that carry no structured code, by the beginning of their text.
_OWN_CODES: Final = (
    ("Loop detected, stopping execution", "loop_detected"),
    ("Maximum session turns exceeded", "FatalTurnLimitedError"),
    ("Model response was truncated because it exceeded the token limit", "max_output_tokens"),
    ("The model response was blocked due to", "content_blocked"),
    ("The model returned an empty response", "empty_response"),
    ("The model returned reasoning thoughts but no final response", "empty_response"),
)
_STATUS_WORD = re.compile(r"\(Status: ([A-Z_]+)\)\]")


class GeminiReader(StreamReader):
    """Reads `gemini --output-format stream-json`: init, message, tool_use, tool_result, error, result."""

    def __init__(self) -> None:
        super().__init__()
        self._in_message = False
        self._unresolved = False

    def _read(self, kind: str, record: Mapping[str, Any]) -> tuple[AgentEvent, ...] | None:
        if kind == "message":
            return self._message(record)
        self._in_message = False
        if kind == "init":
            self.session_id, self.model = text_of(record, "session_id"), text_of(record, "model")
            return (AgentEvent("session", self.session_id),)
        tool_id = text_of(record, "tool_id")
        if kind == "tool_use":
            arguments = compact(record.get("parameters"))
            return (AgentEvent("tool_call", tool=text_of(record, "tool_name"), tool_id=tool_id, arguments=arguments),)
        if kind == "tool_result":
            self._advance(f"tool:{tool_id}")
            self._unresolved = False
            text = text_of(record, "output") or text_of(object_of(record, "error"), "message")
            return (AgentEvent("tool_result", excerpt(text), tool_id=tool_id, ok=text_of(record, "status") != "error"),)
        if kind == "error":
            return self._error_event(record)
        if kind == "result":
            return self._result(record)
        return None

    def _message(self, record: Mapping[str, Any]) -> tuple[AgentEvent, ...]:
        text = text_of(record, "content")
        if text_of(record, "role") != "assistant":
            self._in_message = False
            return (AgentEvent("notice", excerpt(text)),)
        goes_on = self._in_message and record.get("delta") is True
        if not goes_on:
            self.final_text = ""
        self._in_message = True
        self.final_text = (self.final_text + text)[:MAX_FINAL_TEXT_CHARS]
        self._advance(f"text:{text}")
        self._unresolved = False
        return (AgentEvent("message", excerpt(text), delta=goes_on or None),)

    def _error_event(self, record: Mapping[str, Any]) -> tuple[AgentEvent, ...]:
        error = _error(text_of(record, "message"))
        self._add_error(error)
        # A loop is told as a warning, and a success follows: the work was left in the middle all the same.
        severe = text_of(record, "severity") == "error" or error.code == "loop_detected"
        self._unresolved = self._unresolved or severe
        return (AgentEvent("error" if severe else "notice", error.message, ok=False if severe else None),)

    def _result(self, record: Mapping[str, Any]) -> tuple[AgentEvent, ...]:
        self.usage = _usage(object_of(record, "stats"))
        told = object_of(record, "error")
        ok = text_of(record, "status") == "success" and not told and not self._unresolved
        self.result = "ok" if ok else "error"
        if told:
            self._add_error(_error(text_of(told, "message"), text_of(told, "type")))
        text = self.final_text if ok else self.errors[-1].message if self.errors else ""
        return (AgentEvent("usage"), AgentEvent("result", excerpt(text), ok=ok))


def _error(message: str, error_type: str = "") -> AgentError:
    for beginning, code in _OWN_CODES:
        if message.startswith(beginning):
            return AgentError(excerpt(message), code=code)
    found = embedded_error(message)
    word = _STATUS_WORD.search(message)
    told = error_type if error_type not in ("", "unknown", "Error", "ApiError") else None
    return AgentError(found.message, found.http_status, told or found.code or (word[1] if word else None))


def _usage(stats: Mapping[str, Any]) -> Usage:
    """`total_tokens` holds the thoughts too, `output_tokens` (candidates) does not."""
    sent, produced, total = (count_of(stats, key) for key in ("input_tokens", "output_tokens", "total_tokens"))
    thoughts = max(0, total - sent - produced)
    return Usage(sent, count_of(stats, "cached"), 0, produced + thoughts, thoughts)


_OWN_EXITS: Final[Mapping[int, FailureKind]] = {
    41: FailureKind.AUTH,  # no authentication method
    42: FailureKind.BAD_REQUEST,  # input
    44: FailureKind.SANDBOX_REFUSAL,
    52: FailureKind.BAD_REQUEST,  # settings
    53: FailureKind.TURN_LIMIT,
    54: FailureKind.NO_SPACE,  # a fatal tool error; a full disk is the only one there is
    55: FailureKind.SANDBOX_REFUSAL,  # untrusted folder
    130: FailureKind.KILLED,
}

GEMINI: Final = AgentProfile(
    provider="google",
    program="gemini",
    facts_from="@google/gemini-cli 0.61.0",
    aliases=("gemini", "google_ai_studio", "google_gemini", "gemini_cli", "vertex", "vertex_ai"),
    credential_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
    credential_files=(".gemini/oauth_creds.json", ".gemini/gemini-credentials.json"),
    # `settings.json` also holds which way to sign in was chosen; `google_accounts.json` with which account.
    settings_files=(".gemini/settings.json", ".gemini/google_accounts.json", ".gemini/.env"),
    state_variables={"GEMINI_CLI_HOME": ""},  # it makes `.gemini` in there
    environment={"GEMINI_TELEMETRY_ENABLED": "false"},
    passed_variables=(
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_CLOUD_LOCATION",
        "GOOGLE_GENAI_USE_VERTEXAI",
        "GOOGLE_GENAI_USE_GCA",
        "GOOGLE_GEMINI_BASE_URL",
        "GOOGLE_VERTEX_BASE_URL",
    ),
    removed_variables=("GEMINI_CLI", "SANDBOX", "GEMINI_SANDBOX", "GEMINI_CLI_NO_RELAUNCH"),
    copied_variables={},
    base_url_variable="GOOGLE_GEMINI_BASE_URL",
    help_arguments=("--help",),
    headless_flags=("--output-format", "--yolo", "--prompt", "--skip-trust"),
    effort_flag=False,
    session_paths=(".gemini/tmp", ".gemini/projects.json"),
    counts_session=False,
    exit_kinds={**{status % 256: kind for status, kind in HTTP_KINDS.items()}, **_OWN_EXITS},
    build_argv=_argv,
    reader=GeminiReader,
    state_files=_state_files,
    stderr_status=re.compile(r"^\s*status: (\d{3}),?$", re.MULTILINE),
)
