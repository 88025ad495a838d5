"""Executing one node: its attempts, their folders, environment and records (spec 3.5, DESIGN 2.5).

Everything up to the moment the node's outcome is settled; making it durable is `commit_point`'s.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attractor.contracts import (
    EventName,
    EventSink,
    FailureClass,
    Handler,
    Outcome,
    Redactor,
    RunState,
    StageRun,
    Status,
    Stop,
    TurnSink,
)
from attractor.engine.failure import POLICY, classify
from attractor.engine.retry import retry_policy
from attractor.errors import RecordsLost, RunDirectoryError
from attractor.graph import Edge, Graph, Node
from attractor.processes import STAGE_TOKEN_VARIABLE
from attractor.rundir import (
    ArtifactStore,
    Layout,
    artifact_id_of,
    check_own_directory,
    encode_json,
    open_regular,
    write_atomic,
)

# Pass-through nodes repeat nothing by being retried; a fan-out's branches have retries of their own.
SINGLE_ATTEMPT_HANDLERS = frozenset({"start", "exit", "conditional", "parallel"})
EVENT_OUTPUT_CHARACTERS = 400
LARGE_VALUE_BYTES = 100_000  # spec 5.5: what is larger does not belong in the context
# What a manager tells a stage of its child (spec 4.11); it stays for the next attempt.
STEERING = "steering.md"
STATUS_FILE = "status.json"
MOST_KEPT_FILES = 64
CHUNK_BYTES = 1 << 20
MAX_KEPT_BYTES = 60 << 20  # of a stage's file: CXDB takes no more than 64 MiB at once


@dataclass(frozen=True, slots=True)
class Settled:
    """A node's outcome after its last attempt. `attempts` counts from 1."""

    outcome: Outcome
    attempts: int


