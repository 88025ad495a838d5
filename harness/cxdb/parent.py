"""What the server process asks of the operating system: to end with its parent, and enough open files.

Two ways to end with the parent, because each has a gap. The kernel's parent-death signal (Linux) is
instant and reaches a stopped process too, but it fires when the *thread* that started the child ends. A
look at the parent's pid once a second has no such surprise, works everywhere, and needs a running process.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

__all__ = ["parent_watch", "raise_file_limit"]

_PR_SET_PDEATHSIG = 1
_WANTED_FILES = 65536


def parent_watch(*, die_with_parent: bool, parent_pid: int | None) -> Callable[[], bool] | None:
    """A question to ask now and then ("is the parent gone?"), None when nobody cares.

    With `die_with_parent` the kernel is asked as well, where it can be.
    """
    if not die_with_parent and parent_pid is None:
        return None
    expected = os.getppid() if parent_pid is None else parent_pid
    if die_with_parent and sys.platform == "linux":
        # SIGKILL, as a stopped process handles nothing else; all that was acknowledged is written already
        _set_parent_death_signal(signal.SIGKILL)
    return lambda: os.getppid() != expected


def _set_parent_death_signal(number: int) -> None:
    import ctypes

    with suppress(OSError, AttributeError):  # without it, the watch above still works
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def raise_file_limit() -> None:
    """One connection is one open file; the usual soft limit of 1024 is for programs that use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
