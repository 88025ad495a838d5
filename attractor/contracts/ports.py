"""What the engine needs from the world, as small protocols (DESIGN 7, STYLE 13).

The engine loop sees only these. Their real implementations are `workspace`, `rundir`, `cxdb` and
`handlers`, joined together in `app`; a test or an embedding program may pass its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from attractor.contracts.events import EventName
from attractor.contracts.outcome import Outcome
from attractor.graph import Edge, Graph, Node


class EventSink(Protocol):
    """Takes each event as it happens. `emit` returns the event's `seq`."""

    def emit(self, event: EventName, /, **fields: Any) -> int: ...


class TurnSink(Protocol):
    """Ships events to CXDB. Never raises for a peer's failure and never blocks a stage."""

    def flush(self) -> None: ...


class Stop(Protocol):
    """A request to end the run, raised by a signal."""

    @property
    def requested(self) -> bool: ...

    @property
    def reason(self) -> str: ...

    @property
    def urgent(self) -> bool:
        """Asked for again: what is given time to end has none any more."""
        ...

    def fileno(self) -> int:
        """A descriptor that is readable once stop is requested: a `poll` can wait on it."""
        ...

    def wait(self, seconds: float) -> bool:
        """Sleep, but no longer than until stop is requested; True where it was."""
        ...


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """What goes into a node's commit message."""

    run_id: str
    node_id: str
    status: str
    attempt: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Committed:
    """A node's commit and its tree, full hashes; both '' where there is no git. `kept`: the reference by which what
    somebody else had put on the run's branch is kept; '' where nobody had.
    """

    sha: str = ""
    tree: str = ""
    kept: str = ""


class Workspace(Protocol):
    """The folder stages run in, and its history. The only port that knows git exists."""

    @property
    def path(self) -> Path: ...

    def commit(self, info: CommitInfo) -> Committed:
        """Commit everything in the worktree. The commit and all its objects are on disk when it returns
        (DESIGN 2.4).
        """
        ...

    def adopt(self, base_sha: str, head_sha: str) -> tuple[str, tuple[str, ...]]:
        """Repeat the commits behind `base_sha` up to `head_sha` on top of this history, files included: the new head,
        and the nodes that made them, oldest first. Raises WorkspaceError where the files are no longer `base_sha`'s.
        """
        ...


@dataclass(frozen=True, slots=True)
class ArtifactInfo:
    """What is known of an artifact without reading it. `size_bytes`: of its data as JSON; `stored_at`: RFC 3339."""

    id: str
    name: str
    size_bytes: int
    stored_at: str
    path: Path


class Artifacts(Protocol):
    """Named stage outputs that are too large for the context (spec 5.5). An id is letters, digits and `_ . + -`."""

    def store(self, artifact_id: str, name: str, data: Any) -> ArtifactInfo:
        """Keep `data`, anything JSON can hold; it is on disk when this returns. Raises TypeError, ValueError for what
        cannot be kept.
        """
        ...

    def retrieve(self, artifact_id: str) -> Any:
        """The data. Raises KeyError."""
        ...

    def has(self, artifact_id: str) -> bool: ...

    def list(self) -> tuple[ArtifactInfo, ...]:
        """All of them, by id."""
        ...

    def remove(self, artifact_id: str) -> None:
        """Raises KeyError."""
        ...

    def clear(self) -> None: ...


@dataclass(frozen=True, slots=True)
class StageRun:
    """All that a handler may know about the attempt it is to make.

    `visit` counts from 1 within the round that `restart_count` names. `commit_sha`: the run's newest commit, '' without
    git. `briefing`: what an agent is told besides its prompt.
    """

    run_id: str
    graph: Graph
    node: Node
    incoming: Edge | None
    context: Mapping[str, Any]
    completed: Sequence[str]
    outcomes: Mapping[str, Outcome]
    stage_dir: Path
    worktree: Path
    environment: Mapping[str, str]
    attempt: int
    max_attempts: int
    visit: int
    restart_count: int
    commit_sha: str
    timeout_seconds: float | None
    leader_note: Path
    stop: Stop
    heartbeat: Callable[[float], None]
    emit: Callable[..., object]
    artifacts: Artifacts
    briefing: str = ""


class Handler(Protocol):
    """Runs one kind of node (spec 4.1). Stateless; an exception becomes a FAIL outcome."""

    def execute(self, stage: StageRun, /) -> Outcome: ...


class CrashObserver(Protocol):
    """Told the name of each durable step just after it is on disk; a harness may stop the world there."""

    def __call__(self, step: str, /) -> None: ...
