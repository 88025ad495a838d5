"""Where a kill or an error can land in terms of the kernel: the n-th call of one kind; strace's words for it.

Pure: a trace -> calls; calls -> injections; an injection -> arguments. Only the engine's main thread is followed where
that is where it works, as strace counts for each thread by itself, and the programs that an engine starts would be hit
in its place. With `follow` all are, and whose call was hit is then read from the trace.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

from harness.crash.points import spread

__all__ = [
    "KILL",
    "Call",
    "Injection",
    "calls_of",
    "engine_threads",
    "injections_of",
    "interesting",
    "is_stable",
    "kind_of",
    "parse_injection",
    "strace_words",
    "was_hit",
]

KILL = "KILL"


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """What a call does to the outside, the calls that do it, and how a machine in trouble answers them."""

    calls: tuple[str, ...]
    errors: tuple[str, ...]


KINDS: Mapping[str, Kind] = {
    "rename": Kind(("rename", "renameat", "renameat2"), ("ENOSPC", "EIO", "EDQUOT", "EACCES")),
    "sync": Kind(("fsync", "fdatasync"), ("EIO", "ENOSPC", "EDQUOT")),
    "open": Kind(("openat",), ("EMFILE", "EACCES", "ENOSPC", "EDQUOT")),
    "write": Kind(("write", "pwrite64"), ("ENOSPC", "EIO", "EDQUOT")),
    "send": Kind(("sendto", "sendmsg"), ("ECONNRESET",)),
}
# A full disk does not keep an engine from writing to its standard error, so these fail by path only.
BY_PATH = KINDS["write"].calls
SOCKETS = ("socket:", "TCP:", "TCPv6:", "UNIX:")  # how strace names one
CALL_NAMES = tuple(call for kind in KINDS.values() for call in kind.calls)

_LINE = re.compile(r"(?:(?P<pid>\d+)\s+)?(?P<name>[a-z][a-z0-9_]*)\((?P<rest>.*)")
_RESUMED = re.compile(r"(?:(?P<pid>\d+)\s+)?<\.\.\. (?P<name>[a-z][a-z0-9_]*) resumed>(?P<rest>.*)")
_FOR_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT")


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One line of a trace; `nth` of its name in its thread, counted from 1."""

    name: str
    nth: int
    thread: str  # "" where only one is followed
    path: str  # the file, "" for none
    text: str

    @property
    def injected(self) -> bool:
        return "(INJECTED)" in self.text


def calls_of(trace: str) -> tuple[Call, ...]:
    counted = Counter[tuple[str, str]]()
    found = []
    for line in trace.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        thread, name = match["pid"] or "", match["name"]
        counted[thread, name] += 1
        found.append(Call(name, counted[thread, name], thread, _path(name, match["rest"]), line))
    return tuple(found)


def _path(name: str, rest: str) -> str:
    """The first file that a call names; of those that take a descriptor, what strace says it is."""
    if name in ("openat", "rename", "renameat", "renameat2"):
        words = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
        return words[-1 if name.startswith("rename") else 0] if words else ""
    match = re.match(r"\d+<(?P<what>[^>]*)>", rest)
    return match["what"] if match else ""


def engine_threads(trace: str) -> frozenset[str]:
    """The engine's own: its first, and those made with CLONE_THREAD. Programs that it starts are not among them."""
    threads: set[str] = set()
    starting: set[str] = set()
    for line in trace.splitlines():
        pid = line.split(" ", 1)[0]
        threads |= set() if threads or not pid.isdigit() else {pid}
        resumed = _RESUMED.match(line)
        is_clone = "CLONE_THREAD" in line or (resumed is not None and pid in starting and "clone" in resumed["name"])
        made = re.search(r"= (\d+)(?:<[^>]*>)?$", line)
        if is_clone and made:
            threads.add(made[1])
            starting.discard(pid)
        elif is_clone:
            starting.add(pid)
    return frozenset(threads)


def kind_of(call_name: str) -> str:
    return next(name for name, kind in KINDS.items() if call_name in kind.calls)


def interesting(call: Call, root: str) -> bool:
    """Whether it makes something of the run: a file below `root`, or a word to CXDB."""
    if call.name not in CALL_NAMES:
        return False
    if kind_of(call.name) == "send" or call.path.startswith(SOCKETS):
        return True
    return _is_inside(call, root) and (call.name != "openat" or bool(_FOR_WRITING.search(call.text)))


def _is_inside(call: Call, root: str) -> bool:
    return call.path.startswith(f"{root}/") and not PurePath(call.path).name.startswith("life-")


