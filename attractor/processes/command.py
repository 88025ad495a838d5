"""Runs one command of a stage: its own session, output straight to files, bounded in time, stoppable.

The output never passes through the engine, so its size costs nothing. The command leads a session of its own:
no terminal, and one address for the whole tree. A stage ends when its command ends; what it left behind in
its process group is ended with it. What made itself a session of its own (`setsid`) lives on for later stages
and is ended with the run, unless the caller wants strays ended at once.
"""

from __future__ import annotations

import math
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from attractor.contracts import Stop
from attractor.processes.leader import note_leader
from attractor.processes.tree import STAGE_TOKEN_VARIABLE, end_stage, group_exists

HEARTBEAT_SECONDS = 10.0
WATCH_SECONDS = 0.25
DEFAULT_GRACE_SECONDS = 5.0


class EndedBy(Enum):
    """Who ended a command: itself, its time limit, a stop of the run, or its watcher."""

    ITSELF = auto()
    TIMEOUT = auto()
    STOP = auto()
    WATCH = auto()


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended. `exit_code` is negative for death by that signal.

    It is also known where the command was ended by us: some programs end with 0 when told to terminate, so
    it never means success unless `ended_by` is ITSELF. `verdict` is the watcher's reason.
    """

    exit_code: int
    ended_by: EndedBy
    duration_seconds: float
    verdict: str = ""

    @property
    def timed_out(self) -> bool:
        return self.ended_by is EndedBy.TIMEOUT

    @property
    def stopped(self) -> bool:
        return self.ended_by is EndedBy.STOP


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one command. `grace_seconds`: from SIGTERM to SIGKILL. `watch_seconds`: how often a watcher looks."""

    timeout_seconds: float | None = None
    grace_seconds: float = DEFAULT_GRACE_SECONDS
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    watch_seconds: float = WATCH_SECONDS


def run_command(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    stdout: Path,
    stderr: Path,
    limits: Limits,
    stop: Stop,
    heartbeat: Callable[[float], None] | None = None,
    watch: Callable[[], str] | None = None,
    stdin: Path | None = None,
    leader_note: Path | None = None,
    end_strays: bool = False,
) -> CommandResult:
    """Run `argv` to its end, its timeout, a stop, or until `watch` returns a reason to end it.

    With `end_strays`, what left the command's session is ended with it, too. Raises OSError where it cannot be
    started at all.
    """
    started = time.monotonic()
    process = _spawn(argv, cwd, environment, stdout, stderr, stdin)
    token = environment.get(STAGE_TOKEN_VARIABLE, "")
    try:
        if leader_note is not None:
            with suppress(OSError):  # a second means, for after a crash: not worth failing a stage that is at work
                note_leader(leader_note, process.pid)
        ended_by, verdict = _wait(process, started, limits, stop, heartbeat, watch)
    except BaseException:
        end_stage(process.pid, token, grace_seconds=0.0)
        process.wait()
        raise
    if end_strays or ended_by is not EndedBy.ITSELF or group_exists(process.pid):
        end_stage(process.pid, token, grace_seconds=limits.grace_seconds, hurry=lambda: stop.urgent)
    code = process.wait()
    return CommandResult(code, ended_by, time.monotonic() - started, verdict)


def _spawn(
    argv: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    stdout: Path,
    stderr: Path,
    stdin: Path | None,
) -> subprocess.Popen[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    opened: list[int] = []
    try:
        opened.append(os.open(stdin or os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        opened += [os.open(path, flags, 0o600) for path in (stdout, stderr)]
        return subprocess.Popen(
            argv,
            stdin=opened[0],
            stdout=opened[1],
            stderr=opened[2],
            cwd=cwd,
            env=environment,
            start_new_session=True,
        )
    finally:
        for fd in opened:
            os.close(fd)


def _wait(
    process: subprocess.Popen[bytes],
    started: float,
    limits: Limits,
    stop: Stop,
    heartbeat: Callable[[float], None] | None,
    watch: Callable[[], str] | None,
) -> tuple[EndedBy, str]:
    """Wait until the process ends or is to be ended; who is to blame, and the watcher's reason."""
    poller, pidfd = _poller(process.pid, stop)
    deadline = math.inf if limits.timeout_seconds is None else started + limits.timeout_seconds
    next_beat = started + limits.heartbeat_seconds
    next_watch = started + limits.watch_seconds if watch is not None else math.inf
    try:
        while True:
            now = time.monotonic()
            if process.poll() is not None:
                return EndedBy.ITSELF, ""
            if stop.requested or now >= deadline:
                return EndedBy.STOP if stop.requested else EndedBy.TIMEOUT, ""
            if watch is not None and now >= next_watch:
                if verdict := watch():
                    return EndedBy.WATCH, verdict
                next_watch = time.monotonic() + limits.watch_seconds
            if now >= next_beat:
                next_beat = now + limits.heartbeat_seconds
                if heartbeat is not None:
                    heartbeat(now - started)
            wake = min(deadline, next_beat, next_watch, math.inf if pidfd is not None else now + 0.02)
            poller.poll(max(0.0, wake - time.monotonic()) * 1000 + 1)
    finally:
        if pidfd is not None:
            os.close(pidfd)


def _poller(pid: int, stop: Stop) -> tuple[select.poll, int | None]:
    poller = select.poll()
    poller.register(stop.fileno(), select.POLLIN)
    try:
        pidfd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return poller, None  # macOS, old kernels: the caller looks every 20 ms
    poller.register(pidfd, select.POLLIN)
    return poller, pidfd


def tied_to_parent(argv: Sequence[str], path: str | None) -> tuple[str, ...]:
    """The same command, killed by the kernel when the engine dies (Linux with util-linux's setpriv; else unchanged).

    Costs one exec more, so it is for programs that run long. What they start themselves is found by its token.
    """
    setpriv = shutil.which("setpriv", path=path) if sys.platform == "linux" else None
    return (setpriv, "--pdeathsig", "KILL", "--", *argv) if setpriv else tuple(argv)


def describe_exit(code: int) -> str:
    """`exit status 3`, or `killed by SIGSEGV` for the negative codes of `subprocess`."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
