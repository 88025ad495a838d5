"""Expectations and built-in checks on hand-written evidence, each seen green and red."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from evidence_samples import CHECKOUT, healthy_case, healthy_run
from fan_out_samples import healthy_branch

from harness.checks import judge_case, judge_proofs
from harness.checks.builtin import BUILTIN_CHECKS
from harness.checks.expectations import judge_run
from harness.evidence import CaseEvidence, EventLog, StepOutcome
from harness.matching import EventPattern, Matcher, MatcherKind, parse_event_words
from harness.results import CommandRecord, Verdict
from harness.scenario import Expectation, Proof, Scenario


def equal(value: object) -> Matcher:
    return Matcher(MatcherKind.EQUALS, value)


def counted(words: str, count: int) -> EventPattern:
    return dataclasses.replace(parse_event_words(words), count=equal(count))


EXPECTATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # name: (what holds of the healthy run, what does not)
    "final field": ({"final": {"status": equal("success")}}, {"final": {"status": equal("fail")}}),
    "no final": ({}, {"no_final": True}),
    "events in order": (
        {"events": tuple(map(parse_event_words, ["run_started", "stage_attempt_end exit", "run_completed"]))},
        {"events": tuple(map(parse_event_words, ["stage_attempt_end exit", "stage_attempt_end start"]))},
    ),
    "event count": (
        {"event_counts": (counted("checkpoint_saved", 2),)},
        {"event_counts": (counted("checkpoint_saved", 3),)},
    ),
    "absent event": (
        {"absent_events": (parse_event_words("loop_restart"),)},
        {"absent_events": (parse_event_words("checkpoint_saved exit"),)},
    ),
    "files": ({"files": ("final.json", "*.ndjson")}, {"files": ("run.pid",)}),
    "absent files": ({"absent_files": ("restart-1",)}, {"absent_files": ("final.json",)}),
    "contents": ({"contents": {"run.pid": equal("12\n")}}, {"contents": {"run.pid": equal("13\n")}}),
    "tree": ({"tree": {"work.txt": equal("done\n")}}, {"tree": {"work.txt": equal("")}}),
    "tree, not there": ({"tree": {"no.txt": Matcher(MatcherKind.PRESENT, False)}}, {"tree": {"no.txt": equal("")}}),
    "commits": (
        {"commits": ("start (success)", "exit (success)")},
        {"commits": ("start (success)", "work (success)")},
    ),
    "completed nodes": ({"completed_nodes": ("start", "exit")}, {"completed_nodes": ("start",)}),
    "branches": ({"branches": ("attractor/run/sample",)}, {"branches": ("attractor/run/other",)}),
    "turns": ({"turns": ("RunStarted", "RunCompleted")}, {"turns": ("RunCompleted", "RunStarted")}),
    "nothing made": ({}, {"nothing_made": True}),
    "a branch's result": (
        {"parallel": {"fan/1/a": Expectation(final={"outcome": equal("success")}, commits=("a (success)",))}},
        {"parallel": {"fan/1/a": Expectation(final={"outcome": equal("fail")})}},
    ),
    "a branch's events": (
        {"parallel": {"fan/1/a": Expectation(events=(parse_event_words("run_completed"),))}},
        {"parallel": {"fan/1/a": Expectation(events=(parse_event_words("run_failed"),))}},
    ),
    "a branch": ({}, {"parallel": {"fan/2/a": Expectation()}}),
}


def judge(expect: Expectation) -> set[Verdict]:
    run = healthy_run(
        contents={"run.pid": "12\n"}, tree={"work.txt": "done\n", "no.txt": None}, parallel=(healthy_branch("a"),)
    )
    return {check.verdict for check in judge_run(expect, run, healthy_case(run))}


@pytest.mark.parametrize("name", EXPECTATIONS)
def test_an_expectation_that_holds_is_green_and_one_that_does_not_is_red(name: str) -> None:
    holds, fails = EXPECTATIONS[name]
    assert judge(Expectation(**holds)) <= {Verdict.GREEN}
    assert Verdict.RED in judge(Expectation(**fails))


def test_every_kind_of_expectation_is_seen_here() -> None:
    seen = {key for pair in EXPECTATIONS.values() for part in pair for key in part}
    assert seen == {field.name for field in dataclasses.fields(Expectation)} - {"scratch", "starts", "asked"}


HARMED: dict[str, CaseEvidence] = {
    "checkout untouched": healthy_case(after=dataclasses.replace(CHECKOUT, head="def")),
    "no process left": healthy_case(leaked_processes=("pid 7 sleep 60",)),
    "no secret kept": healthy_case(canary_places=("run: final.json",)),
    "no file left": healthy_case(worktrees=("worktree /elsewhere HEAD abc branch refs/heads/x",)),
    "branch names": healthy_case(branches_after=("main", "/sample")),
    "no traceback": healthy_case(
        commands=(
            CommandRecord(
                step=1,
                name="run",
                argv=(),
                cwd="/",
                exit_code=1,
                duration_seconds=0.1,
                stderr_tail="Traceback (most recent call last):\n  boom",
            ),
        )
    ),
}


@pytest.mark.parametrize("name", BUILTIN_CHECKS)
def test_a_builtin_check_is_green_on_a_healthy_case_and_red_on_a_harmed_one(name: str) -> None:
    check = BUILTIN_CHECKS[name]
    assert check(name, healthy_case()).verdict is Verdict.GREEN
    assert check(name, HARMED[name]).verdict is Verdict.RED


def test_a_checkout_nobody_looked_at_is_an_error() -> None:
    case = healthy_case(before=None)
    assert BUILTIN_CHECKS["checkout untouched"]("x", case).verdict is Verdict.ERROR


def scenario(**more: Any) -> Scenario:
    return Scenario(
        path=Path("x.toml"), guardrail="g", name="n", title="t", why="w", graph="digraph {}", steps=(), **more
    )


def test_a_check_can_be_left_out_only_with_its_reason_on_record() -> None:
    without = {"no process left": "the case is about that"}
    results = judge_case(scenario(without=without), HARMED["no process left"])
    left_out = next(check for check in results if check.name == "no process left")
    assert (left_out.verdict, left_out.summary) == (
        Verdict.SKIPPED,
        "left out by the scenario: the case is about that",
    )


def test_a_premise_that_failed_makes_invalid_and_a_promise_that_failed_makes_red() -> None:
    for premise, verdict in ((True, Verdict.INVALID), (False, Verdict.RED)):
        outcome = StepOutcome(1, "step 1: gate reached", "not seen", "gate reached", premise)
        results = judge_case(scenario(), healthy_case(outcomes=(outcome,)))
        assert results[0].verdict is verdict


def test_an_expectation_of_a_run_that_never_was_is_invalid() -> None:
    results = judge_case(scenario(expect={"other": Expectation(no_final=True)}), healthy_case())
    assert any(check.verdict is Verdict.INVALID for check in results)


def test_a_check_that_breaks_is_an_error() -> None:
    broken = healthy_run(log=EventLog((None,), (), present=True))  # type: ignore[arg-type]
    verdicts = {check.verdict for check in judge_case(scenario(), healthy_case(broken))}
    assert Verdict.ERROR in verdicts


def test_a_time_bound_is_judged() -> None:
    results = judge_case(scenario(within_seconds=1.0), healthy_case(duration_seconds=2.0))
    assert {check.name: check.verdict for check in results}["time"] is Verdict.RED


@pytest.mark.parametrize(
    ("proof", "fired"),
    [
        (Proof(event=parse_event_words("stage_attempt_end exit")), True),
        (Proof(event=counted("stage_attempt_end exit", 2)), False),
        (Proof(event=parse_event_words("loop_restart")), False),
        (Proof(event=parse_event_words("run_started"), run="other"), False),
        (Proof(file="final.json"), True),
        (Proof(file="run.pid"), False),
        (Proof(scratch="tries"), True),
        (Proof(scratch="nothing"), False),
    ],
)
def test_a_proof_is_a_fault_that_fired_or_not(proof: Proof, fired: bool) -> None:
    case = healthy_case(scratch={"tries": "x\n", "nothing": None})
    assert [record.fired for record in judge_proofs((proof,), case)] == [fired]
