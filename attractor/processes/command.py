"""Runs one command of a stage: its own session, output straight to files, bounded in time, stoppable.

The output never passes through the engine, so its size costs nothing. The command leads a session of its own:
no terminal, and one address for the whole tree. A stage ends when its command ends; what it left behind in
its process group is ended with it. What made itself a session of its own (`setsid`) lives on for later stages
and is ended with the run.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attractor.contracts import Stop
from attractor.processes.tree import STAGE_TOKEN_VARIABLE, end_stage, group_exists

HEARTBEAT_SECONDS = 10.0
DEFAULT_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended. `exit_code` is negative for death by that signal; None where it was ended by us."""

    exit_code: int | None
    timed_out: bool
    stopped: bool
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one command. `grace_seconds`: from SIGTERM to SIGKILL."""

    timeout_seconds: float | None = None
    grace_seconds: float = DEFAULT_GRACE_SECONDS
    heartbeat_seconds: float = HEARTBEAT_SECONDS


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
) -> CommandResult:
    """Run `argv` to its end, its timeout or a stop. Raises OSError where it cannot be started at all."""
    started = time.monotonic()
    process = _spawn(argv, cwd, environment, stdout, stderr)
    token = environment.get(STAGE_TOKEN_VARIABLE, "")
    try:
        ended = _wait(process, started, limits, stop, heartbeat)
    except BaseException:
        end_stage(process.pid, token, grace_seconds=0.0)
        process.wait()
        raise
    if ended:
        code = process.wait()
        if group_exists(process.pid):
            end_stage(process.pid, token, grace_seconds=limits.grace_seconds)
        return CommandResult(code, False, False, time.monotonic() - started)
    end_stage(process.pid, token, grace_seconds=limits.grace_seconds)
    process.wait()
    stopped = stop.requested
    return CommandResult(None, not stopped, stopped, time.monotonic() - started)


def _spawn(
    argv: Sequence[str], cwd: Path, environment: Mapping[str, str], stdout: Path, stderr: Path
) -> subprocess.Popen[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    out = os.open(stdout, flags, 0o600)
    try:
        err = os.open(stderr, flags, 0o600)
        try:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=cwd,
                env=environment,
                start_new_session=True,
            )
        finally:
            os.close(err)
    finally:
        os.close(out)


def _wait(
    process: subprocess.Popen[bytes],
    started: float,
    limits: Limits,
    stop: Stop,
    heartbeat: Callable[[float], None] | None,
) -> bool:
    """True when the process ended by itself, False when its time is up or stop was requested."""
    poller, pidfd = _poller(process.pid, stop)
    deadline = None if limits.timeout_seconds is None else started + limits.timeout_seconds
    next_beat = started + limits.heartbeat_seconds
    try:
        while True:
            now = time.monotonic()
            if stop.requested or (deadline is not None and now >= deadline):
                return process.poll() is not None
            wake = next_beat if deadline is None else min(deadline, next_beat)
            if pidfd is None:
                wake = min(wake, now + 0.02)
            poller.poll(max(0.0, wake - now) * 1000 + 1)
            if process.poll() is not None:
                return True
            if heartbeat is not None and time.monotonic() >= next_beat:
                heartbeat(time.monotonic() - started)
                next_beat = time.monotonic() + limits.heartbeat_seconds
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


def describe_exit(code: int) -> str:
    """`exit status 3`, or `killed by SIGSEGV` for the negative codes of `subprocess`."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
