"""Who owns a run: one engine process at a time (DESIGN 2.4).

The lock itself is `flock`, which the kernel gives back when the holder dies, however it dies. The file's
content (pid, start time, host) is for people and for `status` and `stop`; it never decides who owns.

Whether a pid is still that process is asked in ticks since boot where there is /proc: a start time in seconds is
counted from the boot time, which moves when the clock is set.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from attractor.contracts import NotReadable, read_json
from attractor.errors import RunDirectoryError
from attractor.rundir.files import encode_json, write_atomic
from attractor.rundir.layout import Layout

HOLDER_SECONDS = 1.0


class Owner(msgspec.Struct, frozen=True):
    """The engine process that holds, or last held, a run. `start_time`: seconds since the epoch; `start_ticks`: as
    /proc has it, 0 where it is not known.
    """

    pid: int
    start_time: float
    host: str
    start_ticks: int = 0

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


def start_ticks(pid: int) -> int | None:
    """When a process began, in ticks since boot; None where it is not there, is a zombie, or there is no /proc."""
    try:
        # The name, in brackets, may hold anything, brackets too.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def is_there(owner: Owner) -> bool:
    """Whether the owner's pid is still that very process."""
    if owner.start_ticks and start_ticks(os.getpid()) is not None:
        return start_ticks(owner.pid) == owner.start_ticks
    started = process_start_time(owner.pid)
    return started is not None and abs(started - owner.start_time) < 1.0


def acquire(layout: Layout) -> RunLock:
    """Take the run over, or raise RunDirectoryError that names who holds it, or what is in the way."""
    fd = _open_lock(layout, os.O_RDWR | os.O_CREAT)
    try:
        locked = _locked(fd, layout)
    except OSError as error:
        os.close(fd)
        raise _unusable(layout, error) from error
    if not locked:
        os.close(fd)
        raise RunDirectoryError(
            f"the run in {layout.root} is in use by {read_owner(layout) or 'another process'}",
            hint=f"watch it with `attractor status --logs-root {layout.root}`, "
            f"end it with `attractor stop --logs-root {layout.root}`",
        )
    pid = os.getpid()
    try:
        owner = Owner(pid, process_start_time(pid) or 0.0, socket.gethostname(), start_ticks(pid) or 0)
        os.ftruncate(fd, 0)
        os.pwrite(fd, encode_json(owner) + b"\n", 0)
        write_atomic(layout.pid, f"{pid}\n".encode(), durable=False)
    except OSError as error:
        os.close(fd)
        raise _unusable(layout, error) from error
    except RunDirectoryError:
        os.close(fd)
        raise
    return RunLock(fd, owner)


def _locked(fd: int, layout: Layout) -> bool:
    """Whether the lock is ours. Not while the one who is written down is there.

    Where that one is dead, somebody else has the lock and has not written itself down yet, or a process that the dead
    one was about to start has it until it becomes another program: each for a moment.
    """
    deadline = time.monotonic() + HOLDER_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = read_owner(layout)
            if (owner is not None and is_there(owner)) or time.monotonic() >= deadline:
                return False  # one of another host is not there, and still the one
            time.sleep(0.01)
        else:
            return True


def _open_lock(layout: Layout, flags: int) -> int:
    try:
        return os.open(layout.lock, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except FileNotFoundError:
        if flags & os.O_CREAT:
            raise RunDirectoryError(f"{layout.root} is not there (any more)") from None
        raise
    except OSError as error:
        raise _unusable(layout, error) from error


def _unusable(layout: Layout, error: OSError) -> RunDirectoryError:
    return RunDirectoryError(
        f"cannot open {layout.lock}: {error.strerror or error}",
        hint="is it another user's run, or on a file system that cannot be written to?",
    )


def is_held(layout: Layout) -> bool:
    """Whether an engine process owns the run at this moment."""
    try:
        fd = _open_lock(layout, os.O_RDONLY)
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
        return read_json(layout.lock.read_bytes(), Owner)
    except (OSError, NotReadable):
        return None


def living_owner(layout: Layout) -> Owner | None:
    """The owner, where it holds the run and is that very process (pid and start time)."""
    owner = read_owner(layout)
    if owner is None or not is_held(layout):
        return None
    return owner if is_there(owner) else None


def runs_home(environment: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/attractor/runs`, by default below `~/.local/state`."""
    state = environment.get("XDG_STATE_HOME") or ""
    base = Path(state) if state.startswith("/") else Path(environment.get("HOME") or _home()) / ".local" / "state"
    return base / "attractor" / "runs"


def _home() -> str:
    """As the system knows it, for callers without HOME (cron, services)."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/"
