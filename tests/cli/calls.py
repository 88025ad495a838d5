"""Calling the command line in this process: the same front as `attractor`, without starting one."""

from dataclasses import dataclass

import pytest

from attractor.cli import run_cli


@dataclass(frozen=True)
class Done:
    """How a call ended and what it printed."""

    code: int
    out: str
    err: str


class Calls:
    """`calls("validate", "g.dot")` gives a Done."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *arguments: str) -> Done:
        self._capfd.readouterr()
        code = run_cli(arguments)
        return Done(code, *self._capfd.readouterr())
