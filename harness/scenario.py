"""What a scenario is: one guardrail case as frozen values, of its file only the path.

`scenario_file.py` reads these from TOML and refuses what it does not know; `matrix.py` multiplies them
by their axes; the runner carries out the steps; the checks read the expectations. Text values may still
hold placeholders (see `placeholders.py`), which only the runner can fill in.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from pathlib import Path

from harness.agents.spec import AgentSpec
from harness.link import LinkSpec
from harness.matching import EventPattern, Matcher
from harness.placeholders import gate_names

__all__ = [
    "CommandStep",
    "CommandVerb",
    "CxdbMode",
    "Expectation",
    "FaultKind",
    "FaultStep",
    "Launcher",
    "Need",
    "Proof",
    "ReleaseStep",
    "RepoKind",
    "RepoSpec",
    "Scenario",
    "Step",
    "WaitKind",
    "WaitStep",
]

DEFAULT_RUN = "run"


class CxdbMode(enum.StrEnum):
    SHARED = "shared"  # one server a worker; contexts are separate
    OWN = "own"  # a server of this case alone, so that it can be harmed
    NONE = "none"  # the engine is told to do without


class Need(enum.StrEnum):
    """What the machine must have; a case that lacks it is skipped, with this reason."""

    PROC = "proc"
    PTY = "pty"
    MOUNT = "mount"  # implied by `disk` and `cxdb_disk`
    CAPABILITIES = "capabilities"  # implied by `unprivileged`
    NAMESPACES = "namespaces"  # implied by the launcher "pid-1"


class Launcher(enum.StrEnum):
    """What stands between the harness and the engine's command."""

    PLAIN = "plain"  # nothing: the engine is our child, in a session of its own
    SHELL_GROUP = "shell-group"  # a shell that stays, its process group shared with what it starts
    PTY = "pty"  # the same shell with a controlling terminal
    LOCK_HOLDER = "lock-holder"  # a shell that stays and holds a lock, which what it starts could inherit
    CLOSED = "closed"  # nothing, and standard input, output and error are closed
    PID_1 = "pid-1"  # the engine is the first process of a PID namespace of its own, as in a container

    @property
    def stays(self) -> bool:
        """Whether a shell stays when the command has ended."""
        return self in (Launcher.SHELL_GROUP, Launcher.PTY, Launcher.LOCK_HOLDER)


class CommandVerb(enum.StrEnum):
    RUN = "run"
    RESUME = "resume"
    STOP = "stop"
    STATUS = "status"
    ANSWER = "answer"
    ENGINE = "engine"  # any other subcommand
    SHELL = "shell"  # not the engine: what a person might do, or a question put to the machine


class WaitKind(enum.StrEnum):
    EVENT = "event"
    FILE = "file"
    GATE = "gate"  # a stage has reached the gate
    EXIT = "exit"  # the command of that step has ended
    GONE = "gone"  # no process of that run's engine is left
    FINAL = "final"  # final.json of that run is there


class FaultKind(enum.StrEnum):
    KILL = "kill"
    HANGUP = "hangup"
    REMOVE = "remove"
    DAMAGE = "damage"
    WRITE = "write"
    MOVE = "move"
    CXDB = "cxdb"  # needs `cxdb = "own"`
    LINK = "link"  # what lies between the engine and CXDB
    GIT = "git"  # the git program, in the user's repository
    FILL = "fill"  # the small disk, to its last byte; needs `disk`
    PROTECT = "protect"  # no writing below that directory any more, for engines that are `unprivileged`
    UNPROTECT = "unprotect"
    LIMIT = "limit"  # no more memory for a running engine


