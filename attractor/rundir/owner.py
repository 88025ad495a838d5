"""Who owns a run: one engine process at a time (DESIGN 2.4).

The lock itself is `flock`, which the kernel gives back when the holder dies, however it dies. The file's
content (pid, start time, host) is for people and for `status` and `stop`; it never decides who owns.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from attractor.errors import RunDirectoryError
from attractor.rundir.files import encode_json, write_atomic
from attractor.rundir.layout import Layout


class Owner(msgspec.Struct, frozen=True):
    """The engine process that holds, or last held, a run. `start_time`: seconds since the epoch."""

    pid: int
    start_time: float
    host: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@dataclass(slots=True)
class RunLock:
    """Held ownership; released by `release` or by the process's end."""

    fd: int
    owner: Owner

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def process_start_time(pid: int) -> float | None:
    """When a process began, in seconds since the epoch; None where there is no such process."""
    import psutil  # only for ownership and process trees: its import costs 20 ms

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.create_time()
    except psutil.NoSuchProcess:
        return None


def acquire(layout: Layout) -> RunLock:
    """Take the run over, or raise RunDirectoryError that names who holds it."""
    fd = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        holder = read_owner(layout)
        raise RunDirectoryError(
            f"the run in {layout.root} is in use by {holder or 'another process'}",
            hint=f"watch it with `attractor status --logs-root {layout.root}`, "
            f"end it with `attractor stop --logs-root {layout.root}`",
        ) from None
    owner = Owner(os.getpid(), process_start_time(os.getpid()) or 0.0, socket.gethostname())
    os.ftruncate(fd, 0)
    os.pwrite(fd, encode_json(owner) + b"\n", 0)
    write_atomic(layout.pid, f"{owner.pid}\n".encode(), durable=False)
    return RunLock(fd, owner)


def is_held(layout: Layout) -> bool:
    """Whether an engine process owns the run at this moment."""
    try:
        fd = os.open(layout.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # A shared lock is refused exactly while someone holds the exclusive one.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def read_owner(layout: Layout) -> Owner | None:
    """The present or last owner as it wrote itself down; None where nothing readable is there."""
    try:
        return msgspec.json.decode(layout.lock.read_bytes(), type=Owner)
    except (OSError, msgspec.DecodeError):
        return None


def living_owner(layout: Layout) -> Owner | None:
    """The owner, where it holds the run and is that very process (pid and start time)."""
    owner = read_owner(layout)
    if owner is None or not is_held(layout):
        return None
    started = process_start_time(owner.pid)
    return owner if started is not None and abs(started - owner.start_time) < 1.0 else None


def runs_home(environment: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/attractor/runs`, by default below `~/.local/state`."""
    state = environment.get("XDG_STATE_HOME") or ""
    base = Path(state) if state.startswith("/") else Path(environment.get("HOME") or "/") / ".local" / "state"
    return base / "attractor" / "runs"
