"""Facts of `claude -p` (provider anthropic).

Read from the program's published reference and SDK types (Claude Code 2.x: stream messages, result subtypes,
error words, environment), not run here: it is not open source. The transcript in the tests follows that reference.

`is_error` decides, not `subtype`: a refused key is told as `subtype: success, is_error: true`. Exit 1 for every
error. `rate_limit_event` comes with every session; only the status `rejected` is a limit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

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
    status_of,
    text_of,
)


def _argv(request: AgentRequest, on_stdin: bool) -> tuple[str, ...]:
    argv = [request.executable, "-p"]
    for folder in request.extra_folders:
        argv += ["--add-dir", str(folder)]
    argv += ["--output-format", "stream-json", "--verbose", "--permission-mode", "bypassPermissions"]
    if request.reasoning_effort:
        argv += ["--effort", request.reasoning_effort]
    # Catalogues write `claude-sonnet-4.6`, the program wants `claude-sonnet-4-6`.
    argv += ["--model", re.sub(r"(?<=\d)\.(?=\d)", "-", request.model)]
    if request.session_id:
        argv += ["--resume", request.session_id]
    return tuple(argv) if on_stdin else (*argv, request.prompt)


_STATUS = re.compile(r"API Error: (\d{3})\b")
_QUIET: Final = frozenset(
    {"stream_event", "tool_progress", "tool_use_summary", "auth_status", "keep_alive", "prompt_suggestion",
     "control_request", "control_response", "conversation_reset", "summary"}
)  # fmt: skip


class ClaudeReader(StreamReader):
    """Reads `claude -p --output-format stream-json --verbose`: system, assistant, user, result."""

    def __init__(self) -> None:
        super().__init__()
        self._message_usage: dict[str, Usage] = {}

    def _read(self, kind: str, record: Mapping[str, Any]) -> tuple[AgentEvent, ...] | None:
        self.session_id = self.session_id or text_of(record, "session_id")
        match kind:
            case "system":
                return self._system(record)
            case "assistant":
                return self._assistant(record)
            case "user":
                return self._user(record)
            case "result":
                return self._result(record)
            case "rate_limit_event":
                return self._rate_limit(object_of(record, "rate_limit_info"))
        return (AgentEvent("notice", kind),) if kind in _QUIET else None

    def _system(self, record: Mapping[str, Any]) -> tuple[AgentEvent, ...]:
        subtype = text_of(record, "subtype")
        if subtype == "init":
            self.model = text_of(record, "model")
            return (AgentEvent("session", self.session_id),)
        if subtype == "api_retry":  # the program tries again by itself
            word, status = text_of(record, "error"), status_of(record, "error_status")
            self._add_error(AgentError(word or "api_retry", status, word or None, retrying=True))
        return (AgentEvent("notice", excerpt(subtype)),)

    def _assistant(self, record: Mapping[str, Any]) -> tuple[AgentEvent, ...]:
        message = object_of(record, "message")
        word = text_of(record, "error")
        if word:  # a made-up message that tells an error
            texts = [text_of(block, "text") for block in list_of(message, "content") if isinstance(block, dict)]
            error = _error(" ".join(text for text in texts if text) or word, word)
            if not text_of(record, "parent_tool_use_id"):
                self._add_error(error)
            return (AgentEvent("error", error.message, ok=False),)
        self._count(message)
        blocks = (block for block in list_of(message, "content") if isinstance(block, dict))
        own = not text_of(record, "parent_tool_use_id")
        return tuple(event for block in blocks if (event := self._block(block, own)) is not None)

    def _block(self, block: Mapping[str, Any], own: bool) -> AgentEvent | None:
        kind = text_of(block, "type")
        text = text_of(block, "text") or text_of(block, "thinking")
        if kind in ("tool_use", "server_tool_use"):
            arguments = compact(block.get("input"))
            return AgentEvent(
                "tool_call", tool=text_of(block, "name"), tool_id=text_of(block, "id"), arguments=arguments
            )
        if kind not in ("text", "thinking"):
            return None
        self._advance(f"{kind}:{text}")
        if kind == "text" and own:
            self.final_text = text[:MAX_FINAL_TEXT_CHARS]
        return AgentEvent("message" if kind == "text" else "thinking", excerpt(text))

    def _count(self, message: Mapping[str, Any]) -> None:
        """Each message comes once per content block, with the same id and figures: the newest counts."""
        told = object_of(message, "usage")
        if not told:
            return
        self._message_usage[text_of(message, "id")] = _usage(told)
        every = self._message_usage.values()
        self.usage = Usage(
            sum(u.input_tokens for u in every),
            sum(u.cached_input_tokens for u in every),
            sum(u.cache_write_input_tokens for u in every),
            sum(u.output_tokens for u in every),
        )

    def _user(self, record: Mapping[str, Any]) -> tuple[AgentEvent, ...]:
        events = []
        for block in list_of(object_of(record, "message"), "content"):
            if isinstance(block, dict) and text_of(block, "type") == "tool_result":
                tool_id = text_of(block, "tool_use_id")
                self._advance(f"tool:{tool_id}")
                ok = block.get("is_error") is not True
                events.append(AgentEvent("tool_result", excerpt(_result_text(block)), tool_id=tool_id, ok=ok))
        return tuple(events)

    def _rate_limit(self, info: Mapping[str, Any]) -> tuple[AgentEvent, ...]:
        status = text_of(info, "status")
        if status != "rejected":
            return (AgentEvent("notice", f"rate limit: {excerpt(status)}"),)
        reset = info.get("resetsAt")
        if isinstance(reset, int | float) and not isinstance(reset, bool) and 0 < reset < 1e11:
            self.reset_at_epoch = float(reset)
        text = f"usage limit reached ({excerpt(text_of(info, 'rateLimitType')) or 'unknown window'})"
        self._add_error(AgentError(text, code="usage_limit_reached"))
        return (AgentEvent("error", text, ok=False),)

    def _result(self, record: Mapping[str, Any]) -> tuple[AgentEvent, ...]:
        subtype, text = text_of(record, "subtype"), text_of(record, "result")
        told, cost = object_of(record, "usage"), record.get("total_cost_usd")
        counted = _usage(told) if told else self.usage
        priced = float(cost) if isinstance(cost, int | float) and 0 <= cost < 1e9 else None
        self.usage = Usage(
            counted.input_tokens,
            counted.cached_input_tokens,
            counted.cache_write_input_tokens,
            counted.output_tokens,
            cost_usd=priced,
        )
        ok = subtype == "success" and record.get("is_error") is not True
        self.result = "ok" if ok else "error"
        if ok:
            self.final_text = text[:MAX_FINAL_TEXT_CHARS] or self.final_text
        else:
            whole = text or "; ".join(e for e in list_of(record, "errors") if isinstance(e, str)) or subtype
            found = _error(whole, subtype if subtype != "success" else "")
            self._add_error(
                AgentError(found.message, status_of(record, "api_error_status") or found.http_status, found.code)
            )
        text = self.final_text if ok else self.errors[-1].message
        return (AgentEvent("usage"), AgentEvent("result", excerpt(text), ok=ok))


def _usage(told: Mapping[str, Any]) -> Usage:
    """`input_tokens` is what neither came from nor went to the cache."""
    read, written = count_of(told, "cache_read_input_tokens"), count_of(told, "cache_creation_input_tokens")
    return Usage(count_of(told, "input_tokens") + read + written, read, written, count_of(told, "output_tokens"))


def _result_text(block: Mapping[str, Any]) -> str:
    parts = (text_of(part, "text") for part in list_of(block, "content") if isinstance(part, dict))
    return text_of(block, "content") or " ".join(part for part in parts if part)


def _error(message: str, word: str) -> AgentError:
    status = _STATUS.match(message)
    found = embedded_error(message) if message.startswith("API Error") else AgentError(excerpt(message))
    code = word if word not in ("", "unknown", "error_during_execution") else None
    return AgentError(found.message, int(status[1]) if status else found.http_status, code or found.code)


CLAUDE: Final = AgentProfile(
    provider="anthropic",
    program="claude",
    facts_from="Claude Code 2.x, published reference",
    aliases=("claude", "claude_code", "anthropic_claude"),
    credential_variables=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
    credential_files=(".claude/.credentials.json",),
    settings_files=(".claude/settings.json",),
    state_variables={"CLAUDE_CONFIG_DIR": ".claude"},
    environment={
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
    },
    passed_variables=(
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_CUSTOM_HEADERS",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
        "CLAUDE_CODE_MAX_RETRIES",
        "API_TIMEOUT_MS",
        "IS_SANDBOX",
    ),
    removed_variables=("CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SESSION_ID", "CLAUDE_CODE_SSE_PORT"),
    copied_variables={},
    base_url_variable="ANTHROPIC_BASE_URL",
    help_arguments=("--help",),
    headless_flags=("--print", "--output-format", "--permission-mode", "--add-dir"),
    effort_flag=True,
    session_paths=(".claude/projects",),
    counts_session=False,
    exit_kinds={},
    build_argv=_argv,
    reader=ClaudeReader,
)
