"""The history checker on runs with managers: a child pipeline is a branch, with its manager's words for it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from evidence_samples import RUN_ID, event_log, healthy_run, stage, turns_of
from fan_out_samples import AFTER, branch_events, healthy_branch, line

from harness.audit import audit_run
from harness.evidence import Document, EventLog, RunEvidence, Turns
from harness.results import Verdict

NO_RESULT: dict[str, Document] = {}


def red(run: RunEvidence) -> dict[str, str]:
    return {check.name: check.found for check in audit_run(run) if check.verdict is not Verdict.GREEN}


def child(passed: str = "1", **changes: Any) -> RunEvidence:
    """One node of its own, `one`, in the given pass of the manager `boss`."""
    run_id = f"{RUN_ID}/boss+{passed}+child"
    git = f"attractor/run/parallel/{RUN_ID}/boss/{passed}/child"
    events = [{**event, "run_branch": git} if "run_branch" in event else event for event in branch_events("one", "one")]
    log = event_log(*changes.pop("events", events), run_id=run_id)
    result = {
        "id": "child",
        "outcome": "success",
        "base_sha": "sha1",
        "head_sha": "one",
        "nodes": ["one"],
        "branch": git,
    }
    checkpoint = {"git_commit_sha": "one", "completed_nodes": ["one"]}
    found = healthy_branch(
        "one",
        name=f"boss/{passed}/child",
        run_id=run_id,
        log=log,
        finals={"": Document("branch_result.json", result)},
        checkpoints={"": Document("checkpoint.json", checkpoint)},
        branch=git,
        tip="one",
        commits=line(("one", "one", 1), parent="sha1"),
        turns=turns_of(log),
    )
    return dataclasses.replace(found, **changes)


def never_begun() -> RunEvidence:
    return child(log=EventLog(), turns=Turns(), finals=NO_RESULT, checkpoints={}, commits=(), tip=None)


def told(**ending: Any) -> list[dict[str, Any]]:
    end = {"event": "child_completed", "node_id": "boss", "ts": AFTER, "status": "success", **ending}
    return [{"event": "child_started", "node_id": "boss", "child": "child"}, end]


def attempt(number: int) -> dict[str, Any]:
    return {"event": "stage_attempt_start", "node_id": "boss", "attempt": number, "visit": 1}


def managed(*children: RunEvidence, events: list[dict[str, Any]] | None = None) -> RunEvidence:
    """start and a manager, whose child has done its work; nothing of it is taken over."""
    end = {"event": "run_completed", "status": "success", "final_git_commit_sha": "sha2"}
    begin = {"event": "run_started", "run_branch": f"attractor/run/{RUN_ID}", "base_sha": "base"}
    return healthy_run(
        events=[begin, *stage("start", 1), attempt(1), *(events or told()), *stage("boss", 2)[1:], end],
        checkpoints={"": Document("c", {"git_commit_sha": "sha2", "completed_nodes": ["start", "boss"]})},
        commits=line(("sha1", "start", 1), ("sha2", "boss", 2), parent="base"),
        parallel=children,
    )


def test_a_healthy_child_is_green() -> None:
    assert red(managed(child())) == {}


def test_a_manager_that_is_tried_again_has_a_child_for_each_attempt() -> None:
    events = [*told(), attempt(2), *told()]
    assert red(managed(child("1"), child("1-2"), events=events)) == {}
    assert (
        "boss/1-2/child: is said to have ended with success, and has no branch_result.json"
        in (red(managed(child("1"), events=events))["history: branches"])
    )


def test_a_child_that_could_not_even_begin_has_no_history_to_keep() -> None:
    assert red(managed(never_begun(), events=told(status="fail"))) == {}


DEFECTS = {
    "a child nobody started": (
        managed(child(), events=[{"event": "stage_heartbeat"}]),
        "no event says that it was started",
    ),
    "a success without a record": (managed(), "has no branch_result.json"),
    "a success of a child that never began": (managed(never_begun()), "boss/1/child: there are no events"),
    "a failure that its result does not know": (
        managed(child(), events=told(status="fail")),
        "its result is 'success', the run's event says 'fail'",
    ),
    "a child given up that has a result": (
        managed(child(), events=told(status="fail", canceled=True)),
        "has a result although it was canceled",
    ),
    "a finished child that lives again": (
        managed(child(events=[*branch_events("one", "one"), {"event": "run_resumed", "ts": "2026-01-01T00:00:02Z"}])),
        "boss/1/child: lives again after its end: run_resumed",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_turns_the_check_of_branches_red(defect: str) -> None:
    run, words = DEFECTS[defect]
    assert words in red(run)["history: branches"]


def test_a_checkpoint_without_a_commit_needs_no_turn_that_names_one() -> None:
    """So it is in runs without git."""
    saved = event_log(
        {"event": "checkpoint_saved", "node_id": "a"}, {"event": "checkpoint_saved", "git_commit_sha": "x"}
    )
    types = [turn.turn_type.rpartition(".")[2] for turn in turns_of(saved).turns]
    assert sorted(types) == ["CheckpointSaved", "CheckpointSaved", "GitCheckpoint"]
