"""Ending whole process trees: what a stage started, and what outlived a crash.

A process belongs to a run when its environment carries the run's token (inherited by every child, whatever
sessions and groups it makes for itself), or descends from one that does. Ended means: SIGTERM, a grace, SIGKILL,
and gone.

Where a stage's leader was noted (see `leader`), its session belongs to the run too. Linux and macOS through psutil. A
process that wiped its environment, left its session and was re-parented cannot be found.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attractor.processes.leader import noted_session

if TYPE_CHECKING:
    import psutil  # at run time only where a tree is to be ended: its import costs 20 ms

RUN_TOKEN_VARIABLE = "ATTRACTOR_RUN_TOKEN"
STAGE_TOKEN_VARIABLE = "ATTRACTOR_STAGE_TOKEN"
KILL_WAIT_SECONDS = 5.0
HURRY_SECONDS = 0.1  # how soon a hurry is seen
# A process may start another one between being found and being killed; each round finds those.
ROUNDS = 5
# While it becomes another program a process shows no environment: so long it is looked at again.
EXEC_LOOKS, EXEC_LOOK_SECONDS = 1000, 0.001
PF_KTHREAD = 0x00200000


def end_run(token: str, *, grace_seconds: float, leader_notes: Sequence[Path] = ()) -> tuple[int, ...]:
    """End every process of the run with this token, and the sessions noted in `leader_notes` with all that descends
    from it, except this process and its ancestors; the pids that were ended.
    """

    def members() -> list[int]:
        noted = [pid for note in leader_notes for pid in noted_session(note)]
        found = [*_marked(RUN_TOKEN_VARIABLE, token), *noted]
        return [*found, *(child for pid in found for child in _descendants(pid))]

    return _end_rounds(members, grace_seconds)


def end_stage(
    leader_pid: int, token: str, *, grace_seconds: float, hurry: Callable[[], bool] = lambda: False
) -> tuple[int, ...]:
    """End a stage: its session, all descendants of its first process, and strays that carry its token.

    The grace is over as soon as `hurry` says so.
    """

    def members() -> list[int]:
        return [*_descendants(leader_pid), *_session(leader_pid), *_marked(STAGE_TOKEN_VARIABLE, token)]

    return _end_rounds(members, grace_seconds, hurry)


def _end_rounds(
    members: Callable[[], list[int]], grace_seconds: float, hurry: Callable[[], bool] = lambda: False
) -> tuple[int, ...]:
    ended: tuple[int, ...] = ()
    for _ in range(ROUNDS):
        found = _end(members(), grace_seconds, hurry)
        if not found:
            break
        ended += found
    return ended


def group_exists(leader_pid: int) -> bool:
    """Whether a process group still has a member (a zombie counts)."""
    try:
        os.killpg(leader_pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _marked(variable: str, token: str) -> list[int]:
    needle = f"{variable}={token}".encode()
    if os.path.isdir("/proc/self"):
        return [pid for pid in _linux_pids() if _environment_has(pid, needle)]
    return _marked_by_psutil(variable, token)


def _linux_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environment_has(pid: int, needle: bytes) -> bool:
    environment = _environment(pid)
    for _ in range(EXEC_LOOKS):
        if environment:
            break
        before = _environment_end(pid)
        environment = _environment(pid)
        if before is None or (before and before == _environment_end(pid)):
            break
        time.sleep(EXEC_LOOK_SECONDS)
    return needle in environment.split(b"\0")


def _environment(pid: int) -> bytes:
    """Nothing of a process that is gone, another user's, or in the middle of `exec`."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def _environment_end(pid: int) -> int | None:
    """Where the environment ends in a process's memory (proc_pid_stat(5), env_end): 0 in the middle of `exec`, another
    address after it. None for one that has none: it is gone, a zombie or the kernel's, or nobody may look.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()  # from the state on, the third
        has_memory = fields[0] not in (b"Z", b"X") and not int(fields[6]) & PF_KTHREAD
        may_look = fields[23] != b"1"  # start_code, which is 1 for whoever may not
        return int(fields[48]) if has_memory and may_look else None
    except (OSError, IndexError, ValueError):
        return None


def _marked_by_psutil(variable: str, token: str) -> list[int]:
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(variable) == token:
                found.append(process.pid)
    return found


def _descendants(pid: int) -> list[int]:
    import psutil

    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.Error:
        return []


def _session(leader_pid: int) -> list[int]:
    import psutil

    members = []
    for pid in psutil.pids():
        with suppress(OSError):
            if os.getsid(pid) == leader_pid:
                members.append(pid)
    return members


def _end(pids: Iterable[int], grace_seconds: float, hurry: Callable[[], bool]) -> tuple[int, ...]:
    import psutil

    try:
        spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    except psutil.Error as error:
        raise OSError(f"the ancestors of this process cannot be looked up: {error.__cause__ or error}") from error
    processes = []
    for pid in dict.fromkeys(pids):
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if pid not in spared and is_alive(process):
                processes.append(process)
    _signal_all(processes, signal.SIGTERM)
    alive = _wait_gone(processes, grace_seconds, hurry)
    _signal_all(alive, signal.SIGKILL)
    _wait_gone(alive, KILL_WAIT_SECONDS)
    return tuple(process.pid for process in processes)


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs. A zombie does not: it only waits for its parent, which may never ask."""
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _wait_gone(
    processes: Sequence[psutil.Process], seconds: float, hurry: Callable[[], bool] = lambda: False
) -> list[psutil.Process]:
    """Wait until all have ended, within a bound and no longer than until `hurry`; those that have not."""
    deadline = time.monotonic() + seconds
    while alive := [process for process in processes if is_alive(process)]:
        left = deadline - time.monotonic()
        if left <= 0 or hurry():
            break
        _wait_for_one(alive[0].pid, min(left, HURRY_SECONDS))
    return alive


def _wait_for_one(pid: int, seconds: float) -> None:
    try:
        fd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        time.sleep(min(seconds, 0.01))  # macOS, old kernels, or just ended
        return
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        poller.poll(seconds * 1000 + 1)
    finally:
        os.close(fd)


def _signal_all(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    import psutil

    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)
