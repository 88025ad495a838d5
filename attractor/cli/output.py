"""Standard output and error that may be closed, full or gone: nothing here raises for that.

A stream that failed is pointed at /dev/null, so that what Python still holds for it does not fail again at exit
(and turn the exit status into 120). What a run does never depends on who reads its messages.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

STDOUT, STDERR = 1, 2


def plug_missing_streams() -> None:
    """Open /dev/null in place of standard streams that are closed: files opened later must not take their numbers."""
    for fd in (0, STDOUT, STDERR):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def say(text: str) -> None:
    """A message on standard error, where anybody can still be told."""
    quietly(lambda: click.echo(text, err=True))


def write(text: str) -> None:
    """A text on standard error as it is, such as a prompt."""
    quietly(lambda: click.echo(text, err=True, nl=False))


def quietly(write: Callable[[], object]) -> None:
    """Do something that writes to standard error; that it is dead is nobody's concern."""
    try:
        write()
    except (OSError, ValueError):
        _mute(STDERR)


@contextmanager
def tolerated() -> Iterator[None]:
    """For results whose showing must not decide the exit code: a standard output that fails is said, once."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        lost(error)


def finish() -> bool:
    """Write out what is buffered; False where standard output could not take it, which has been said then."""
    quietly(lambda: sys.stderr is not None and sys.stderr.flush())
    if sys.stdout is None:
        say("attractor: standard output is closed: what belongs there was not shown")
        return False
    try:
        sys.stdout.flush()
    except OSError as error:
        lost(error)
        return False
    return True


def lost(error: OSError) -> None:
    """Standard output could not take something: say so, and let it be."""
    _mute(STDOUT)
    if not isinstance(error, BrokenPipeError):  # the reader (head, less) has seen enough: nothing to tell
        say(f"attractor: cannot write to standard output: {error.strerror or error}")


def _mute(fd: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, fd)
    os.close(null)
