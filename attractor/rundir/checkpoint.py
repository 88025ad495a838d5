"""`checkpoint.json` and `checkpoint.log`: the durable record of a run's progress (DESIGN 2.2, 2.4).

Small states are replaced whole after each node. Past 4 KB that would cost the square of the run's
length, so each node then appends one line to `checkpoint.log`, and the snapshot is renewed only when the log
has outgrown it. Every line carries its sequence: lines the snapshot already holds are skipped, so a crash
between renewing the snapshot and clearing the log does no harm.

This module knows the files' format and nothing of graphs, git or CXDB.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from attractor.contracts import Finished, Outcome, RunState, readable
from attractor.errors import RunDirectoryError
from attractor.rundir.files import AppendLog, encode_json, read_regular, write_atomic
from attractor.rundir.layout import Layout

FORMAT_VERSION = 1
WHOLE_FILE_LIMIT_BYTES = 4 * 1024


class _Snapshot(msgspec.Struct):
    """checkpoint.json. Extra keys are allowed so that a newer minor version can add some."""

    version: int
    run_id: str
    timestamp: str
    current_node: str
    completed_nodes: list[str]
    node_retries: dict[str, int]
    node_outcomes: dict[str, msgspec.Raw]
    node_visits: dict[str, int]
    context: dict[str, Any]
    logs: list[str]
    git_commit_sha: str
    git_tree_sha: str
    restart_count: int
    base_logs_root: str
    next_node: str
    sequence: int
    restart_signatures: dict[str, int]


class _Line(msgspec.Struct):
    """One line of checkpoint.log."""

    sequence: int
    timestamp: str
    node: str
    outcome: dict[str, Any]
    context: dict[str, Any]
    retries: int
    git_commit_sha: str
    git_tree_sha: str


_snapshot_decoder = msgspec.json.Decoder(_Snapshot)
_outcome_decoder = msgspec.json.Decoder(dict[str, Any])
_line_decoder = msgspec.json.Decoder(_Line)


class CheckpointStore:
    """Writes the checkpoint of one logs root. One writer at a time (the run's lock)."""

    def __init__(self, layout: Layout, *, whole_file_limit: int = WHOLE_FILE_LIMIT_BYTES) -> None:
        self._layout = layout
        self._limit = whole_file_limit
        self._snapshot_size = 0
        self._log: AppendLog | None = None
        self._outcomes: dict[str, msgspec.Raw] = {}

    def save(self, state: RunState, step: Finished | None) -> None:
        """Make `state` durable. `step` is how it was reached from the state saved before, None for a first save."""
        if step is not None:
            self._outcomes[step.node_id] = _encode_outcome(step.outcome)
        if step is None or self._snapshot_size < self._limit:
            self._write_snapshot(state)
            return
        log = self._open_log()
        if log.size >= self._snapshot_size:
            self._write_snapshot(state)
            log.clear()
            return
        log.append(_encode_line(step) + b"\n", durable=True)

    def close(self, state: RunState | None) -> None:
        """Orderly end: with a state, `checkpoint.json` alone holds it all afterwards."""
        logged = self._layout.checkpoint_log.exists()
        if state is not None and logged:
            self._write_snapshot(state)
        if self._log is not None:
            self._log.close()
            self._log = None
        if state is not None and logged:
            self._layout.checkpoint_log.unlink(missing_ok=True)

    def _open_log(self) -> AppendLog:
        if self._log is None:
            self._log = AppendLog(self._layout.checkpoint_log)
        return self._log

    def _write_snapshot(self, state: RunState) -> None:
        # Outcomes are encoded once each: encoding all of them at every node would be most of the work.
        for node_id, outcome in state.node_outcomes.items():
            if node_id not in self._outcomes:
                self._outcomes[node_id] = _encode_outcome(outcome)
        content = encode_json(_snapshot_of(state, self._outcomes))
        write_atomic(self._layout.checkpoint, content, sync_name=self._snapshot_size == 0)
        self._snapshot_size = len(content)


def load_checkpoint(layout: Layout) -> RunState:
    """The state in a logs root's checkpoint pair.

    Raises RunDirectoryError for a checkpoint that is missing, is not what `CheckpointStore` writes, or whose
    log does not follow on from its snapshot. A torn last log line was never acknowledged and is ignored.
    """
    path = layout.checkpoint
    try:
        snapshot = readable(_snapshot_decoder.decode, read_regular(path))
        if snapshot.version != FORMAT_VERSION:
            raise _damaged(path, f"it has format version {snapshot.version}, this program reads {FORMAT_VERSION}")
        state = _state_of(snapshot)
    except FileNotFoundError:
        raise RunDirectoryError(
            f"there is no checkpoint: {path} does not exist",
            hint="a run that had not begun its first stage cannot be resumed: start it again under a new run id",
        ) from None
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    for step in _read_log(layout.checkpoint_log):
        if step.sequence <= state.sequence:
            continue
        if step.sequence != state.sequence + 1:
            raise _damaged(layout.checkpoint_log, f"step {state.sequence + 1} is missing before step {step.sequence}")
        state.apply(step)
    return state


def _read_log(path: Path) -> list[Finished]:
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    complete = content[: content.rfind(b"\n") + 1]
    steps = []
    for number, line in enumerate(complete.splitlines(), start=1):
        try:
            steps.append(_decode_line(line))
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(path, f"line {number}: {error}") from error
    return steps


def _damaged(path: Path, why: str) -> RunDirectoryError:
    return RunDirectoryError(
        f"the checkpoint is damaged: {path}: {why}",
        hint="nothing was changed. The commits on the run branch are intact; restore the file from a backup, "
        "or start a new run from the branch's last commit",
    )


def _encode_outcome(outcome: Outcome) -> msgspec.Raw:
    return msgspec.Raw(encode_json(outcome.to_json()))


def _snapshot_of(state: RunState, outcomes: dict[str, msgspec.Raw]) -> _Snapshot:
    return _Snapshot(
        version=FORMAT_VERSION,
        run_id=state.run_id,
        timestamp=state.timestamp,
        current_node=state.current_node,
        completed_nodes=state.completed_nodes,
        node_retries=state.node_retries,
        node_outcomes=outcomes,
        node_visits=state.node_visits,
        context=state.context,
        logs=state.logs,
        git_commit_sha=state.commit_sha,
        git_tree_sha=state.tree_sha,
        restart_count=state.restart_count,
        base_logs_root=state.base_logs_root,
        next_node=state.next_node,
        sequence=state.sequence,
        restart_signatures=state.restart_signatures,
    )


def _state_of(snapshot: _Snapshot) -> RunState:
    return RunState(
        run_id=snapshot.run_id,
        base_logs_root=snapshot.base_logs_root,
        next_node=snapshot.next_node,
        sequence=snapshot.sequence,
        restart_count=snapshot.restart_count,
        commit_sha=snapshot.git_commit_sha,
        tree_sha=snapshot.git_tree_sha,
        timestamp=snapshot.timestamp,
        completed_nodes=snapshot.completed_nodes,
        node_outcomes={
            node_id: Outcome.from_json(readable(_outcome_decoder.decode, raw))
            for node_id, raw in snapshot.node_outcomes.items()
        },
        node_retries=snapshot.node_retries,
        node_visits=snapshot.node_visits,
        context=snapshot.context,
        restart_signatures=snapshot.restart_signatures,
        logs=snapshot.logs,
    )


def _encode_line(step: Finished) -> bytes:
    return encode_json(step.to_json())


def _decode_line(line: bytes) -> Finished:
    return Finished.from_json(msgspec.to_builtins(readable(_line_decoder.decode, line)))
