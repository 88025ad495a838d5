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


class Launcher(enum.StrEnum):
    """What stands between the harness and the engine's command."""

    PLAIN = "plain"  # nothing: the engine is our child, in a session of its own
    SHELL_GROUP = "shell-group"  # a shell that stays, its process group shared with what it starts
    PTY = "pty"  # the same shell with a controlling terminal


class CommandVerb(enum.StrEnum):
    RUN = "run"
    RESUME = "resume"
    STOP = "stop"
    STATUS = "status"
    ANSWER = "answer"
    ENGINE = "engine"  # any other subcommand


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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RepoSpec:
    """The fixture repository: what is committed, and what the user has left lying about in it."""

    files: Mapping[str, str] = dataclasses.field(default_factory=lambda: {"README.md": "fixture\n"})
    dirty: Mapping[str, str] = dataclasses.field(default_factory=dict)  # changed or new, not added
    staged: Mapping[str, str] = dataclasses.field(default_factory=dict)  # added, not committed
    hooks: Mapping[str, str] = dataclasses.field(default_factory=dict)  # name -> shell text
    config: Mapping[str, str] = dataclasses.field(default_factory=dict)  # git configuration


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
    target: str  # "engine", "agent", "launcher", "launcher-group", a path, or what is done to CXDB
    run: str = DEFAULT_RUN
    signal: str = "KILL"
    landing: str | None = None  # where a kill must hit: "between-stages" or "in-stage"
    how: str = "garbage"  # of damage: truncate, garbage, delete
    text: str = ""
    to: str = ""


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
    config: Mapping[str, object] = dataclasses.field(default_factory=dict)
    graphs: Mapping[str, str] = dataclasses.field(default_factory=dict)  # of managers' children: path in the repository
    repo: RepoSpec = dataclasses.field(default_factory=RepoSpec)
    agents: AgentSpec | None = None
    expect: Mapping[str, Expectation] = dataclasses.field(default_factory=dict)  # by run name
    proofs: tuple[Proof, ...] = ()
    within_seconds: float | None = None
    without: Mapping[str, str] = dataclasses.field(default_factory=dict)  # built-in check -> why not
    axes: Mapping[str, str] = dataclasses.field(default_factory=dict)

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
