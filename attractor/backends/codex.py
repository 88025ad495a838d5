"""Facts of `codex exec` (provider openai).

Read from @openai/codex 0.169.0, run against a scripted provider (tests/backends/golden/codex.json), and from its
published source (exec events, error texts, command line; October 2026). Exit codes say little: 1 for every failed
turn. What happened stands in the last `turn.failed`, as text only, of which codex's own wordings are exact.

With no network it never ends: `Reconnecting... waiting for network` for ever. That is a notice, not progress.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from attractor.backends.failure_kinds import FailureKind
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
    list_of,
    object_of,
    text_of,
)


def _argv(request: AgentRequest, on_stdin: bool) -> tuple[str, ...]:
    argv = [request.executable, "exec", "--json", "--color", "never", "--sandbox", "workspace-write"]
    argv += ["--skip-git-repo-check", "--cd", str(request.worktree)]
    for folder in request.extra_folders:
        argv += ["--add-dir", str(folder)]
    argv += ["-c", 'approval_policy="never"', "-c", "check_for_update_on_startup=false"]
    argv += ["-c", "analytics.enabled=false"]
    if request.reasoning_effort:
        argv += ["-c", f"model_reasoning_effort={_toml_text(request.reasoning_effort)}"]
    if request.base_url:
        argv += _own_endpoint(request.base_url)
    argv += ["-m", request.model]
    if request.session_id:
        argv += ["resume", request.session_id]
    return (*argv, "-" if on_stdin else request.prompt)


def _own_endpoint(base_url: str) -> list[str]:
    """A provider of our own: to the built-in one at another address, codex first speaks WebSocket, 7 s in vain."""
    key = "model_providers.attractor"
    settings = (
        'model_provider="attractor"',
        f'{key}.name="attractor"',
        f"{key}.base_url={_toml_text(base_url)}",
        f'{key}.wire_api="responses"',
        f"{key}.requires_openai_auth=true",
        f"{key}.supports_websockets=false",
    )
    return [word for setting in settings for word in ("-c", setting)]


def _toml_text(value: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's."""
    return msgspec.json.encode(value).decode()


# Only codex's own wordings, at the beginning of a message: the provider's text after them may hold anything.
_RECONNECTING = re.compile(r"Reconnecting\.\.\. (?:\d+/\d+|waiting for network) ?\((.*)\)?$", re.DOTALL)
_STATUS = re.compile(r"(?:unexpected status|exceeded retry limit, last status:) (\d{3})\b")
_TOOL_ITEMS: Final = frozenset(
    {"command_execution", "file_change", "mcp_tool_call", "collab_tool_call", "web_search", "image_generation"}
)


