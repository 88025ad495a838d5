"""What a life writes about itself into progress.ndjson, and what a later one reads there."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, Final

from attractor.contracts import TERMINAL_EVENTS, EventName, RunState
from attractor.engine import Ending, checkpoint_fields, restart_fields
from attractor.rundir import Event, EventLog, Layout, Manifest, read_events
from attractor.rundir import Final as FinalRecord

TERMINAL_EVENT: Final = {
    "success": EventName.RUN_COMPLETED,
    "fail": EventName.RUN_FAILED,
    "canceled": EventName.RUN_CANCELED,
}


@dataclass(frozen=True, slots=True)
class History:
    """What progress.ndjson tells about earlier lives."""

    resumes: int = 0
    last_checkpoint: int = 0
    last_restart: int = 0
    terminal: Event | None = None  # the newest event, where it is a terminal one


def read_history(layout: Layout) -> History:
    """Scan the event log once."""
    history = History()
    for event in read_events(layout.progress):
        match event["event"]:
            case EventName.CHECKPOINT_SAVED:
                history = replace(history, last_checkpoint=event["sequence"], terminal=None)
            case EventName.LOOP_RESTART:
                history = replace(history, last_restart=event["restart_count"], terminal=None)
            case EventName.RUN_RESUMED:
                history = replace(history, resumes=history.resumes + 1, terminal=None)
            case name if name in TERMINAL_EVENTS:
                history = replace(history, terminal=event)
    return history


def reconcile(events: EventLog, state: RunState, current: Layout, history: History) -> None:
    """Write the event of a durable step whose engine died before it could: the log has no gap then."""
    if state.restart_count > history.last_restart:
        fields = restart_fields(state, current)
        events.emit(EventName.LOOP_RESTART, recovered=True, **fields)
    if state.completed_nodes and state.sequence > history.last_checkpoint:
        events.emit(EventName.CHECKPOINT_SAVED, recovered=True, **checkpoint_fields(state, current))


def tell_resumed(
    events: EventLog, state: RunState, current: Layout, history: History, final: FinalRecord | None
) -> None:
    """What a resumed life says first. What an earlier one owes comes before it, as part of that life, unless that life
    has had its last word: nothing comes behind a terminal event.
    """
    if history.terminal is None:
        reconcile(events, state, current, history)
    events.emit(EventName.RUN_RESUMED, **resumed_fields(state, history, final))
    if history.terminal is not None:
        reconcile(events, state, current, history)


def started_fields(manifest: Manifest) -> dict[str, Any]:
    return {
        "graph_name": manifest.name,
        "goal": manifest.goal or None,
        "repo_path": manifest.repo_path or None,
        "base_sha": manifest.base_sha or None,
        "run_branch": manifest.run_branch or None,
        "worktree": manifest.worktree,
        "logs_root": manifest.logs_root,
        "pid": os.getpid(),
    }


def resumed_fields(state: RunState, history: History, final: FinalRecord | None) -> dict[str, Any]:
    return {
        "after_node": state.current_node,
        "next_node": state.next_node or None,
        "restart_count": state.restart_count,
        "resume_count": history.resumes + 1,
        "previous_status": final.status if final else "crashed",
    }


def terminal_fields(ending: Ending, state: RunState) -> dict[str, Any]:
    return {
        "status": ending.status,
        "failure_reason": ending.reason or None,
        "failure_class": ending.failure_class,
        "node_id": ending.node_id or None,
        "final_git_commit_sha": state.commit_sha or None,
    }
