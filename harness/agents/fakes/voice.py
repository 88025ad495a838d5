"""What a fake program must be able to say; each of the three says it in its own format."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from harness.agents.fakes.arguments import Arguments

__all__ = ["Failure", "Voice", "brief", "print_line", "read_input", "warn"]


class Failure:
    """Why the model cannot be had, as the program puts it; and how often it tries before it says so."""

    def __init__(
        self,
        message: str,
        *,
        code: int = 1,
        tries: int = 1,
        reconnect_at: int = 0,
        delay: float = 0.0,
        status: int = 0,
        before: str = "",
        retry_after: float = 0.0,
    ) -> None:
        self.message = message
        self.code = code  # exit code in the end
        self.tries = tries
        self.reconnect_at = reconnect_at  # the try before which it says that it begins anew
        self.delay = delay  # before the second try; doubled after each
        self.status = status
        self.retry_after = retry_after  # as the provider asked
        self.before = before  # text that came before the stream broke off


class Voice(Protocol):
    term_exit: int | None  # exit code when ended by SIGTERM; None: by the signal itself
    session: str
    usage: list[int]  # tokens given and made

    def prompt(self, arguments: Arguments) -> str: ...

    def refusal(self, arguments: Arguments) -> tuple[int, str] | None:
        """Exit code and message when the program would not start here."""

    def begin(self, session: str) -> None:
        """`session`: the id of the one that goes on, '' for a new one."""

    def says(self, answer: Mapping[str, Any]) -> None: ...

    def wrote(self, path: str, content: str) -> None: ...

    def runs(self, command: str) -> None: ...

    def ran(self, command: str, output: str, code: int) -> None: ...

    def chatters(self, number: int) -> None:
        """One more line of no consequence."""

    def failure(self, answer: Mapping[str, Any]) -> Failure: ...

    def tries_again(self, failure: Failure, attempt: int) -> None: ...

    def fails(self, failure: Failure) -> None: ...

    def waits_for_network(self, attempt: int) -> None: ...

    def ends(self) -> None: ...


def print_line(value: Mapping[str, Any] | str) -> None:
    """One line of the stream, out at once."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def read_input() -> str:
    """Standard input to its end, as the programs read it: one left open by an engine holds them for ever."""
    return "" if sys.stdin.isatty() else sys.stdin.read()


def brief() -> str:
    """A fresh UUID's text."""
    digits = os.urandom(16).hex()
    return "-".join((digits[:8], digits[8:12], "4" + digits[13:16], "a" + digits[17:20], digits[20:]))