class CodexReader(StreamReader):
    """Reads `codex exec --json`: thread, turns, items."""

    def _read(self, kind: str, record: Mapping[str, Any]) -> tuple[AgentEvent, ...] | None:
        if kind == "thread.started":
            self.session_id = text_of(record, "thread_id")
            return (AgentEvent("session", self.session_id),)
        if kind == "turn.started":
            self.result = None
            return (AgentEvent("notice", "turn started"),)
        if kind == "turn.completed":
            self.result = "ok"
            self.usage = self._usage(object_of(record, "usage"))
            return (AgentEvent("usage"), AgentEvent("result", excerpt(self.final_text), ok=True))
        if kind == "turn.failed":
            self.result = "error"
            error = _error(text_of(object_of(record, "error"), "message"))
            self._add_error(error)
            return (AgentEvent("result", error.message, ok=False),)
        if kind == "error":
            return self._error_event(text_of(record, "message"))
        if kind.startswith("item."):
            return self._item(kind.removeprefix("item."), object_of(record, "item"))
        return None

    def _error_event(self, message: str) -> tuple[AgentEvent, ...]:
        error = _error(message)
        self._add_error(error)
        reconnecting = _RECONNECTING.match(message) is not None
        return (
            AgentEvent("notice" if reconnecting else "error", excerpt(message), ok=None if reconnecting else False),
        )

    def _item(self, phase: str, item: Mapping[str, Any]) -> tuple[AgentEvent, ...]:
        kind, item_id = text_of(item, "type"), text_of(item, "id")
        text = text_of(item, "text") or text_of(item, "message")
        if kind in _TOOL_ITEMS:
            return (self._tool(phase, kind, item_id, item),)
        if phase != "completed":
            return (AgentEvent("notice", kind),)
        if kind == "error":  # a warning: the turn goes on
            return (AgentEvent("notice", excerpt(text)),)
        self._advance(f"{kind}:{text}")
        if kind == "agent_message":
            self.final_text = text[:MAX_FINAL_TEXT_CHARS]
            return (AgentEvent("message", excerpt(text)),)
        return (AgentEvent("thinking" if kind == "reasoning" else "notice", excerpt(text or kind)),)

    def _tool(self, phase: str, kind: str, item_id: str, item: Mapping[str, Any]) -> AgentEvent:
        server, tool = text_of(item, "server"), text_of(item, "tool")
        name = f"{server}.{tool}" if server else tool or kind
        if phase != "completed":
            return AgentEvent("tool_call", tool=name, tool_id=item_id, arguments=_arguments(kind, item))
        self._advance(f"{kind}:{item_id}")
        ok = text_of(item, "status") not in ("failed", "declined")
        output = text_of(item, "aggregated_output") or text_of(object_of(item, "error"), "message")
        return AgentEvent("tool_result", excerpt(output), name, item_id, _arguments(kind, item), ok)

    def _usage(self, told: Mapping[str, Any]) -> Usage:
        """The thread's totals so far, not the turn's: the larger figure is the later one."""
        old = self.usage
        return Usage(
            input_tokens=max(old.input_tokens, count_of(told, "input_tokens")),
            cached_input_tokens=max(old.cached_input_tokens, count_of(told, "cached_input_tokens")),
            cache_write_input_tokens=max(old.cache_write_input_tokens, count_of(told, "cache_write_input_tokens")),
            output_tokens=max(old.output_tokens, count_of(told, "output_tokens")),
            reasoning_tokens=max(old.reasoning_tokens, count_of(told, "reasoning_output_tokens")),
        )


def _arguments(kind: str, item: Mapping[str, Any]) -> str:
    if kind == "file_change":
        changes = (c for c in list_of(item, "changes") if isinstance(c, dict))
        return excerpt(", ".join(f"{text_of(c, 'kind')} {text_of(c, 'path')}" for c in changes))
    told = text_of(item, "command") or text_of(item, "query") or text_of(item, "prompt")
    return excerpt(told) if told else compact(item.get("arguments")) if "arguments" in item else ""


def _error(message: str) -> AgentError:
    reconnecting = _RECONNECTING.match(message)
    inner = reconnecting[1].removesuffix(")") if reconnecting else message
    status = _STATUS.match(inner)
    if status is not None:
        error = AgentError(excerpt(inner), int(status[1]))
    else:
        error = embedded_error(inner) if inner.lstrip().startswith("{") else AgentError(excerpt(inner))
    return replace(error, retrying=reconnecting is not None)


CODEX: Final = AgentProfile(
    provider="openai",
    program="codex",
    facts_from="@openai/codex 0.169.0",
    aliases=("codex", "chatgpt", "openai_codex", "codex_cli"),
    credential_variables=("CODEX_API_KEY", "OPENAI_API_KEY", "CODEX_ACCESS_TOKEN"),
    credential_files=(".codex/auth.json",),
    settings_files=(".codex/config.toml",),
    state_variables={"CODEX_HOME": ".codex"},
    environment={},
    passed_variables=("OPENAI_ORGANIZATION", "OPENAI_PROJECT", "CODEX_CA_CERTIFICATE"),
    removed_variables=("CODEX_SANDBOX", "CODEX_SANDBOX_NETWORK_DISABLED", "CODEX_THREAD_ID"),
    # `codex exec` takes a key from CODEX_API_KEY; OPENAI_API_KEY alone only serves to sign in.
    copied_variables={"CODEX_API_KEY": "OPENAI_API_KEY"},
    base_url_variable="",
    help_arguments=("exec", "--help"),
    headless_flags=("--json", "--sandbox", "--skip-git-repo-check", "--add-dir"),
    effort_flag=True,
    session_paths=(".codex/sessions",),
    counts_session=True,
    exit_kinds={2: FailureKind.BAD_REQUEST, 101: FailureKind.CRASHED},  # clap's usage error; a Rust panic
    build_argv=_argv,
    reader=CodexReader,
)
