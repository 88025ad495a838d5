"""What is measured, in which order and how often, and the targets: tables, and the functions that choose from them.

Rules: values only; nothing is run here. Jobs of one group are measured in turn (A B C A B C ...), so that a slow
minute of the machine falls on all of them. A target belongs to one row at one size: a smaller run that meets the
figure of a larger one proves nothing and has no target.
"""

from __future__ import annotations

import dataclasses
import enum
import fnmatch
from collections.abc import Sequence

__all__ = [
    "FLAT_FROM",
    "FULL",
    "PEERS",
    "QUICK",
    "TARGETS",
    "Group",
    "Job",
    "Kind",
    "Sizes",
    "job_ids",
    "plan",
    "select",
]

FLAT_FROM = 100  # larger runs are compared with this one: ten nodes are mostly beginning and end
IN_A_ROW = "-in-a-row"  # behind the name of a job with branches: the same nodes without branches
SLEEP = "sleep 1"
SLEEPERS = 8  # branches that wait, so that what is seen is whether they wait together
BRANCHES = 200  # branches that do nothing, so that what is seen is what a branch costs
LATENCIES_MS = (0, 1, 50, 200)  # of CXDB's replies: an engine that waits for them takes several of them a node longer
LATE_NODES = 500
STARTS = 15
APPENDS = 20_000

# Row -> upper bound, in the row's unit. The two growths are not promises of their own but how "flat" and "linear"
# are told from quadratic (which would show 100 and 4) on a noisy machine.
TARGETS = {
    **{f"nodes/{size}": 3.5 for size in (10, 100, 1_000, 10_000)},
    "growth/nodes/10000": 1.25,
    "memory/10000": 150.0,
    "branches/8": 1.5,
    "branches/200": 15.0,
    "growth/latency/1": 1.1,
    "growth/latency/50": 1.1,
    "growth/latency/200": 1.1,
    "resume/1000/to-resumed": 1.0,
    "start/version": 1.5,
    "validate/10000": 1.0,
    "growth/validate/10000": 2.5,
    "growth/validate/20000": 2.5,
    "matrix": 60.0,
}


class Kind(enum.Enum):
    """How a job is measured; see `measuring.MEASURES`."""

    RUN = "a run of the engine"
    FAN_OUT = "a run with branches side by side"
    CHAIN = "the same nodes one behind the other"
    LATE = "a run whose CXDB answers late"
    PEER = "the same steps with another library"
    RESUME = "resume of a killed run"
    VERSION = "attractor --version"
    INTERPRETER = "python -c pass"
    VALIDATE = "attractor validate"
    APPEND = "appends on one CXDB connection"
    SERVER = "the same appends, made beforehand"
    MATRIX = "the whole matrix"


@dataclasses.dataclass(frozen=True, slots=True)
class Peer:
    """A contender: its script in `peers/`, the arguments it adds, and the distributions it needs."""

    label: str
    script: str
    needs: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


PEERS = {
    "dbos": Peer("DBOS on SQLite", "dbos_steps.py", ("dbos",)),
    "langgraph": Peer("LangGraph + SQLite", "langgraph_steps.py", ("langgraph", "langgraph-checkpoint-sqlite")),
    "langgraph-sync": Peer(
        "LangGraph + SQLite, durability=sync",
        "langgraph_steps.py",
        ("langgraph", "langgraph-checkpoint-sqlite"),
        ("sync",),
    ),
    "subprocess": Peer("subprocess only (the floor)", "subprocess_steps.py"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One thing to measure. `flags` are the engine's, `peer` a key of PEERS, `size` nodes, steps, branches or appends;
    `command` is what each of the nodes runs, `latency_ms` how late CXDB's replies come.
    """

    job_id: str
    kind: Kind
    size: int = 0
    flags: tuple[str, ...] = ()
    peer: str = ""
    command: str = "true"
    latency_ms: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Jobs measured in turn, `rounds` times."""

    rounds: int
    jobs: tuple[Job, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Sizes:
    """How large each measurement is; sequences go from small to large."""

    nodes: tuple[int, ...]
    steps: int
    resume: int
    validate: tuple[int, ...]
    sleepers: int = SLEEPERS
    branches: int = BRANCHES
    starts: int = STARTS
    appends: int = APPENDS
    late_nodes: int = LATE_NODES


FULL = Sizes(nodes=(10, 100, 1_000, 10_000), steps=1_000, resume=1_000, validate=(5_000, 10_000, 20_000))
QUICK = Sizes(
    nodes=(10, 100, 1_000), steps=200, resume=1_000, validate=(5_000, 10_000), starts=7, appends=5_000, late_nodes=200
)


def plan(sizes: Sizes, *, repeat: int, matrix: bool) -> tuple[Group, ...]:
    """Everything, in the order of the table."""
    groups = (
        Group(repeat, tuple(Job(f"nodes/{size}", Kind.RUN, size) for size in sizes.nodes)),
        Group(repeat, _side_by_side(sizes.steps)),
        Group(repeat, _branches(sizes.sleepers, SLEEP)),
        Group(repeat, _branches(sizes.branches)),
        Group(repeat, tuple(_late(sizes.late_nodes, latency_ms) for latency_ms in LATENCIES_MS)),
        Group(repeat, (Job(f"resume/{sizes.resume}", Kind.RESUME, sizes.resume),)),
        Group(sizes.starts, (Job("start/python", Kind.INTERPRETER), Job("start/version", Kind.VERSION))),
        Group(repeat, tuple(Job(f"validate/{size}", Kind.VALIDATE, size) for size in sizes.validate)),
        Group(repeat, (Job("append", Kind.APPEND, sizes.appends), Job("append/server", Kind.SERVER, sizes.appends))),
    )
    return (*groups, Group(1, (Job("matrix", Kind.MATRIX),))) if matrix else groups


def _side_by_side(steps: int) -> tuple[Job, ...]:
    return (
        Job("steps/attractor", Kind.RUN, steps),
        Job("steps/attractor-no-cxdb", Kind.RUN, steps, ("--no-cxdb",)),
        Job("steps/attractor-no-git-no-cxdb", Kind.RUN, steps, ("--no-git", "--no-cxdb")),
        *(Job(f"steps/{name}", Kind.PEER, steps, peer=name) for name in PEERS),
    )


def _late(nodes: int, latency_ms: int) -> Job:
    return Job(f"latency/{latency_ms}", Kind.LATE, nodes, latency_ms=latency_ms)


def _branches(count: int, command: str = "true") -> tuple[Job, ...]:
    return (
        Job(f"branches/{count}", Kind.FAN_OUT, count, command=command),
        Job(f"branches/{count}{IN_A_ROW}", Kind.CHAIN, count, command=command),
    )


def job_ids(groups: Sequence[Group]) -> list[str]:
    return [job.job_id for group in groups for job in group.jobs]


def select(groups: Sequence[Group], pattern: str) -> tuple[Group, ...]:
    """The job of that id, else those whose id the pattern matches (`*` and `?`, or any part of the id).

    Groups that are left empty go.
    """
    known = job_ids(groups)
    wanted = {pattern} if pattern in known else {job_id for job_id in known if _matches(job_id, pattern)}
    chosen = (
        dataclasses.replace(group, jobs=tuple(job for job in group.jobs if job.job_id in wanted)) for group in groups
    )
    return tuple(group for group in chosen if group.jobs)


def _matches(job_id: str, pattern: str) -> bool:
    return pattern in job_id or fnmatch.fnmatchcase(job_id, pattern)
