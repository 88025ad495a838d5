"""Prints what `codex exec --json` prints, line for line as recorded from codex 0.169.0."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from typing import Any

from harness.agents.fakes.arguments import Arguments, Refused
from harness.agents.fakes.voice import Failure, brief, print_line, read_input, warn

__all__ = ["Codex"]

_BUSY = "We’re currently experiencing high demand, which may cause temporary errors."
_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Codex:
    term_exit: int | None = None

    def __init__(self) -> None:
        self._items = 0
        self.session = ""
        self.usage = [0, 0]
        self._model = ""

    def prompt(self, arguments: Arguments) -> str:
        if "--json" not in arguments:
            raise Refused("this fake only speaks --json")
        if len(arguments.words) > 1:
            raise Refused(f"unexpected argument {arguments.words[1]!r}: there is a prompt already")
        self._model = arguments["--model"] or "gpt-5.4"
        prompt = "" if arguments.words in ([], ["-"]) else arguments.words[0]
        warn("Reading additional input from stdin..." if prompt else "Reading prompt from stdin...")
        return prompt + read_input()

    def refusal(self, arguments: Arguments) -> tuple[int, str] | None:
        folder = arguments["--cd"] or os.getcwd()
        if not os.path.isdir(folder):
            return 1, f"Error: No such file or directory (os error 2): {folder}"
        if "--skip-git-repo-check" not in arguments and not _in_repository(folder):
            return 1, "Not inside a trusted directory and --skip-git-repo-check was not specified."
        return None

    def begin(self, session: str) -> None:
        self.session = session or brief()
        print_line({"type": "thread.started", "thread_id": self.session})
        unknown = "Defaulting to fallback metadata; this can degrade performance and cause issues."
        message = f"Model metadata for `{self._model}` not found. {unknown}"
        self._item("completed", {"type": "error", "message": message})
        print_line({"type": "turn.started"})

    def _item(self, state: str, fields: Mapping[str, Any], *, same: bool = False) -> None:
        """Items are numbered; an item that ends keeps the number it started with."""
        number = self._items - 1 if same else self._items
        self._items = number + 1
        print_line({"type": f"item.{state}", "item": {"id": f"item_{number}", **fields}})

    def _count(self, answer: Mapping[str, Any]) -> None:
        self.usage[0] += answer.get("input_tokens", 11)
        self.usage[1] += answer.get("output_tokens", 7)

    def says(self, answer: Mapping[str, Any]) -> None:
        self._count(answer)
        self._item("completed", {"type": "agent_message", "text": answer["text"]})

    def wrote(self, path: str, content: str) -> None:
        change = {"path": os.path.join(os.getcwd(), path), "kind": "add"}
        self._count({})
        self._item("started", {"type": "file_change", "changes": [change], "status": "in_progress"})
        self._item("completed", {"type": "file_change", "changes": [change], "status": "completed"}, same=True)

    def runs(self, command: str) -> None:
        self._count({})
        fields = {"command": _as_shown(command), "aggregated_output": "", "exit_code": None, "status": "in_progress"}
        self._item("started", {"type": "command_execution", **fields})

    def ran(self, command: str, output: str, code: int) -> None:
        state = "completed" if code == 0 else "failed"
        fields = {"command": _as_shown(command), "aggregated_output": output, "exit_code": code, "status": state}
        self._item("completed", {"type": "command_execution", **fields}, same=True)

    def chatters(self, number: int) -> None:
        self._item("completed", {"type": "reasoning", "text": f"Still thinking, step {number}."})

    def failure(self, answer: Mapping[str, Any]) -> Failure:
        """A request is tried twice where that helps, and the stream of answers twice again."""
        status = answer.get("http")
        if status is None:
            return Failure(_broken(answer), tries=2, reconnect_at=2)
        message = answer.get("message") or f"scripted {status}"
        own = _own_words(answer)
        if own:
            return Failure(own)
        if status == 429:  # where it was told how long to wait, it waits, and tries once more
            tries = 2 if "retry_after" in answer else 1
            return Failure("exceeded retry limit, last status: 429 Too Many Requests", tries=tries, reconnect_at=2)
        if status == 404:
            return Failure(message)
        if status == 400:
            error = {"message": message, "type": _INVALID, "param": None, "code": answer.get("code") or _INVALID}
            return Failure(answer.get("body") or json.dumps({"error": error}))
        if status == 500:
            return Failure(_BUSY, tries=4, reconnect_at=3)
        told = f"unexpected status {status} {_REASONS.get(status, 'Error')}: {message}, {_URL}"
        tries, reconnect_at = (4, 3) if status > 500 else (2, 2)
        return Failure(told, tries=tries, reconnect_at=reconnect_at)

    def tries_again(self, failure: Failure, attempt: int) -> None:
        if attempt == failure.reconnect_at:
            print_line({"type": "error", "message": f"Reconnecting... 1/1 ({failure.message})"})

    def fails(self, failure: Failure) -> None:
        print_line({"type": "error", "message": failure.message})
        print_line({"type": "turn.failed", "error": {"message": failure.message}})

    def waits_for_network(self, attempt: int) -> None:
        reason = "Connection failed: error sending request"
        print_line({"type": "error", "message": f"Reconnecting... waiting for network ({reason})"})

    def ends(self) -> None:
        given, made = self.usage
        usage = {"input_tokens": given, "cached_input_tokens": 0, "cache_write_input_tokens": 0}
        print_line({"type": "turn.completed", "usage": {**usage, "output_tokens": made, "reasoning_output_tokens": 0}})


_INVALID = "invalid_request_error"
_URL = "url: http://127.0.0.1:1/v1/responses"


def _own_words(answer: Mapping[str, Any]) -> str:
    """Of errors the program knows by their code, and tells without the provider's text."""
    match answer.get("code"):
        case "usage_limit_reached":
            reset = time.localtime(time.time() + answer.get("retry_after", 3600))
            at = time.strftime("%I:%M %p", reset).lstrip("0")
            upgrade = "Upgrade to Pro (https://chatgpt.com/explore/pro), visit https://chatgpt.com/settings/usage"
            return f"You’ve hit your usage limit. {upgrade} to purchase more credits or try again at {at}."
        case "insufficient_quota":
            return "Quota exceeded. Check your plan and billing details."
        case "context_length_exceeded":
            room = "Codex ran out of room in the model's context window."
            return f"{room} Start a new thread or clear earlier history before retrying."
    return ""


def _broken(answer: Mapping[str, Any]) -> str:
    if answer.get("garbage"):
        why = "UTF8 error: invalid utf-8 sequence of 1 bytes from index 0"
    elif "cut_after_bytes" in answer:
        why = "Transport error: network error: error decoding response body"
    else:
        why = "stream closed before response.completed"
    return f"stream disconnected before completion: {why}"


def _as_shown(command: str) -> str:
    quoted = "'" + command.replace("'", "'\\''") + "'"
    return f"/bin/bash -lc {quoted}"


def _in_repository(folder: str) -> bool:
    here = os.path.abspath(folder)
    while True:
        if os.path.exists(os.path.join(here, ".git")):
            return True
        above = os.path.dirname(here)
        if above == here:
            return False
        here = above
