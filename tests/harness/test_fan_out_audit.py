"""The history checker on runs with fan-outs: green on a healthy one, red on each planted defect."""

from __future__ import annotations

import dataclasses

import pytest
from evidence_samples import event_log, healthy_case, stage, turns_of
from fan_out_samples import (
    AFTER,
    COMMITS,
    adopted,
    branch_events,
    fan_out_events,
    healthy_branch,
    healthy_fan_out,
    line,
    saved,
    told,
)

from harness.audit import HISTORY_CHECKS, audit_run
from harness.checks.builtin import BUILTIN_CHECKS
from harness.evidence import Document, RunEvidence, Turns
from harness.results import Verdict


def red(run: RunEvidence) -> dict[str, str]:
    return {check.name: check.found for check in audit_run(run) if check.verdict is not Verdict.GREEN}


def test_a_healthy_history_is_green_in_every_check() -> None:
    results = audit_run(healthy_fan_out())
    assert {check.name: check.verdict for check in results} == dict.fromkeys(HISTORY_CHECKS, Verdict.GREEN)


def with_copy(node: str, number: int = 1) -> RunEvidence:
    made = tuple(("copy-a", node, number) if sha == "copy-a" else (sha, of, place) for sha, of, place in COMMITS)
    return healthy_fan_out(commits=line(*made, parent="base"))


def two_nodes() -> RunEvidence:
    """Branch a has made two commits, of which the run has one."""
    events = [*branch_events("a", "x")[:-1], *stage("a2", 1)[:2], saved("a2", "sha-a")]
    end = {"event": "run_completed", "status": "success", "final_git_commit_sha": "sha-a"}
    commits = line(("x", "a", 1), ("sha-a", "a2", 2), parent="sha1")
    checkpoint = {"": Document("c", {"git_commit_sha": "sha-a", "completed_nodes": ["a", "a2"]})}
    result = {"nodes": ["a", "a2"]}
    log = event_log(*events, end, run_id="sample/fan+1+a")
    return healthy_branch(
        "a", events=[*events, end], commits=commits, checkpoints=checkpoint, result=result, turns=turns_of(log)
    )


def strange_turns(branch: RunEvidence) -> RunEvidence:
    """A turn of the run's behind the branch's own first one."""
    forked, *own = branch.turns.turns
    return dataclasses.replace(branch, turns=Turns((forked, own[0], forked, *own[1:])))


CANCELED = {"event": "run_canceled", "final_git_commit_sha": "sha-b"}
AGAIN = {"event": "run_resumed", "after_node": "b", "ts": "2026-01-01T00:00:02.000000Z"}

