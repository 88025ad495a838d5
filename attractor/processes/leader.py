"""The first process of the stage that runs now, noted down: a crash leaves it behind, resume ends its session.

The token in the environment finds what a stage started, unless it wiped its environment. The session finds that too,
unless it left the session. Nothing but both leaves a process unfound. (Linux: /proc; elsewhere the token alone.)
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NOTE_BYTES = 200


def note_leader(note: Path, pid: int) -> None:
    """Write down a session leader by pid and start time. Written in place: it is read only after a crash."""
    ticks = start_ticks(pid)
    # The file lies where stages can put a link, or a pipe, in its place.
    fd = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        os.pwrite(fd, f"{pid} {ticks or 0}".ljust(40).encode() + b"\n", 0)
    finally:
        os.close(fd)


def noted_session(note: Path) -> list[int]:
    """The living members of the session whose leader was noted; none where its pid belongs to another process now."""
    try:
        fd = os.open(note, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as stream:
            pid, ticks = (int(word) for word in stream.read(NOTE_BYTES).split())
    except (OSError, ValueError):
        return []
    now = start_ticks(pid)
    if now is not None and now != ticks:
        return []  # the number was given out again, so nobody of that session was left
    members = []
    for name in _pids():
        with suppress(OSError):
            if os.getsid(name) == pid:
                members.append(name)
    return members


def start_ticks(pid: int) -> int | None:
    """When a process began, in clock ticks since boot (proc(5), stat field 22); None where there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return int(stream.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