@dataclasses.dataclass(frozen=True, slots=True)
class Injection:
    """The n-th call of that name is the last (KILL), or fails with an error, alone or with all after it."""

    call: str
    nth: int
    what: str
    onward: bool = False

    def __str__(self) -> str:
        return f"{self.call}#{self.nth}:{self.what}{'+' if self.onward else ''}"

    @property
    def is_kill(self) -> bool:
        return self.what == KILL

    @property
    def by_path(self) -> bool:
        return not self.is_kill and self.call in BY_PATH


def parse_injection(text: str) -> Injection:
    """Raises ValueError."""
    match = re.fullmatch(r"(?P<call>[a-z0-9]+)#(?P<n>[1-9]\d*):(?P<what>KILL|E[A-Z]+)(?P<onward>\+?)", text)
    if match is None or match["call"] not in CALL_NAMES or (match["what"] == KILL and match["onward"]):
        example = "rename#4:KILL, fsync#2:EIO or openat#900:ENOSPC+ (from then on)"
        raise ValueError(f"{text!r} is not CALL#N:WHAT, such as {example}; calls: {', '.join(CALL_NAMES)}")
    return Injection(match["call"], int(match["n"]), match["what"], bool(match["onward"]))


def injections_of(calls: Sequence[Call], root: str, sample: int) -> tuple[Injection, ...]:
    """Of each kind so many kills, evenly over the run, and so many errors, each error in its turn."""
    found: list[Injection] = []
    # A thread fails at its own n-th call, and the busiest one comes to it first.
    threads = Counter(call.thread for call in calls)
    busiest = threads.most_common(1)[0][0] if threads else ""
    for kind in KINDS.values():
        here = [call for call in calls if call.name in kind.calls and interesting(call, root)]
        kills = dict.fromkeys(Injection(call.name, call.nth, KILL) for call in here)
        found += spread(tuple(kills), sample)
        failing = [call for call in here if call.thread == busiest]
        failing = _by_path(failing) if kind.calls == BY_PATH else failing
        places = tuple(dict.fromkeys((call.name, call.nth) for call in failing))
        for number, (name, nth) in enumerate(spread(places, sample)):
            found.append(Injection(name, nth, kind.errors[number % len(kind.errors)], onward=True))
    return tuple(found)


def _by_path(calls: Iterable[Call]) -> list[Call]:
    """Only calls on files whose names are the same in every run, and counted among those alone."""
    counted = Counter[tuple[str, str]]()
    found = []
    for call in calls:
        if is_stable(call.path):
            counted[call.thread, call.name] += 1
            found.append(dataclasses.replace(call, nth=counted[call.thread, call.name]))
    return found


def is_stable(path: str) -> bool:
    """A file whose name is the same in every run; libgit2 and git name their temporary ones by chance."""
    return path.startswith("/") and "/tmp_obj" not in path


def strace_words(injection: Injection | None, *, follow: bool, paths: Iterable[str] = ()) -> list[str]:
    """strace and its options; without an injection, all calls of interest are recorded."""
    names = list(CALL_NAMES) if injection is None else [injection.call]
    names += ["execve", "clone", "clone3"] if follow else []  # who is the engine, and what are its threads
    words = ["strace", "-qq", "-y", "-s", "16", "-e", "signal=none", "-e", f"trace={','.join(names)}"]
    words += ["-f"] if follow else []
    if injection is not None:
        how = "signal=KILL" if injection.is_kill else f"error={injection.what}"
        words += ["-e", f"inject={injection.call}:{how}:when={injection.nth}{'+' if injection.onward else ''}"]
    for path in paths:
        words += ["-P", path]
    return words


def was_hit(injection: Injection, trace: str, root: str) -> str:
    """Why the injection has not happened to the engine as meant; '' when it has."""
    calls = [call for call in calls_of(trace) if call.name == injection.call]
    if injection.is_kill:
        hit = next((call for call in calls if call.nth == injection.nth), None)
    else:
        hit = next((call for call in calls if call.injected), None)
    if hit is None:
        return f"{injection} did not fire: there were {len(calls)} calls of {injection.call}"
    # By path, the calls that tell threads from programs are not in the trace; nobody else has those files.
    if hit.thread and not injection.by_path and hit.thread not in engine_threads(trace):
        return f"{injection} hit a program that the engine had started: {hit.text[:120]}"
    # An import that fails before there is anything of a run is not the run's trouble.
    begun = any(interesting(call, root) for call in calls[: calls.index(hit) + 1])
    if not injection.is_kill and not begun:
        return f"{injection} hit another call than the one that was meant: {hit.text[:120]}"
    return ""