DEFECTS: dict[str, tuple[str, RunEvidence, str]] = {
    "an adopted commit of another node": ("history: commits", with_copy("other"), "are of ['other']"),
    "an adopted commit the branch never made": ("history: commits", with_copy("a", 7), "are not what fan/1/a has made"),
    "only part of a branch adopted": (
        "history: commits",
        healthy_fan_out(two_nodes()),
        "not what fan/1/a has made: ['a', 'a2']",
    ),
    "an adoption of more nodes than were made": (
        "history: commits",
        healthy_fan_out(events=fan_out_events(adopted={"nodes": ["b", "a"]})),
        "nodes ['b', 'a'] are named",
    ),
    "an adoption from no branch": (
        "history: commits",
        healthy_fan_out(events=fan_out_events(adopted={"git_branch": "other"})),
        "'other' is the git branch of none",
    ),
    "an adoption under another branch's name": (
        "history: commits",
        healthy_fan_out(events=fan_out_events(adopted={"branch": "b"})),
        "is the git branch of fan/1/a",
    ),
    "an adoption whose commits are lost": (
        "history: commits",
        healthy_fan_out(commits=line(*(row for row in COMMITS if row[0] != "copy-a"), parent="base")),
        "copy-a is not on the run's branch",
    ),
    "adopted commits that no event names": (
        "history: commits",
        healthy_fan_out(events=[e for e in fan_out_events() if e["event"] != "branch_adopted"]),
        "belongs to no saved checkpoint",
    ),
    "adopted nodes counted as finished ones": (
        "history: checkpoint",
        healthy_fan_out(
            checkpoints={
                "": Document("c", {"git_commit_sha": "sha4", "completed_nodes": ["start", "fan", "a", "pick", "exit"]})
            }
        ),
        "completed_nodes",
    ),
    "a turn of a branch in the run's context": (
        "history: CXDB turns",
        healthy_fan_out(turns=healthy_branch("a").turns),
        "is of run 'sample/fan+1+a'",
    ),
    "a branch's gap in seq": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", events=[{"seq": 9, "event": "run_started"}])),
        "fan/1/b: event 1 has seq 9",
    ),
    "a branch's events under the run's id": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", log=event_log(*branch_events("b", "sha-b")))),
        "is of run 'sample', not 'sample/fan+1+b'",
    ),
    "a branch that ends twice": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", events=[*branch_events("b", "sha-b"), branch_events("b", "sha-b")[-1]])),
        "fan/1/b: life 1 has 2 terminal events",
    ),
    "a branch that begins elsewhere": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", base_sha="sha9", commits=line(("sha-b", "b", 1), parent="sha9"))),
        "begins at sha9, where its run has never been",
    ),
    "a branch's commit doubled": (
        "history: branches",
        healthy_fan_out(
            b=healthy_branch("b", tip="sha-b", commits=line(("x", "b", 1), ("sha-b", "b", 2), parent="sha1"))
        ),
        "fan/1/b: commit x",
    ),
    "a branch's checkpoint behind": (
        "history: branches",
        healthy_fan_out(
            b=healthy_branch("b", checkpoints={"": Document("c", {"git_commit_sha": "sha1", "completed_nodes": []})})
        ),
        "fan/1/b: c names commit sha1",
    ),
    "a branch's turn missing": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", turns=Turns(healthy_branch("b").turns.turns[:-1]))),
        "fan/1/b: RunCompleted turns for run_completed: missing",
    ),
    "a turn of the run's among a branch's own": (
        "history: branches",
        healthy_fan_out(b=strange_turns(healthy_branch("b"))),
        "fan/1/b: turn 2 is of run 'sample'",
    ),
    "a context forked from a stranger's": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", turns=healthy_branch("a").turns)),
        "is of run 'sample/fan+1+a', not 'sample/fan+1+b'",
    ),
    "a result lost": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", finals={})),
        "no branch_result.json after run_completed",
    ),
    "a result that is no JSON": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", finals={"": Document("branch_result.json", None, "torn")})),
        "fan/1/b: branch_result.json: torn",
    ),
    "a result of another outcome": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", result={"outcome": "fail"})),
        "its result is 'fail', the run's event says 'success'",
    ),
    "a result of a canceled branch": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", events=[*branch_events("b", "sha-b")[:-1], CANCELED])),
        "outcome 'success' after run_canceled",
    ),
    "a result of other nodes": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", result={"nodes": ["b", "c"]})),
        "has nodes ['b', 'c'], expected ['b']",
    ),
    "a result of another commit": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", result={"head_sha": "sha1"})),
        "has head_sha 'sha1', expected 'sha-b'",
    ),
    "a finished branch that lives again": (
        "history: branches",
        healthy_fan_out(b=healthy_branch("b", events=[*branch_events("b", "sha-b"), AGAIN, CANCELED | {"ts": AFTER}])),
        "fan/1/b: lives again after its end: run_resumed",
    ),
    "a success without a record": (
        "history: branches",
        healthy_fan_out(parallel=(healthy_branch("a"),)),
        "fan/1/b: is said to have ended with success, and has no branch_result.json",
    ),
    "a branch nobody started": (
        "history: branches",
        healthy_fan_out(events=fan_out_events(branches=told("a"), completed={"succeeded": 1})),
        "fan/1/b: has records, and no event says that it was started",
    ),
    "a canceled branch with a result": (
        "history: branches",
        healthy_fan_out(
            events=fan_out_events(branches=[*told("a"), *told("b", canceled=True, status="fail")], completed={})
        ),
        "has a result although it was canceled",
    ),
    "a count that is wrong": (
        "history: branches",
        healthy_fan_out(events=fan_out_events(completed={"succeeded": 1, "failed": 1})),
        "fan/1: 1 succeeded by its last event, 2 by those of its branches",
    ),
    "a fan-out without any branch on record": (
        "history: branches",
        healthy_fan_out(parallel=()),
        "fan/1/a: is said to have ended with success",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_turns_its_check_red(defect: str) -> None:
    check, run, words = DEFECTS[defect]
    assert words in red(run)[check]


def test_turns_of_a_branch_that_cannot_be_read_are_an_error() -> None:
    run = healthy_fan_out(b=healthy_branch("b", turns=Turns(unavailable="refused")))
    assert {c.name: c.verdict for c in audit_run(run)}["history: branches"] is Verdict.ERROR


def test_an_adoption_that_a_crash_took_back_is_not_held_against_the_run() -> None:
    """The fan-in was run again, and took the same branch over once more."""
    events = fan_out_events()
    place = next(index for index, event in enumerate(events) if event["event"] == "branch_adopted")
    events[place:place] = [adopted(head_sha="gone"), {"event": "run_resumed", "after_node": "fan"}]
    run = healthy_fan_out(events=events)
    assert set(red(run)) == set()


def test_a_branch_may_be_stopped_and_gone_on_with() -> None:
    b = healthy_branch("b", events=[*branch_events("b", "sha-b")[:4], CANCELED, AGAIN, branch_events("b", "sha-b")[-1]])
    events = fan_out_events()
    place = next(index for index, event in enumerate(events) if event.get("branch") == "b")
    end = {"event": "run_canceled", "failure_class": "canceled"}
    stopped = {**events[place + 1], "status": "fail", "canceled": True}
    again = {**events[place], "ts": "2026-01-01T00:00:03.000000Z"}
    done = {**events[place + 1], "ts": "2026-01-01T00:00:04.000000Z"}
    resumed = {"event": "run_resumed", "after_node": "start", "restart_count": 0}
    events[place + 1 : place + 2] = [stopped, end, resumed, again, done]
    assert red(healthy_fan_out(b=b, events=events)) == {}


def test_a_nested_fan_out_is_judged_too() -> None:
    inner = dataclasses.replace(
        healthy_branch("x", finals={}), name="fan+1+a+inner/1/x", run_id="sample/fan+1+a+inner+1+x"
    )
    run = healthy_fan_out(dataclasses.replace(healthy_branch("a"), parallel=(inner,)))
    assert "fan+1+a+inner/1/x: has records" in red(run)["history: branches"]
    assert "fan+1+a+inner/1/x: event 1 is of run 'sample/fan+1+x'" in red(run)["history: branches"]


NAMES = ("attractor/run/sample", *(f"attractor/run/parallel/sample/fan/1/{child}" for child in "ab"), "main")
DRIFTED = {
    "a prefix lost": healthy_case(healthy_fan_out(), branches_after=("main", "parallel/sample/fan/1/a")),
    "another form": healthy_case(healthy_fan_out(), branches_after=("main", "attractor/run/parallel/sample/a")),
    "another pass": healthy_case(healthy_fan_out(), branches_after=("main", "attractor/run/parallel/sample/fan/2/a")),
    "a record of another name": healthy_case(
        healthy_fan_out(b=healthy_branch("b", branch="attractor/run/parallel/sample/b")), branches_after=NAMES
    ),
    "a result of another name": healthy_case(
        healthy_fan_out(b=healthy_branch("b", result={"branch": "attractor/run/b"})), branches_after=NAMES
    ),
}


def test_names_of_parallel_branches_have_one_form() -> None:
    check = BUILTIN_CHECKS["branch names"]
    assert check("branch names", healthy_case(healthy_fan_out(), branches_after=NAMES)).verdict is Verdict.GREEN
    for drift, case in DRIFTED.items():
        assert check("branch names", case).verdict is Verdict.RED, drift