@dataclass(slots=True)
class StageRunner:
    """Runs nodes of one run. `environment` is what every stage inherits; `token` marks the run's processes; `overspent`
    says why the run may spend no more, '' while it may.
    """

    graph: Graph
    handlers: Mapping[str, Handler]
    events: EventSink
    turns: TurnSink
    stop: Stop
    worktree: Path
    environment: Mapping[str, str]
    token: str
    default_timeout_seconds: float | None
    uniform: Callable[[float, float], float]
    leader_note: Path
    overspent: Callable[[], str]
    redactor: Redactor

    def settle(self, node: Node, state: RunState, layout: Layout, incoming: Edge | None = None) -> Settled:
        """Execute `node` until its outcome stands: success, a failure that may not be retried, or the last attempt."""
        policy = retry_policy(self.graph, node)
        max_attempts = 1 if node.handler_type in SINGLE_ATTEMPT_HANDLERS else policy.max_attempts
        visit = state.node_visits.get(node.id, 0) + 1
        attempt = 1
        self._incoming = incoming
        while True:
            outcome = self._attempt(node, state, layout, attempt, max_attempts, visit)
            failure_class = outcome.failure_class
            overspent = self.overspent()
            retry = may_retry(outcome, attempt, max_attempts) and not overspent
            if not retry:
                outcome = exhausted(outcome, node)
            self._record(node, outcome, layout, attempt, visit, will_retry=retry)
            if not retry:
                if not outcome.status.is_success and attempt < max_attempts:
                    self.events.emit(
                        EventName.STAGE_RETRY_BLOCKED,
                        node_id=node.id,
                        attempt=attempt,
                        failure_class=failure_class,
                        failure_reason=overspent or outcome.failure_reason,
                    )
                return Settled(outcome, attempt)
            delay = max(policy.backoff.delay_seconds(attempt, self.uniform), outcome.retry_after_seconds or 0.0)
            self.events.emit(
                EventName.STAGE_RETRY_SLEEP, node_id=node.id, attempt=attempt, delay_ms=round(delay * 1000)
            )
            self.turns.flush()
            if self.stop.wait(delay):
                return Settled(canceled(self.stop), attempt)
            attempt += 1

    def _attempt(
        self, node: Node, state: RunState, layout: Layout, attempt: int, max_attempts: int, visit: int
    ) -> Outcome:
        stage_dir = layout.stage(node.id)
        self.redactor.tree(stage_dir)  # of an attempt that was never ended: its engine was killed
        prepare_stage_dir(stage_dir)
        self.events.emit(
            EventName.STAGE_ATTEMPT_START,
            node_id=node.id,
            handler=node.handler_type,
            attempt=attempt,
            max_attempts=max_attempts,
            visit=visit,
            command=node.tool_command if node.handler_type == "tool" else None,
        )
        self.turns.flush()
        self._started = time.monotonic()
        stage = StageRun(
            run_id=state.run_id,
            graph=self.graph,
            node=node,
            incoming=self._incoming,
            context=state.context,
            completed=state.completed_nodes,
            outcomes=state.node_outcomes,
            stage_dir=stage_dir,
            worktree=self.worktree,
            environment=self._environment(node, stage_dir, state.sequence + 1, attempt),
            attempt=attempt,
            max_attempts=max_attempts,
            visit=visit,
            restart_count=state.restart_count,
            commit_sha=state.commit_sha,
            timeout_seconds=node.timeout_seconds or self.default_timeout_seconds,
            leader_note=self.leader_note,
            stop=self.stop,
            heartbeat=lambda elapsed: self._heartbeat(node, attempt, elapsed),
            emit=self._emit,
            artifacts=ArtifactStore(layout),
            briefing=_steering(stage_dir),
        )
        try:
            outcome = _checked(self.handlers[node.handler_type].execute(stage))
        except (RecordsLost, MemoryError):  # the machine's trouble: no stage's failure, and none to route on
            raise
        except (Exception, SystemExit) as error:
            # Spec 4.12: what a handler raises is a failed stage, never a crashed engine.
            outcome = Outcome(Status.FAIL, failure_reason=f"{type(error).__name__}: {error}")
        if stage_dir.is_symlink():
            raise RunDirectoryError(f"{stage_dir} has become a link while the stage ran: it is not followed")
        outcome = self._redacted(outcome, stage_dir)
        if self.stop.requested and not outcome.status.is_success:
            return canceled(self.stop)
        updates = self._lightened(stage, outcome.context_updates)
        return replace(outcome, failure_class=classify(outcome), context_updates=updates)

    def _redacted(self, outcome: Outcome, stage_dir: Path) -> Outcome:
        """Without the values of secrets: a program may have printed them, and a message may repeat what it printed."""
        self.redactor.tree(stage_dir)
        return replace(
            outcome,
            failure_reason=self.redactor.text(outcome.failure_reason),
            notes=self.redactor.text(outcome.notes),
            preferred_label=self.redactor.text(outcome.preferred_label),
            suggested_next_ids=tuple(map(self.redactor.text, outcome.suggested_next_ids)),
            context_updates=self.redactor.value(outcome.context_updates),
        )

    def _lightened(self, stage: StageRun, updates: Mapping[str, Any]) -> Mapping[str, Any]:
        """The updates, with what is too large for the context kept as an artifact: the context is saved at every node,
        and repeated to agents.
        """
        large = [key for key, value in updates.items() if _is_large(value)]
        if not large:
            return updates
        from blake3 import blake3  # CXDB's name for the content; most runs have no artifact

        light = dict(updates)
        for key in large:
            artifact_id = artifact_id_of(stage.node.id, stage.visit, stage.attempt, key)
            info = stage.artifacts.store(artifact_id, key, updates[key])
            content = info.path.read_bytes()
            self._emit(
                EventName.ARTIFACT_STORED,
                node_id=stage.node.id,
                artifact_id=info.id,
                name=key,
                size_bytes=info.size_bytes,
                file_bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                blake3=blake3(content).hexdigest(),
                path=str(info.path),
            )
            light[key] = f"artifact {info.id} ({info.size_bytes} bytes): {info.path}"
        return light

    def _environment(self, node: Node, stage_dir: Path, sequence: int, attempt: int) -> dict[str, str]:
        return {
            **self.environment,
            "ATTRACTOR_NODE_ID": node.id,
            "ATTRACTOR_STAGE_DIR": str(stage_dir),
            "ATTRACTOR_STATUS_FILE": str(stage_dir / STATUS_FILE),
            "ATTRACTOR_ATTEMPT": str(attempt),
            STAGE_TOKEN_VARIABLE: f"{self.token}-{sequence}-{attempt}",
        }

    def _heartbeat(self, node: Node, attempt: int, elapsed_seconds: float) -> None:
        elapsed_ms = round(elapsed_seconds * 1000)
        self.events.emit(EventName.STAGE_HEARTBEAT, node_id=node.id, attempt=attempt, elapsed_ms=elapsed_ms)
        self.turns.flush()

    def _record(
        self, node: Node, outcome: Outcome, layout: Layout, attempt: int, visit: int, *, will_retry: bool
    ) -> None:
        stage_dir = layout.stage(node.id)
        write_atomic(stage_dir / STATUS_FILE, encode_json(outcome.to_json()) + b"\n", durable=False)
        for file in stage_files(stage_dir, self.redactor):
            self.events.emit(EventName.ARTIFACT_STORED, node_id=node.id, attempt=attempt, **file)
        output = outcome.context_updates.get("tool.output")
        self.events.emit(
            EventName.STAGE_ATTEMPT_END,
            node_id=node.id,
            attempt=attempt,
            visit=visit,
            status=status_word(outcome),
            failure_reason=outcome.failure_reason or None,
            failure_class=outcome.failure_class,
            preferred_label=outcome.preferred_label or None,
            notes=outcome.notes or None,
            output=None if output is None else _tail(str(output)),
            duration_ms=round((time.monotonic() - self._started) * 1000, 1),
            will_retry=will_retry,
        )

    _started: float = 0.0
    _incoming: Edge | None = None

    def _emit(self, event: EventName, /, **fields: Any) -> None:
        """An event of a handler's own, shipped at once: a stage may run for hours."""
        self.events.emit(event, **fields)
        self.turns.flush()


