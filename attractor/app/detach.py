"""`run --detach` and `resume --detach`: a child in a session of its own, which the launcher's end does not touch.

The launcher makes sure the run can begin, starts the child, and waits on a pipe until the child owns the run: only
then it reports success. A child that dies before that takes its reason to `run.out`, which the launcher shows.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from attractor.errors import RunDirectoryError
from attractor.rundir import Layout, make_directory

READY_TIMEOUT_SECONDS = 60.0
RESUME_WAIT_SECONDS = 600.0  # a large worktree may have to be put back first
END_GRACE_SECONDS = 5.0
READY_FD_VARIABLE = "ATTRACTOR_READY_FD"


@dataclass(frozen=True, slots=True)
class Launched:
    """The child owns its run."""

    pid: int
    pid_file: Path


def launch(
    layout: Layout,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    wait_seconds: float = READY_TIMEOUT_SECONDS,
) -> Launched:
    """Start `attractor ARGUMENTS` detached and wait until it owns the run in `layout`.

    A child that has not come so far in time is ended: nobody would look for a run that was said not to begin.
    """
    existed = layout.root.exists()
    make_directory(layout.root)
    said_before = layout.out.stat().st_size if layout.out.exists() else 0
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    try:
        process = _spawn(layout, arguments, environment, write_fd)
    finally:
        os.close(write_fd)
    with os.fdopen(read_fd, "rb") as ready:
        in_time = _readable(ready.fileno(), wait_seconds)
        owned = in_time and ready.read(1) == b"1"  # b"" at the child's end, whatever ended it
    if owned:
        # It lives on by itself; nobody here waits for it.
        process.returncode = 0
        return Launched(process.pid, layout.pid)
    if not in_time:
        _end(process)
    code = process.wait()
    said = _take_output(layout, said_before, keep_folder=existed)
    if not in_time:
        raise RunDirectoryError(
            f"the detached run did not begin within {wait_seconds:g} s and was ended: {said or 'it said nothing'}",
            hint="run it without --detach to see what it waits for",
        )
    raise RunDirectoryError(
        f"the detached run did not begin (exit status {code}): {said or _why_silent(layout)}",
        hint=None if said else "run it without --detach to see why",
    )


def _why_silent(layout: Layout) -> str:
    """What it says goes into a file of the run's own."""
    try:
        room = os.statvfs(layout.root if layout.root.exists() else layout.root.parent).f_bavail
    except OSError:
        room = 1
    return "it said nothing" if room else f"there is no room left at {layout.root} for what it says"


def _readable(fd: int, wait_seconds: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(wait_seconds * 1000))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a child that does not get on, with its whole session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_GRACE_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _spawn(
    layout: Layout, arguments: Sequence[str], environment: Mapping[str, str], write_fd: int
) -> subprocess.Popen[bytes]:
    with open(layout.out, "ab") as out:
        return subprocess.Popen(
            # -P: the current directory must not become a place to import from.
            [sys.executable, "-P", "-m", "attractor", *arguments],
            cwd="/",
            env={**environment, READY_FD_VARIABLE: str(write_fd)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=(write_fd,),
            start_new_session=True,
        )


def _take_output(layout: Layout, said_before: int, *, keep_folder: bool) -> str:
    """What the child said, behind what is there of earlier ones; its folder goes where it holds nothing else."""
    said = layout.out.read_bytes()[said_before:].decode(errors="replace").strip()
    if not keep_folder and {p.name for p in layout.root.iterdir()} <= {"run.out"}:
        layout.out.unlink(missing_ok=True)
        with suppress(OSError):
            layout.root.rmdir()
    return said.removeprefix("attractor: error: ")


def announce_ownership(environment: Mapping[str, str]) -> None:
    """In the child: tell the launcher, if there is one, that the run is owned."""
    fd = environment.get(READY_FD_VARIABLE, "")
    if not fd.isdigit():
        return
    with suppress(OSError):
        os.write(int(fd), b"1")
    with suppress(OSError):
        os.close(int(fd))
