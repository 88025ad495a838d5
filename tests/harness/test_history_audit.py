"""The history checker on hand-written histories: green on a healthy one, red on each planted defect."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from evidence_samples import commits, healthy_events, healthy_run, snapshot, stage, turns_of

from harness.audit import HISTORY_CHECKS, audit_run
from harness.evidence import Artifact, Document, EventLog, FileSeen, RunEvidence, Snapshot, Turn, Turns
from harness.results import Verdict

OF_ANY_RUN = set(HISTORY_CHECKS) - {"history: branches"}  # see test_fan_out_audit


def red(run: RunEvidence) -> dict[str, str]:
    judged = [check for check in audit_run(run) if check.verdict is not Verdict.SKIPPED]
    return {check.name: check.found for check in judged if check.verdict is not Verdict.GREEN}


def final(**fields: Any) -> dict[str, Document]:
    value = {"status": "success", "run_id": "sample", "final_git_commit_sha": "sha2"} | fields
    return {"": Document("final.json", value)}


def test_a_healthy_history_is_green_in_every_check() -> None:
    verdicts = {check.name: check.verdict for check in audit_run(healthy_run())}
    assert verdicts == dict.fromkeys(OF_ANY_RUN, Verdict.GREEN)


def test_a_run_that_was_refused_has_no_history_to_judge() -> None:
    assert audit_run(RunEvidence(name="run", run_id="x", logs_root="/nowhere", exists=False)) == []


def log_with(run: RunEvidence, place: int, **fields: Any) -> RunEvidence:
    events = list(run.log.events)
    events[place] = events[place] | fields
    return dataclasses.replace(run, log=EventLog(tuple(events), run.log.torn, present=True))


DEFECTS = {
    "a gap in seq": ("history: events", log_with(healthy_run(), 3, seq=40), "has seq 40"),
    "another run's event": ("history: events", log_with(healthy_run(), 3, run_id="other"), "of run 'other'"),
    "a torn line": (
        "history: events",
        healthy_run(log=EventLog(healthy_run().log.events, ("line 9: b'{'",), present=True)),
        "not a whole JSON object",
    ),
    "an event after the end": (
        "history: lives",
        healthy_run(events=[*healthy_events(), {"event": "edge_selected", "from": "a", "to": "b"}]),
        "goes on after run_completed",
    ),
    "two ends": ("history: lives", healthy_run(events=[*healthy_events(), healthy_events()[-1]]), "2 terminal events"),
    "a second beginning": (
        "history: lives",
        healthy_run(events=[*healthy_events(), healthy_events()[0]]),
        "begins with run_started",
    ),
    "final.json missing": ("history: final.json", healthy_run(finals={}), "no final.json in the base logs root"),
    "final.json of another status": (
        "history: final.json",
        healthy_run(finals=final(status="fail")),
        "status 'fail' after run_completed",
    ),
    "final.json of another commit": (
        "history: final.json",
        healthy_run(finals=final(final_git_commit_sha="sha1")),
        "the branch is at sha2",
    ),
    "final.json that is no JSON": (
        "history: final.json",
        healthy_run(finals={"": Document("final.json", None, "not one JSON object")}),
        "not one JSON object",
    ),
    "success although nobody saw the end": (
        "history: final.json",
        healthy_run(events=healthy_events()[:-1]),
        "no terminal event",
    ),
    "a commit made twice": (
        "history: commits",
        healthy_run(commits=commits("start", "start", "exit"), tip="sha3"),
        "belongs to no saved checkpoint",
    ),
    "a commit lost": ("history: commits", healthy_run(commits=commits("start")), "which is not on the branch"),
    "a branch that forks": (
        "history: commits",
        healthy_run(commits=(commits("start")[0], dataclasses.replace(commits("start", "exit")[1], parents=("base",)))),
        "has parents ('base',)",
    ),
    "a trailer that lies": (
        "history: commits",
        healthy_run(
            commits=(
                dataclasses.replace(
                    commits("start")[0], trailers={"Attractor-Run": "sample", "Attractor-Node": "exit"}
                ),
                commits("start", "exit")[1],
            )
        ),
        "trailer Attractor-Node is 'exit'",
    ),
    "a checkpoint behind the branch": (
        "history: checkpoint",
        healthy_run(checkpoints={"": Document("checkpoint.json", {"git_commit_sha": "sha1", "completed_nodes": []})}),
        "names commit sha1",
    ),
    "a checkpoint of other nodes": (
        "history: checkpoint",
        healthy_run(checkpoints={"": Document("c", {"git_commit_sha": "sha2", "completed_nodes": ["start", "work"]})}),
        "the newest commits are of",
    ),
    "a turn missing": (
        "history: CXDB turns",
        healthy_run(turns=Turns(turns_of(healthy_run().log).turns[:-1])),
        "RunCompleted turns for run_completed: missing: [8]",
    ),
    "a turn of another run": (
        "history: CXDB turns",
        healthy_run(turns=Turns((*turns_of(healthy_run().log).turns, Turn("x", 9, {"run_id": "other"})))),
        "is of run 'other', not 'sample'",
    ),
    "a turn doubled": (
        "history: CXDB turns",
        healthy_run(turns=Turns((*turns_of(healthy_run().log).turns, turns_of(healthy_run().log).turns[-1]))),
        "doubled: [8]",
    ),
    "a file that is not shown": (
        "history: CXDB files",
        healthy_run(snapshots=(snapshot("sha1"), snapshot("sha2", b=None))),
        "the turn of commit sha2: b is not shown",
    ),
    "a file of no commit": (
        "history: CXDB files",
        healthy_run(snapshots=(snapshot("sha1", c=FileSeen("100644", "c", 1)), snapshot("sha2"))),
        "c is shown, and not in the commit",
    ),
    "another file's content": (
        "history: CXDB files",
        healthy_run(snapshots=(snapshot("sha1", a=FileSeen("100644", "b-hash", 4)), snapshot("sha2"))),
        "a is shown as FileSeen(mode='100644', sha='b-hash', size=4), the commit has",
    ),
    "a mode that is lost": (
        "history: CXDB files",
        healthy_run(snapshots=(snapshot("sha1", a=FileSeen("100755", "", 4)), snapshot("sha2"))),
        "a is shown as FileSeen(mode='100755'",
    ),
    "a commit without files": (
        "history: CXDB files",
        healthy_run(snapshots=(Snapshot("sha1", 3), snapshot("sha2"))),
        "the turn of commit sha1 shows no files",
    ),
    "an artifact that is not stored": (
        "history: CXDB files",
        healthy_run(artifacts=(Artifact("work/stdout.log", "abcdef0123456789", there=True, stored=False),)),
        "work/stdout.log (abcdef0123) is not in CXDB",
    ),
    "an artifact that cannot be asked for": (
        "history: CXDB files",
        healthy_run(artifacts=(Artifact("a", "ab", there=False, stored=False, unreadable="refused"),)),
        "a: refused",
    ),
    "files that cannot be read": (
        "history: CXDB files",
        healthy_run(snapshots=(Snapshot("sha1", 3, unreadable="HTTP 500"), snapshot("sha2"))),
        "the turn of commit sha1: HTTP 500",
    ),
}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"snapshots": None}, "says nothing of files"),
        ({"finals": final(cxdb_files_missing="too large")}, "some are missing: too large"),
        ({"engine_alive": True}, "has not come to its end"),
        ({"turns": Turns(expected=False)}, "told to do without"),
    ],
)
def test_where_no_snapshots_have_to_be_they_are_not_judged(changes: dict[str, Any], why: str) -> None:
    run = healthy_run(**{"snapshots": (Snapshot("sha1", 3),)} | changes)
    (check,) = (check for check in audit_run(run) if check.name == "history: CXDB files")
    assert check.verdict is Verdict.SKIPPED
    assert why in check.summary


def test_a_run_without_snapshots_is_asked_for_its_artifacts_only() -> None:
    without = Document("manifest.json", {"cxdb": {"snapshots_max_bytes": 0}})
    replaced = Artifact("work/stdout.log", "ab", there=False, stored=False)
    for manifest in (without, Document("manifest.json", {"cxdb": None})):
        assert red(healthy_run(manifest=manifest, snapshots=(Snapshot("sha1", 3),), artifacts=(replaced,))) == {}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_turns_its_check_red(defect: str) -> None:
    check, run, words = DEFECTS[defect]
    assert words in red(run)[check]


def test_every_history_check_has_a_planted_defect() -> None:
    assert {check for check, _, _ in DEFECTS.values()} == OF_ANY_RUN


def test_turns_that_cannot_be_read_are_an_error_not_a_pass() -> None:
    results = audit_run(healthy_run(turns=Turns(unavailable="refused")))
    assert {c.name: c.verdict for c in results}["history: CXDB turns"] is Verdict.ERROR


def test_a_killed_life_may_lack_its_end_and_its_last_event() -> None:
    resumed = {"event": "run_resumed", "after_node": "start"}
    events = [healthy_events()[0], *stage("start", 1)[:2], resumed, *healthy_events()[4:]]
    assert red(healthy_run(events=events)) == {}


def test_a_failed_last_word_in_place_of_a_killed_engine_is_accepted() -> None:
    posthumous = final(status="fail", failure_reason="the engine was killed", final_git_commit_sha="")
    assert red(healthy_run(events=healthy_events()[:-1], finals=posthumous)) == {}


def test_a_restarted_run_is_judged_by_the_checkpoint_in_force() -> None:
    run = healthy_run(
        checkpoints={
            "": Document("checkpoint.json", {"git_commit_sha": "sha1", "completed_nodes": ["start"]}),
            "restart-1": Document("restart-1/checkpoint.json", {"git_commit_sha": "sha2", "completed_nodes": ["exit"]}),
        },
        finals=final() | {"restart-1": final()[""]},
    )
    assert red(run) == {}


def test_the_current_restart_needs_the_final_word_too() -> None:
    checkpoint = Document("restart-1/checkpoint.json", {"git_commit_sha": "sha2", "completed_nodes": ["exit"]})
    run = healthy_run(checkpoints={"restart-1": checkpoint})
    assert "no final.json in restart-1" in red(run)["history: final.json"]
