"""Prints what `claude -p --output-format stream-json --verbose` prints, as its documentation describes it."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from typing import Any

from harness.agents.fakes.arguments import Arguments, Refused
from harness.agents.fakes.voice import Failure, brief, print_line, read_input

__all__ = ["Claude"]

TERMINATED = 143
_RETRIED = (408, 409, 429, 500, 502, 503, 504, 529)
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_KINDS = {401: "authentication_failed", 429: "rate_limit"}
FIRST_DELAY_SECONDS = 0.05
COST_PER_TOKEN_USD = 0.00001


class Claude:
    term_exit: int | None = TERMINATED

    def __init__(self) -> None:
        self.session = ""
        self._model = ""
        self.usage = [0, 0]
        self._turns = 0
        self._last = ""
        self._began = time.monotonic()

    def prompt(self, arguments: Arguments) -> str:
        if "--print" not in arguments or arguments["--output-format"] != "stream-json":
            raise Refused("this fake only speaks --print --output-format stream-json")
        if len(arguments.words) > 1:
            raise Refused(f"more than one prompt: {arguments.words[1]!r}")
        self._model = arguments["--model"] or "claude-sonnet-4-5"
        return "\n".join(filter(None, [*arguments.words, read_input()]))

    def refusal(self, arguments: Arguments) -> tuple[int, str] | None:
        if "--verbose" not in arguments:
            return 1, "Error: When using --print, --output-format=stream-json requires --verbose"
        return None

    def begin(self, session: str) -> None:
        self.session = session or brief()
        facts = {"cwd": os.getcwd(), "session_id": self.session, "tools": ["Bash", "Edit", "Read", "Write"]}
        rest = {"mcp_servers": [], "model": self._model, "permissionMode": "bypassPermissions", "slash_commands": []}
        key = "ANTHROPIC_API_KEY" if os.environ.get("ANTHROPIC_API_KEY") else "none"
        print_line({"type": "system", "subtype": "init", **facts, **rest, "apiKeySource": key, "uuid": brief()})

    def _message(self, content: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        given, made = answer.get("input_tokens", 11), answer.get("output_tokens", 7)
        self.usage[0] += given
        self.usage[1] += made
        self._turns += 1
        message = {"id": f"msg_{brief()[:8]}", "type": "message", "role": "assistant", "model": self._model}
        usage = {"input_tokens": given, **_NO_CACHE, "output_tokens": made}
        rest = {"content": [content], "stop_reason": None, "stop_sequence": None, "usage": usage}
        self._line("assistant", message={**message, **rest}, parent_tool_use_id=None)

    def _line(self, kind: str, **fields: Any) -> None:
        print_line({"type": kind, **fields, "session_id": self.session, "uuid": brief()})

    def says(self, answer: Mapping[str, Any]) -> None:
        self._last = answer["text"]
        self._message({"type": "text", "text": answer["text"]}, answer)

    def wrote(self, path: str, content: str) -> None:
        whole = os.path.join(os.getcwd(), path)
        self._calls("Write", {"file_path": whole, "content": content})
        self._returns(f"File created successfully at: {whole}")

    def _calls(self, tool: str, arguments: Mapping[str, Any]) -> None:
        self._open = f"toolu_{brief()[:8]}"
        self._message({"type": "tool_use", "id": self._open, "name": tool, "input": arguments}, {})

    def _returns(self, text: str, *, is_error: bool = False) -> None:
        result: dict[str, Any] = {"tool_use_id": self._open, "type": "tool_result", "content": text}
        result |= {"is_error": True} if is_error else {}
        self._line("user", message={"role": "user", "content": [result]}, parent_tool_use_id=None)

    def runs(self, command: str) -> None:
        self._calls("Bash", {"command": command, "description": "scripted command"})

    def ran(self, command: str, output: str, code: int) -> None:
        text = output.rstrip("\n")
        self._returns(text if code == 0 else f"Exit code {code}\n{text}", is_error=code != 0)

    def chatters(self, number: int) -> None:
        self._message({"type": "text", "text": f"Still thinking, step {number}."}, {})

    def failure(self, answer: Mapping[str, Any]) -> Failure:
        status = answer.get("http")
        most = int(os.environ.get("CLAUDE_CODE_MAX_RETRIES", "10")) + 1
        if status is None:
            return Failure("API Error: Connection error.", tries=most, delay=FIRST_DELAY_SECONDS)
        if answer.get("code") == "usage_limit_reached":
            opens_again = math.ceil(time.time() + answer.get("retry_after", 3600))
            return Failure(f"Claude AI usage limit reached|{opens_again}", status=status)
        kind = answer.get("code") or _TYPES.get(status, "api_error")
        error = {"type": kind, "message": answer.get("message") or f"scripted {status}"}
        text = f"API Error: {status} {json.dumps({'type': 'error', 'error': error}, separators=(',', ':'))}"
        text += " · Please run /login" if status == 401 else ""
        tries = most if status in _RETRIED else 1
        return Failure(text, tries=tries, delay=FIRST_DELAY_SECONDS, status=status)

    def tries_again(self, failure: Failure, attempt: int) -> None:
        facts = {"attempt": attempt - 1, "max_retries": failure.tries - 1, "retry_delay_ms": failure.delay * 1000}
        kind = _KINDS.get(failure.status, "server_error" if failure.status >= 500 else "unknown")
        self._line("system", subtype="api_retry", **facts, error_status=failure.status or None, error=kind)

    def fails(self, failure: Failure) -> None:
        self._message({"type": "text", "text": failure.message}, {"input_tokens": 0, "output_tokens": 0})
        self._result(failure.message, is_error=True)

    def waits_for_network(self, attempt: int) -> None:
        failure = Failure("", tries=11, delay=FIRST_DELAY_SECONDS)
        self.tries_again(failure, attempt + 1)

    def ends(self) -> None:
        self._result(self._last, is_error=False)

    def _result(self, text: str, *, is_error: bool) -> None:
        given, made = self.usage
        took = int((time.monotonic() - self._began) * 1000)
        times = {"duration_ms": took, "duration_api_ms": took, "num_turns": self._turns, "result": text}
        cost = round((given + made) * COST_PER_TOKEN_USD, 8)
        usage = {"input_tokens": given, **_NO_CACHE, "output_tokens": made}
        sums = {"total_cost_usd": cost, "usage": usage, "permission_denials": []}
        self._line("result", subtype="success", is_error=is_error, **times, **sums)


_NO_CACHE = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
