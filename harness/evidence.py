"""Evidence: all that was seen of a case, frozen before anything is judged.

Rules: values only. What could not be read is said so in place (`unreadable`), never left out silently:
a check must be able to tell "not there" from "there, but broken". Collected by `collect.py`, judged by
`checks/` and `audit.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from harness.repos import CheckoutState, Commit
from harness.results import CommandRecord, FaultRecord

__all__ = [
    "Artifact",
    "CaseEvidence",
    "Document",
    "EventLog",
    "FileSeen",
    "RunEvidence",
    "Snapshot",
    "StepOutcome",
    "Turn",
    "Turns",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One JSON file: its value, or why it has none."""

    path: str  # relative to the logs root
    value: Mapping[str, Any] | None = None
    unreadable: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class EventLog:
    """progress.ndjson, line by line."""

    events: tuple[Mapping[str, Any], ...] = ()
    torn: tuple[str, ...] = ()  # lines that are not one whole JSON object, with their number
    present: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    turn_type: str  # with its prefix
    depth: int
    data: Mapping[str, Any]
    turn_id: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Turns:
    """The CXDB side of a run. `unavailable` says why there is nothing to judge; empty: there is."""

    turns: tuple[Turn, ...] = ()
    unavailable: str = ""
    expected: bool = True  # False: the run was told to do without CXDB


@dataclasses.dataclass(frozen=True, slots=True)
class FileSeen:
    """A file as git would note it. `sha` '' where the content was not asked for."""

    mode: str
    sha: str
    size: int


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """The files that CXDB shows at a turn of a commit, and the commit's own, by path. `shown` None: it shows none."""

    commit: str
    depth: int
    shown: Mapping[str, FileSeen] | None = None
    committed: Mapping[str, FileSeen] = dataclasses.field(default_factory=dict)
    unreadable: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a turn names by its hash. `there`: whether the file still is what it names; `stored`: whether CXDB
    has that content.
    """

    name: str
    content_hash: str
    there: bool
    stored: bool
    unreadable: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunEvidence:
    """One run: its logs root, its branch, its context."""

    name: str
    run_id: str
    logs_root: str
    exists: bool = True  # the logs root
    log: EventLog = EventLog()
    finals: Mapping[str, Document] = dataclasses.field(default_factory=dict)  # "" base, "restart-1", ...
    checkpoints: Mapping[str, Document] = dataclasses.field(default_factory=dict)
    manifest: Document = Document("manifest.json")
    base_sha: str | None = None
    branch: str | None = None  # as the manifest or the first event names it
    tip: str | None = None  # commit at the branch
    commits: tuple[Commit, ...] = ()  # on the branch, after base, oldest first
    turns: Turns = Turns()
    snapshots: tuple[Snapshot, ...] | None = None  # None: the engine does not say that it makes any
    artifacts: tuple[Artifact, ...] = ()
    files: tuple[str, ...] = ()  # relative to the logs root, without the worktree
    contents: Mapping[str, str | None] = dataclasses.field(default_factory=dict)  # asked for by the scenario
    tree: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    output: str | None = None  # of a detached engine
    engine_alive: bool = False
    turn_prefix: str = ""
    git: bool = True  # False: no repository could be read
    # A branch of a fan-out is a run of its own: `name` is its <fan>/<pass>/<child>, its final word branch_result.json.
    parallel: tuple[RunEvidence, ...] = ()  # the branches of its own fan-outs
    whole_run_id: str = ""  # of a branch: the run that it is part of, whose id its commits carry

    @property
    def final(self) -> Document | None:
        return self.finals.get("")

    @property
    def is_branch(self) -> bool:
        return bool(self.whole_run_id)

    def all_branches(self) -> Iterator[RunEvidence]:
        """Of its fan-outs and of theirs, outer ones first."""
        for branch in self.parallel:
            yield branch
            yield from branch.all_branches()

    @property
    def current_root(self) -> str:
        """The restart directory in force, "" for the base logs root."""
        return max(self.checkpoints, key=_restart_number, default="")


def _restart_number(name: str) -> int:
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


@dataclasses.dataclass(frozen=True, slots=True)
class StepOutcome:
    """A wait or a command as the runner saw it; `problem` is empty when it went as stated."""

    step: int
    name: str
    problem: str
    expected: str
    premise: bool  # missing it says nothing about the engine: the fault could not be brought about


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseEvidence:
    """The whole case."""

    runs: Mapping[str, RunEvidence]
    commands: tuple[CommandRecord, ...]
    outcomes: tuple[StepOutcome, ...]
    faults: tuple[FaultRecord, ...]
    scratch: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    starts: tuple[Mapping[str, Any], ...] = ()  # of agent programs, as they saw them
    answered: tuple[str, ...] = ()  # the provider of each scripted answer that was given
    asked: tuple[str, ...] = ()  # provider and model of each request that was answered
    before: CheckoutState | None = None
    after: CheckoutState | None = None
    branches_before: tuple[str, ...] = ()
    branches_after: tuple[str, ...] = ()
    worktrees: tuple[str, ...] = ()
    canary_places: tuple[str, ...] = ()  # records that hold the case's secret
    leaked_processes: tuple[str, ...] = ()
    leftover_files: tuple[str, ...] = ()  # in the case's temporary directory
    duration_seconds: float = 0.0
    outputs: Mapping[int, tuple[str, str]] = dataclasses.field(default_factory=dict)  # step -> stdout, stderr
    branch_prefix: str = "attractor/run"
