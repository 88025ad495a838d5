"""Hand-written evidence of one healthy run, for checks to be judged on and defects to be planted in."""

from __future__ import annotations

import dataclasses
from typing import Any

from harness.engines import FILES_MISSING, TURN_TYPES
from harness.evidence import CaseEvidence, Document, EventLog, FileSeen, RunEvidence, Snapshot, Turn, Turns
from harness.repos import CheckoutState, Commit

RUN_ID = "sample"
PREFIX = "com.kilroy.attractor."
CHECKOUT = CheckoutState("abc", "refs/heads/main", "i", "", "c", "", "", "f")


def event_log(*events: dict[str, Any], run_id: str = RUN_ID) -> EventLog:
    """Numbered and stamped."""
    stamped = tuple(
        {"seq": seq, "ts": "2026-01-01T00:00:00.000000Z", "run_id": run_id, **event}
        for seq, event in enumerate(events, start=1)
    )
    return EventLog(stamped, (), present=True)


def commits(*nodes: str) -> tuple[Commit, ...]:
    made, parent = [], "base"
    for number, node in enumerate(nodes, start=1):
        trailers = {"Attractor-Run": RUN_ID, "Attractor-Node": node, "Attractor-Sequence": str(number)}
        made.append(Commit(f"sha{number}", (parent,), f"tree{number}", subject(node), trailers, "a <a@b>"))
        parent = f"sha{number}"
    return tuple(made)


def subject(node: str, status: str = "success") -> str:
    return f"attractor({RUN_ID}): {node} ({status})"


def stage(node: str, number: int) -> list[dict[str, Any]]:
    return [
        {"event": "stage_attempt_start", "node_id": node, "attempt": 1},
        {"event": "stage_attempt_end", "node_id": node, "attempt": 1, "status": "success", "will_retry": False},
        {"event": "checkpoint_saved", "node_id": node, "git_commit_sha": f"sha{number}"},
    ]


def healthy_events() -> list[dict[str, Any]]:
    begin = {"event": "run_started", "run_branch": "attractor/run/sample", "base_sha": "base"}
    end = {"event": "run_completed", "status": "success", "final_git_commit_sha": "sha2"}
    return [begin, *stage("start", 1), *stage("exit", 2), end]


def turns_of(log: EventLog) -> Turns:
    made = [
        Turn(PREFIX + rule.turn_type, depth, {"event_seq": str(event["seq"]), "run_id": event["run_id"]})
        for depth, event in enumerate(log.events)
        for rule in TURN_TYPES
        if rule.wants(event)
    ]
    return Turns(tuple(made))


def snapshot(commit: str, **changes: FileSeen | None) -> Snapshot:
    """Of two files, shown as they are but for `changes`."""
    committed = {name: FileSeen("100644", f"{name}-hash", 4) for name in ("a", "b")}
    shown = {name: seen for name, seen in (committed | changes).items() if seen is not None}
    return Snapshot(commit, 3, shown, committed)


def healthy_run(**changes: Any) -> RunEvidence:
    """A run of two nodes that completed; `changes` replace fields, `events` the log and its turns."""
    log = event_log(*changes.pop("events", healthy_events()))
    final = {"status": "success", "run_id": RUN_ID, "final_git_commit_sha": "sha2", "failure_class": ""}
    final |= {FILES_MISSING: ""}
    run = RunEvidence(
        name="run",
        run_id=RUN_ID,
        logs_root="/logs/run",
        log=log,
        finals={"": Document("final.json", final)},
        checkpoints={"": Document("checkpoint.json", {"git_commit_sha": "sha2", "completed_nodes": ["start", "exit"]})},
        base_sha="base",
        branch="attractor/run/sample",
        tip="sha2",
        commits=commits("start", "exit"),
        manifest=Document("manifest.json", {"cxdb": {"context_id": "1", "snapshots_max_bytes": 1 << 20}}),
        turns=turns_of(log),
        snapshots=(snapshot("sha1"), snapshot("sha2")),
        files=("checkpoint.json", "final.json", "progress.ndjson"),
        turn_prefix=PREFIX,
    )
    return dataclasses.replace(run, **changes)


def healthy_case(run: RunEvidence | None = None, **changes: Any) -> CaseEvidence:
    case = CaseEvidence(
        runs={"run": run or healthy_run()},
        commands=(),
        outcomes=(),
        faults=(),
        before=CHECKOUT,
        after=CHECKOUT,
        branches_before=("main",),
        branches_after=("attractor/run/sample", "main"),
    )
    return dataclasses.replace(case, **changes)
