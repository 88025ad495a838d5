"""What a run has done to each node and edge, told from its events alone.

Rules kept here:
- A visit is finished when its checkpoint is saved (design: one commit point a node). What ended without one counts as
  unfinished, as it does for a resume.
- Several logs may be told together: a run's and those of its fan-out branches, in the order of time.

Must not know: files, drawing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from attractor.contracts import EventName
from attractor.errors import RunDirectoryError
from attractor.rundir import Event


class NodeState(StrEnum):
    """How a node stands. The first five are statuses of its last finished visit, spelled as in events."""

    SUCCESS = "success"
    PARTIAL_SUCCESS = "partial_success"
    RETRY = "retry"
    FAIL = "fail"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    RUNNING = "running"
    WAITING = "waiting for an answer"  # running, and it is a person's turn
    INTERRUPTED = "interrupted"  # it was running when the engine went away
    NOT_REACHED = "not reached"


class EdgeKey(NamedTuple):
    """An edge as events name it. Two edges between the same nodes differ in label or condition."""

    source_id: str
    target_id: str
    label: str = ""
    condition: str = ""


class Jump(NamedTuple):
    """A way taken that is no edge: `rule` is `retry_target`, `goal_gate` and the like."""

    source_id: str
    target_id: str
    rule: str


@dataclass(slots=True)
class NodeTrace:
    """`visits` counts finished ones. `duration_ms` and `reason` are the last visit's, all its attempts together; a
    visit that is running has taken so long already.
    """

    state: NodeState = NodeState.NOT_REACHED
    visits: int = 0
    attempts: int = 0
    duration_ms: float = 0.0
    reason: str = ""


@dataclass(slots=True)
class Trace:
    """A run so far. `started`, `newest`: timestamps of its first and last event, '' without any."""

    nodes: dict[str, NodeTrace] = field(default_factory=dict)
    edges: Counter[EdgeKey] = field(default_factory=Counter)
    jumps: Counter[Jump] = field(default_factory=Counter)
    restarts: int = 0
    started: str = ""
    newest: str = ""


# A jump that only names where branches meet: their own last edges lead there.
_JOIN_RULE = "join"
_QUESTION_EVENTS = frozenset(
    {EventName.INTERVIEW_STARTED, EventName.INTERVIEW_TIMEOUT, EventName.INTERVIEW_COMPLETED},
)
_JUMP_RULES = frozenset({"retry_target", "fallback_retry_target", "goal_gate"})


def trace_of(events: Iterable[tuple[int, Event]], *, now: datetime | None) -> Trace:
    """The trace of events in the order of time, each with the number of the log it is from.

    `now` is given where an engine is at work: what has begun and not ended is running then, and else interrupted.
    Raises RunDirectoryError for an event that lacks what its kind always has.
    """
    tracer = _Tracer(now)
    for log, event in events:
        try:
            tracer.take(log, event)
        except (KeyError, TypeError, ValueError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise RunDirectoryError(
                f"event {event.get('seq')} ({event.get('event')}) of the run cannot be used: {why}",
                hint="progress.ndjson was changed by something else than the engine",
            ) from error
    return tracer.result()


class _Tracer:
    def __init__(self, now: datetime | None) -> None:
        self._now = now
        self._trace = Trace()
        self._open: dict[str, int] = {}  # node -> the log that has its attempt
        self._since: dict[str, datetime] = {}  # node -> when that attempt began
        self._asks: dict[str, bool] = {}
        self._ended: dict[str, NodeState] = {}  # how its last attempt ended, saved or not

    def take(self, log: int, event: Event) -> None:
        name, trace = event["event"], self._trace
        trace.newest = event["ts"]
        trace.started = trace.started or event["ts"]
        if name == EventName.STAGE_ATTEMPT_START:
            self._begin(event, log)
        elif name == EventName.STAGE_ATTEMPT_END:
            self._end(event)
        elif name == EventName.CHECKPOINT_SAVED:
            node = self._node(event["node_id"])
            node.visits += 1
            node.state = NodeState(event["status"])
        elif name == EventName.EDGE_SELECTED:
            self._edge(event)
        elif name == EventName.PARALLEL_BRANCH_STARTED:
            trace.edges[EdgeKey(event["node_id"], _target_of(event["branch"]))] += 1
        elif name in _QUESTION_EVENTS:
            self._asks[event["node_id"]] = name == EventName.INTERVIEW_STARTED
        elif name == EventName.LOOP_RESTART:
            trace.restarts += 1
        elif name == EventName.RUN_RESUMED:
            self._open = {node_id: other for node_id, other in self._open.items() if other != log}
            self._ended.clear()

    def result(self) -> Trace:
        for node_id, state in self._ended.items():
            self._node(node_id).state = state
        for node_id in self._open:
            node = self._node(node_id)
            running = NodeState.WAITING if self._asks.get(node_id) else NodeState.RUNNING
            node.state = NodeState.INTERRUPTED if self._now is None else running
            if self._now is not None:
                node.duration_ms += max(0.0, (self._now - self._since[node_id]).total_seconds() * 1000)
        return self._trace

    def _node(self, node_id: str) -> NodeTrace:
        return self._trace.nodes.setdefault(node_id, NodeTrace())

    def _begin(self, event: Event, log: int) -> None:
        node_id = event["node_id"]
        node = self._node(node_id)
        if event["attempt"] == 1:
            node.duration_ms, node.reason = 0.0, ""
        node.attempts = event["attempt"]
        self._open[node_id] = log
        self._asks.pop(node_id, None)
        self._since[node_id] = datetime.fromisoformat(event["ts"])

    def _end(self, event: Event) -> None:
        node = self._node(event["node_id"])
        node.duration_ms += event["duration_ms"]
        node.reason = event.get("failure_reason") or ""
        self._since[event["node_id"]] = datetime.fromisoformat(event["ts"])
        if not event.get("will_retry"):
            self._open.pop(event["node_id"], None)
            self._ended[event["node_id"]] = NodeState(event["status"])

    def _edge(self, event: Event) -> None:
        source_id, target_id, rule = event["from"], event["to"], event.get("rule", "")
        if rule in _JUMP_RULES:
            self._trace.jumps[Jump(source_id, target_id, rule)] += 1
        elif rule != _JOIN_RULE:
            key = EdgeKey(source_id, target_id, event.get("label") or "", event.get("condition") or "")
            self._trace.edges[key] += 1


def _target_of(branch: str) -> str:
    """`work-2` is the second branch that begins with `work`; a node id has no hyphen."""
    return branch.partition("-")[0]
