"""Processes as the harness sees them: by pid and start time, by a marker in their environment.

Rules: a pid alone names nothing, because pids are used again; a signal goes only to a process whose
start time was checked. A zombie counts as gone: it runs no more. Everything a case starts carries
HARNESS_CASE (which case) and HARNESS_OWNER (which harness process, by pid and start time) in its
environment and, unless it sheds them, hands them to what it starts; so leftovers can be found even when
nobody remembers their pids. Reads /proc where there is one (psutil elsewhere); knows no engine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import psutil

__all__ = [
    "CASE_MARKER",
    "OWNER_MARKER",
    "ProcessIdentity",
    "alive",
    "carries",
    "children",
    "clean_environment",
    "describe_exit",
    "dying_with_parent",
    "end_all",
    "feel_signals",
    "identify",
    "is_stopped",
    "marked_processes",
    "own_identity",
    "owner_mark",
    "send",
    "sweep_orphans",
    "unprivileged",
    "until",
]

CASE_MARKER = "HARNESS_CASE"
OWNER_MARKER = "HARNESS_OWNER"
TICK_SECONDS = 0.01


@dataclasses.dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process for all time: the pid and when it began (clock ticks since boot, or seconds elsewhere)."""

    pid: int
    started: str
    command: str = dataclasses.field(default="", compare=False)

    def __str__(self) -> str:
        return f"pid {self.pid} (started {self.started}) {self.command}".rstrip()


def identify(pid: int) -> ProcessIdentity | None:
    """The running process with that pid; None when there is none or only its zombie."""
    if not Path("/proc/self/stat").exists():
        return _identify_without_proc(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()  # the name in front may hold anything
    if fields[0] in "ZX":
        return None
    words = command.replace(b"\0", b" ").decode(errors="replace").split()
    return ProcessIdentity(pid, fields[19], " ".join(words)[:160])


def _identify_without_proc(pid: int) -> ProcessIdentity | None:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return ProcessIdentity(pid, str(process.create_time()), " ".join(process.cmdline())[:200])
    except psutil.Error:
        return None


def alive(identity: ProcessIdentity) -> bool:
    return identify(identity.pid) == identity


def children(parent: ProcessIdentity) -> list[ProcessIdentity]:
    """What that process has started itself and has not ended yet."""
    if not alive(parent):
        return []
    with contextlib.suppress(psutil.Error):
        found = (identify(child.pid) for child in psutil.Process(parent.pid).children())
        return [identity for identity in found if identity is not None]
    return []


def is_stopped(pid: int) -> bool:
    """Whether a signal has made that process stand still."""
    with contextlib.suppress(OSError, ValueError):
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        return stat[stat.rindex(")") + 2] == "T"
    return False


def own_identity() -> ProcessIdentity:
    found = identify(os.getpid())
    assert found is not None, "this process runs"
    return found


def send(identity: ProcessIdentity, number: int) -> bool:
    """True when the signal went to that very process while it was alive."""
    if not alive(identity):
        return False
    try:
        os.kill(identity.pid, number)
    except ProcessLookupError:
        return False
    return True


def until(condition: Callable[[], bool], seconds: float, tick: Callable[[], None] | None = None) -> bool:
    """Looks every 10 ms until the condition holds or the time is over; says whether it held.

    The only place where the harness waits. Processes that are not our children, files and event lines
    have no common thing to block on, and a look costs microseconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        if tick is not None:
            tick()
        if condition():
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(TICK_SECONDS)


def _environments() -> Iterable[tuple[int, bytes]]:
    """Each process's environment as far as it may be seen, every entry between two NUL bytes."""
    if not Path("/proc/self/environ").exists():
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                entries = "".join(f"{name}={value}\0" for name, value in process.environ().items())
                yield process.pid, b"\0" + entries.encode(errors="surrogateescape")
        return
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # gone meanwhile, or somebody else's
                yield int(entry.name), b"\0" + Path(f"/proc/{entry.name}/environ").read_bytes()


def marked_processes(case: str) -> list[ProcessIdentity]:
    """Running processes that carry this case's marker, this one excepted."""
    needle = f"\0{CASE_MARKER}={case}\0".encode()
    pids = [pid for pid, environment in _environments() if needle in environment and pid != os.getpid()]
    return [identity for identity in map(identify, pids) if identity is not None]


def carries(pid: int, case: str) -> bool:
    """Whether that process belongs to the case; where environments cannot be read, it is believed."""
    if not Path("/proc/self/environ").exists():
        return True
    try:
        return f"{CASE_MARKER}={case}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def end_all(find: Callable[[], list[ProcessIdentity]], seconds: float = 5.0) -> list[ProcessIdentity]:
    """SIGKILLs what `find` finds until it finds nothing; returns all that were hit.

    Looks again after each round, since a process may have started another while it was being ended.
    """
    hit: dict[ProcessIdentity, None] = {}

    def nothing_left() -> bool:
        found = find()
        for identity in found:
            if send(identity, signal.SIGKILL):
                hit[identity] = None
        return not found

    until(nothing_left, seconds)
    return list(hit)


def sweep_orphans() -> list[ProcessIdentity]:
    """Ends what a harness process that is no longer alive (say, SIGKILLed) has left running."""
    prefix = f"\0{OWNER_MARKER}=".encode()

    def orphans() -> list[ProcessIdentity]:
        found = []
        for pid, environment in _environments():
            start = environment.find(prefix)
            if start < 0:
                continue
            owner = environment[start + len(prefix) :].split(b"\0", 1)[0].decode(errors="replace")
            owner_pid, _, started = owner.partition(":")
            if owner_pid.isdigit() and not alive(ProcessIdentity(int(owner_pid), started)):
                found.append(identify(pid))
        return [identity for identity in found if identity is not None]

    return end_all(orphans)


def feel_signals() -> None:
    """What the harness was told to ignore (by nohup, by a script's background) must not be ignored by what it starts.

    A handler that does nothing ignores the signal here, and is not passed on. For a process's main thread.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def owner_mark() -> str:
    me = own_identity()
    return f"{me.pid}:{me.started}"


def dying_with_parent(argv: Sequence[str]) -> list[str]:
    """The command, made to end when the harness does, even by SIGKILL, where util-linux can do that.

    By a wrapper that execs, not by `preexec_fn`: forking a process that has threads is no longer sound.
    The setting does not pass to grandchildren, so it never distorts what an engine does for itself;
    those, and all children elsewhere, are found by their marker at the next start.
    """
    setpriv = shutil.which("setpriv") if sys.platform.startswith("linux") else None
    return [*([setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []), *argv]


def unprivileged(argv: Sequence[str]) -> list[str]:
    """The command without root's right to write where permissions forbid it; as it is for anybody else.

    Raises OSError where a root's rights cannot be taken away.
    """
    if os.geteuid() != 0:
        return list(argv)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise OSError("setpriv (util-linux) is not installed")
    return [setpriv, "--bounding-set", "-dac_override,-dac_read_search", "--", *argv]


def describe_exit(code: int | None) -> str:
    if code is None:
        return "still running"
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit {code}"


def clean_environment(marker: Mapping[str, str], home: Path, temporary: Path) -> dict[str, str]:
    """What a case's processes get: nothing of the user's git, engine or desktop settings."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "GIT_CONFIG_NOSYSTEM": "1",
        **marker,
    }