class RepoKind(enum.StrEnum):
    """What `{repo}` is."""

    PLAIN = "plain"
    DETACHED = "detached"  # HEAD names a commit and no branch
    SHALLOW = "shallow"  # a clone of depth 1, of a repository with more history
    SYMLINK = "symlink"  # a symbolic link to the repository
    WORKTREE = "worktree"  # a linked worktree of another repository


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RepoSpec:
    """The fixture repository: what is committed, and what the user has left lying about in it."""

    files: Mapping[str, str] = dataclasses.field(default_factory=lambda: {"README.md": "fixture\n"})
    dirty: Mapping[str, str] = dataclasses.field(default_factory=dict)  # changed or new, not added
    staged: Mapping[str, str] = dataclasses.field(default_factory=dict)  # added, not committed
    hooks: Mapping[str, str] = dataclasses.field(default_factory=dict)  # name -> shell text
    config: Mapping[str, str] = dataclasses.field(default_factory=dict)  # git configuration
    submodules: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)  # path -> its files
    kind: RepoKind = RepoKind.PLAIN


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CommandStep:
    """Start an engine command; unless in the background, see it end and judge how."""

    verb: CommandVerb
    run: str = DEFAULT_RUN  # the name under which later steps and expectations speak of it
    detach: bool = False
    background: bool = False
    launcher: Launcher = Launcher.PLAIN
    relative: bool = False  # --graph, --config and --logs-root relative to cwd
    cwd: str = "{repo}"
    run_id: str | None = None
    logs_root: str | None = None
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)  # beside what every command has
    unprivileged: bool = False  # as root, without root's right to write wherever it wants
    command: str = ""  # of `shell`
    proves: str = ""  # of `shell`: what is known when it ends as stated; otherwise the case is invalid
    times: int = 1  # of `run`: so many runs at once, with names and ids of their own
    behind: str = ""  # such a run begins when this one has: a hundred starts at once would starve the cases beside it
    exit: tuple[int, ...] | None = None  # None: not judged here
    stdout: tuple[Matcher, ...] = ()
    stderr: tuple[Matcher, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WaitStep:
    """Watch for something, for so long. Missing it while a fault is still to come makes the case
    invalid, afterwards red; `premise` overrides that."""

    kind: WaitKind
    target: str = ""  # gate, file or step's run name
    pattern: EventPattern | None = None
    count: int = 1
    run: str = DEFAULT_RUN
    seconds: float = 10.0
    premise: bool | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FaultStep:
    """Do harm, and prove that it was done."""

    kind: FaultKind
    target: str  # "engine", "agent", "launcher", "launcher-group", a path, or what is done to CXDB or the link
    run: str = DEFAULT_RUN
    signal: str = "KILL"
    landing: str | None = None  # where a kill must hit: "between-stages" or "in-stage"
    how: str = "garbage"  # of damage: truncate, garbage, delete
    text: str = ""
    to: str = ""
    args: tuple[str, ...] = ()  # of git
    milliseconds: float = 0.0  # of a link's delay


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseStep:
    gate: str


Step = CommandStep | WaitStep | FaultStep | ReleaseStep


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What must be true of one run when all is over. None or empty: not judged."""

    final: Mapping[str, Matcher] = dataclasses.field(default_factory=dict)
    no_final: bool = False
    events: tuple[EventPattern, ...] = ()  # in this order, others may lie between
    event_counts: tuple[EventPattern, ...] = ()
    absent_events: tuple[EventPattern, ...] = ()
    files: tuple[str, ...] = ()  # globs in the logs root
    absent_files: tuple[str, ...] = ()
    contents: Mapping[str, Matcher] = dataclasses.field(default_factory=dict)  # files in the logs root
    tree: Mapping[str, Matcher] = dataclasses.field(default_factory=dict)  # files at the run branch's tip
    scratch: Mapping[str, Matcher] = dataclasses.field(default_factory=dict)  # files in the scratch directory
    commits: tuple[str, ...] | None = None  # "node (status)", oldest first
    completed_nodes: tuple[str, ...] | None = None
    branches: tuple[str, ...] | None = None  # all that the run added to the repository
    turns: tuple[str, ...] = ()  # short type names, in this order, others may lie between
    starts: tuple[str, ...] | None = None  # of agents, all of them, oldest first, as "provider model"
    asked: tuple[str, ...] | None = None  # for which model each answer was asked, likewise
    nothing_made: bool = False
    parallel: Mapping[str, Expectation] = dataclasses.field(default_factory=dict)  # by branch: <fan>/<pass>/<child>


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Shows that the workload's own fault happened: an event, a file that must be there, an answer that was given."""

    event: EventPattern | None = None
    answered: str | None = None  # provider whose script was asked
    count: int = 1  # how often, at least
    file: str | None = None  # in the logs root
    scratch: str | None = None  # in the scratch directory
    run: str = DEFAULT_RUN


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    path: Path
    guardrail: str
    name: str
    title: str
    why: str
    graph: str
    steps: tuple[Step, ...]
    timeout_seconds: float = 20.0
    tags: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    cxdb: CxdbMode = CxdbMode.SHARED
    link: LinkSpec | None = None  # what the link to CXDB is like; None: as it is
    config: Mapping[str, object] = dataclasses.field(default_factory=dict)
    graphs: Mapping[str, str] = dataclasses.field(default_factory=dict)  # of managers' children: path in the repository
    repo: RepoSpec = dataclasses.field(default_factory=RepoSpec)
    disk: str = ""  # size of the disk that {logs} is then alone on, such as "2m"
    cxdb_disk: str = ""  # the same for the data of the case's own CXDB
    agents: AgentSpec | None = None
    expect: Mapping[str, Expectation] = dataclasses.field(default_factory=dict)  # by run name
    proofs: tuple[Proof, ...] = ()
    within_seconds: float | None = None
    without: Mapping[str, str] = dataclasses.field(default_factory=dict)  # built-in check -> why not
    axes: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def all_needs(self) -> tuple[Need, ...]:
        """Those it states, and those that follow from what it does."""
        commands = [step for step in self.steps if isinstance(step, CommandStep)]
        implied = {
            Need.MOUNT: bool(self.disk or self.cxdb_disk),
            Need.CAPABILITIES: any(command.unprivileged for command in commands),
            Need.NAMESPACES: any(command.launcher is Launcher.PID_1 for command in commands),
        }
        return (*self.needs, *(need for need, holds in implied.items() if holds and need not in self.needs))

    @property
    def needs_link(self) -> bool:
        """Whether something lies between the engine and CXDB that can be told to do harm."""
        told = any(isinstance(step, FaultStep) and step.kind is FaultKind.LINK for step in self.steps)
        return told or self.link is not None

    @property
    def gates(self) -> set[str]:
        """Names of all gates that a stage or an agent may come to."""
        texts = [self.graph, *self.graphs.values(), *_texts(self.agents.answers if self.agents else {})]
        return {name for text in texts for name in gate_names(text)}


def _texts(value: object) -> list[str]:
    """Every text inside lists and tables."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [text for item in inner for text in _texts(item)]
