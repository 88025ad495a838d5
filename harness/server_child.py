"""What every server of the harness needs as a child process: found wherever it is started, ready when it says so,
gone with its starter.

Used by `EmbeddedCxdb` and `ScriptedProvider`; the servers' own side is `harness/cxdb/parent.py`. Must not know what
any server serves.
"""

from __future__ import annotations

import os
import selectors
import threading
import time
from pathlib import Path
from typing import IO

__all__ = ["environment", "first_line", "parent_arguments"]

_SOURCE_ROOT = str(Path(__file__).resolve().parents[1])


def environment() -> dict[str, str]:
    """Ours, with the harness importable whatever the current directory is."""
    inherited = os.environ.get("PYTHONPATH")
    path = f"{_SOURCE_ROOT}{os.pathsep}{inherited}" if inherited else _SOURCE_ROOT
    return {**os.environ, "PYTHONPATH": path}


def parent_arguments() -> list[str]:
    """The options that tell a server whose child it is."""
    arguments = ["--parent-pid", str(os.getpid())]
    if threading.current_thread() is threading.main_thread():
        # From another thread this would end the server together with that thread (see cxdb/parent.py).
        arguments.append("--die-with-parent")
    return arguments


def first_line(output: IO[bytes], timeout_seconds: float) -> tuple[str, bool]:
    """(what was printed up to the first line's end, whether the printing has ended), within the time."""
    deadline = time.monotonic() + timeout_seconds
    received = b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while not received.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return received.decode(errors="replace"), False
            piece = os.read(output.fileno(), 4096)
            if not piece:
                return received.decode(errors="replace"), True
            received += piece
    return received.decode(errors="replace"), False