def stage_files(stage_dir: Path, redactor: Redactor) -> list[dict[str, Any]]:
    """What an attempt has left that says more than its events do: name, size and hash of each file, and where it is.

    Passed over: what is too large to be kept elsewhere, cannot be read, has a name that no record can hold or holds a
    secret (one that a process has written which the stage has left behind), and all behind the first `MOST_KEPT_FILES`.
    """
    try:
        names = sorted(os.listdir(stage_dir))
    except OSError:
        return []
    found = []
    for name in names:
        with suppress(OSError, UnicodeEncodeError):
            file = _kept_file(stage_dir / name, redactor) if name != STATUS_FILE else None
            found += [file] if file is not None else []
        if len(found) == MOST_KEPT_FILES:
            break
    return found


def _kept_file(path: Path, redactor: Redactor) -> dict[str, Any] | None:
    """Size and hash are those of this moment. Raises OSError, UnicodeEncodeError."""
    str(path).encode()
    facts = path.lstat()
    if not stat.S_ISREG(facts.st_mode) or not EVENT_OUTPUT_CHARACTERS < facts.st_size <= MAX_KEPT_BYTES:
        return None
    from blake3 import blake3  # CXDB's name for the content; most stages leave nothing large

    size, digest = 0, blake3()
    with open_regular(path, follow=False) as file:
        if redactor.found_in(file.fileno()):
            return None
        while chunk := file.read(CHUNK_BYTES):
            size += len(chunk)
            digest.update(chunk)
    return {"name": path.name, "size_bytes": size, "blake3": digest.hexdigest(), "path": str(path)}


def _checked(outcome: object) -> Outcome:
    """What a handler has returned, where it is what records can hold. Raises TypeError."""
    if not isinstance(outcome, Outcome) or not isinstance(outcome.status, Status):
        raise TypeError(f"the handler returned {outcome!r:.80}, which is no Outcome with a Status")
    try:
        encode_json(outcome.to_json())
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"the handler's outcome cannot be recorded: {error}") from error
    return outcome


def _is_large(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) > LARGE_VALUE_BYTES
    return isinstance(value, list | dict) and len(encode_json(value)) > LARGE_VALUE_BYTES


def may_retry(outcome: Outcome, attempt: int, max_attempts: int) -> bool:
    """Whether another attempt is both wanted and allowed."""
    if outcome.status.is_success or attempt >= max_attempts:
        return False
    return POLICY[outcome.failure_class or FailureClass.DETERMINISTIC].stage_retry


def exhausted(outcome: Outcome, node: Node) -> Outcome:
    """What a stage that still asks for RETRY after its last attempt comes to (spec 3.5)."""
    if outcome.status is not Status.RETRY:
        return outcome
    if node.allow_partial:
        return replace(
            outcome,
            status=Status.PARTIAL_SUCCESS,
            notes="retries exhausted, partial accepted",
            failure_reason="",
            failure_class=None,
        )
    reason = f"max retries exceeded: {outcome.failure_reason}" if outcome.failure_reason else "max retries exceeded"
    return replace(outcome, status=Status.FAIL, failure_reason=reason)


def canceled(stop: Stop) -> Outcome:
    return Outcome(Status.FAIL, failure_reason=stop.reason, failure_class=FailureClass.CANCELED)


def status_word(outcome: Outcome) -> str:
    """The status as events show it: a canceled stage is neither success nor failure."""
    return "canceled" if outcome.failure_class is FailureClass.CANCELED else outcome.status.value


def prepare_stage_dir(stage_dir: Path) -> None:
    """An empty folder for the next attempt; what an earlier one left is kept below `attempts/<k>`."""
    try:
        stage_dir.mkdir(mode=0o700)
        return
    except FileExistsError:
        kept = stage_dir / "attempts"
    check_own_directory(kept, stage_dir.parent)
    # By prefix: a manager may be writing its file, under a temporary name, at this very moment.
    entries = [name for name in os.listdir(stage_dir) if name != kept.name and not name.startswith(STEERING)]
    if not entries:
        return
    kept.mkdir(mode=0o700, exist_ok=True)
    place = kept / str(len(os.listdir(kept)) + 1)
    place.mkdir(mode=0o700)
    for name in entries:
        (stage_dir / name).rename(place / name)


def _steering(stage_dir: Path) -> str:
    try:
        return (stage_dir / STEERING).read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""


def _tail(text: str) -> str:
    return text if len(text) <= EVENT_OUTPUT_CHARACTERS else f"...{text[-EVENT_OUTPUT_CHARACTERS:]}"


def context_changes(node: Node, outcome: Outcome, retries: int) -> dict[str, Any]:
    """What a finished node changes in the context: its own updates and the engine's built-in keys (spec 5.1)."""
    changes = {
        **outcome.context_updates,
        "outcome": outcome.status.value,
        "preferred_label": outcome.preferred_label,
        "failure_reason": outcome.failure_reason,
        "failure_class": outcome.failure_class.value if outcome.failure_class else "",
        "current_node": node.id,
    }
    if retries:
        changes[f"internal.retry_count.{node.id}"] = retries
    if not outcome.status.is_success and node.handler_type != "conditional":
        changes["internal.failed_node"] = node.id
    return changes
