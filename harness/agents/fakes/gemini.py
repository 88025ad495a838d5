"""Prints what `gemini -p --output-format stream-json` prints, line for line as recorded from gemini-cli 0.61.0.

Two things that surprise, and that are why a fake of it is worth having: ended by SIGTERM it exits 0, also in
mid-answer, and a stream that breaks off ends with exit 0, too, after a result line that says `error`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from harness.agents.fakes.arguments import Arguments, Refused
from harness.agents.fakes.voice import Failure, brief, print_line, read_input, warn

__all__ = ["Gemini"]

NO_AUTH = 41
_KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA")
_RETRIED = (429, 499, 500, 502, 503, 504)
FIRST_DELAY_SECONDS = 0.5  # a tenth of the real one, which is five seconds


class Gemini:
    term_exit: int | None = 0

    def __init__(self) -> None:
        self._prompt = ""
        self._model = ""
        self.session = ""
        self.usage = [0, 0]
        self._calls = 0
        self._began = time.monotonic()

    def prompt(self, arguments: Arguments) -> str:
        if arguments["--output-format"] != "stream-json":
            raise Refused("this fake only speaks --output-format stream-json")
        words = [*([arguments["--prompt"]] if "--prompt" in arguments else []), *arguments.words]
        if len(words) > 1:
            raise Refused(f"more than one prompt: {words[1]!r}")
        self._prompt, self._model = "\n\n".join(filter(None, [read_input(), *words])), arguments["--model"] or "auto"
        return self._prompt

    def refusal(self, arguments: Arguments) -> tuple[int, str] | None:
        if any(os.environ.get(name) for name in _KEYS):
            return None
        places = "GEMINI_API_KEY, GOOGLE_GENAI_USE_VERTEXAI, GOOGLE_GENAI_USE_GCA"
        settings = f"{os.environ.get('HOME', '')}/.gemini/settings.json"
        either = "or specify one of the following environment variables before running"
        return NO_AUTH, f"Please set an Auth method in your {settings} {either}: {places}"

    def begin(self, session: str) -> None:
        self.session = session or brief()
        warn("YOLO mode is enabled. All tool calls will be automatically approved.")
        self._line("init", session_id=self.session, model=self._model)
        self._line("message", role="user", content=self._prompt)

    def _line(self, kind: str, **fields: Any) -> None:
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        print_line({"type": kind, "timestamp": stamp, **fields})

    def _count(self, answer: Mapping[str, Any]) -> None:
        self.usage[0] += answer.get("input_tokens", 11)
        self.usage[1] += answer.get("output_tokens", 7)

    def says(self, answer: Mapping[str, Any]) -> None:
        self._count(answer)
        self._line("message", role="assistant", content=answer["text"], delta=True)

    def wrote(self, path: str, content: str) -> None:
        self._count({})
        name = self._called("write_file", {"file_path": path, "content": content})
        self._line("tool_result", tool_id=name, status="success")

    def _called(self, tool: str, parameters: Mapping[str, Any]) -> str:
        name = f"{tool}__{tool}_{int(time.time() * 1000)}_{self._calls}"
        self._calls += 1
        self._line("tool_use", tool_name=tool, tool_id=name, parameters=parameters)
        return name

    def runs(self, command: str) -> None:
        self._count({})
        self._open = self._called("run_shell_command", {"command": command})

    def ran(self, command: str, output: str, code: int) -> None:
        self._line("tool_result", tool_id=self._open, status="success", output=output.rstrip("\n") or "(empty)")

    def chatters(self, number: int) -> None:
        self._line("message", role="assistant", content=f"Still thinking, step {number}.", delta=True)

    def failure(self, answer: Mapping[str, Any]) -> Failure:
        status = answer.get("http")
        if status is None:
            code = 1 if _is_no_json(answer) else 0
            return Failure(_broken(answer), code=code, tries=4, before="" if code else answer.get("text", ""))
        code = 1 if status == 404 and "body" not in answer else status % 256  # a model it does not know
        tries = 10 if status in _RETRIED else 1
        wait = answer.get("retry_after", 0.0)
        told = _told(answer, status)
        return Failure(told, code=code, tries=tries, delay=FIRST_DELAY_SECONDS, status=status, retry_after=wait)

    def tries_again(self, failure: Failure, attempt: int) -> None:
        if failure.delay:
            warn(f"Attempt {attempt - 1} failed. Retrying with backoff... _ApiError: {failure.message}")
        else:
            self._half(failure)

    def _half(self, failure: Failure) -> None:
        """What came before the stream broke off is printed, each time anew."""
        if failure.before:
            self._line("message", role="assistant", content=failure.before, delta=True)

    def fails(self, failure: Failure) -> None:
        self._half(failure)
        self.usage = [0, 0]
        if failure.code == 0:
            self._line("error", severity="error", message=failure.message)
            self._result(status="error")
            return
        warn(f"Error when talking to Gemini API _ApiError: {failure.message}")
        if failure.retry_after:
            warn(f"  retryDelayMs: {round(failure.retry_after * 1000)},")
        if failure.status:
            warn(f"  status: {failure.status}\n}}")
        self._result(status="error", error={"type": "unknown", "message": failure.message})

    def waits_for_network(self, attempt: int) -> None:
        reason = "Error: exception TypeError: fetch failed sending request"
        warn(f"Attempt {attempt} failed. Retrying with backoff... {reason}")

    def ends(self) -> None:
        self._result(status="success")

    def _result(self, **fields: Any) -> None:
        given, made = self.usage
        counts = {"total_tokens": given + made, "input_tokens": given, "output_tokens": made, "cached": 0}
        counts["input"] = given
        took = int((time.monotonic() - self._began) * 1000) if given else 0
        models = {self._model: counts}
        stats = {**counts, "duration_ms": took, "tool_calls": self._calls, "models": models}
        self._line("result", **fields, stats=stats)


def _is_no_json(answer: Mapping[str, Any]) -> bool:
    return bool(answer.get("garbage")) or "cut_after_bytes" in answer


def _broken(answer: Mapping[str, Any]) -> str:
    if _is_no_json(answer):
        return "[API Error: Incomplete JSON segment at the end]"
    return "Model stream ended without a finish reason."


def _told(answer: Mapping[str, Any], status: int) -> str:
    """Errors it knows in its own words, others as they came."""
    message = answer.get("message") or f"scripted {status}"
    if "body" in answer:
        text = str(answer["body"])
    elif status == 429:
        text = message + (f"\nSuggested retry after {answer['retry_after']:g}s." if "retry_after" in answer else "")
    elif status in (404, 503):
        text = message
    else:
        error = {"code": status, "message": message, "status": answer.get("code") or _STATUS.get(status, "UNKNOWN")}
        text = json.dumps({"error": error}, separators=(",", ":"))
    return f"[API Error: {text}]" + (_WAIT if status == 429 else "")


_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    500: "INTERNAL",
    504: "DEADLINE_EXCEEDED",
}
_WAIT = (
    "\nPlease wait and try again later. To increase your limits, request a quota increase through AI Studio, "
    "or switch to another /auth method"
)
