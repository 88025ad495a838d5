"""Judges a case: pure functions from evidence and expectations to check results.

Everything is judged that can be, also after a red check: a report with one complaint at a time is no
help. A check that raises is an `error`, never a pass.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial

from harness.audit import HISTORY_CHECKS, audit_run
from harness.checks.agents import AGENT_CHECKS, judge_starts
from harness.checks.builtin import BUILTIN_CHECKS
from harness.checks.expectations import judge_run, judge_scratch
from harness.evidence import CaseEvidence, RunEvidence
from harness.judging import judged
from harness.results import CheckResult, FaultRecord, Verdict
from harness.scenario import DEFAULT_RUN, Expectation, Proof, Scenario

__all__ = ["ALWAYS_CHECKED", "judge_case", "judge_proofs"]

# Names a scenario may use in [without].
ALWAYS_CHECKED = (*BUILTIN_CHECKS, *AGENT_CHECKS, *HISTORY_CHECKS)


def judge_case(scenario: Scenario, case: CaseEvidence) -> list[CheckResult]:
    """Steps, expectations, history, surroundings: in the order in which a person would ask."""
    results = _steps(case)
    for name, expect in scenario.expect.items():
        run = case.runs.get(name)
        if run is not None:
            results += _guarded(f"expectations of {name}", partial(judge_run, expect, run, case), name)
        elif dataclasses.replace(expect, scratch={}, starts=None, asked=None) != Expectation():
            problem = f"the run {name!r} was never started"
            results.append(CheckResult(name=f"expectations of {name}", verdict=Verdict.INVALID, summary=problem))
        results += judge_scratch(expect, case)
        results += judge_starts(expect, case)
    for run in _distinct(case):
        results += [_named(check, run.name) for check in audit_run(run)]
    for check_name, check in (BUILTIN_CHECKS | (AGENT_CHECKS if case.starts else {})).items():
        results += _guarded(check_name, partial(_single, check, check_name, case), DEFAULT_RUN)
    if scenario.within_seconds is not None:
        took, limit = case.duration_seconds, scenario.within_seconds
        results.append(judged("time", [f"{took:.2f} s"] if took > limit else [], f"at most {limit:g} s"))
    return [_without(result, scenario.without) for result in results]


def _single(check: Callable[[str, CaseEvidence], CheckResult], name: str, case: CaseEvidence) -> list[CheckResult]:
    return [check(name, case)]


def _distinct(case: CaseEvidence) -> list[RunEvidence]:
    """One for each logs root: a second name for the same run is not audited again."""
    found: dict[str, RunEvidence] = {}
    for run in case.runs.values():
        found.setdefault(run.logs_root, run)
    return list(found.values())


def _named(check: CheckResult, run: str) -> CheckResult:
    if run == DEFAULT_RUN:
        return check
    return dataclasses.replace(check, name=f"{check.name} [{run}]")


def _guarded(name: str, check: Callable[[], list[CheckResult]], run: str) -> list[CheckResult]:
    try:
        return [_named(result, run) for result in check()]
    except Exception as error:
        return [CheckResult(name=name, verdict=Verdict.ERROR, summary=f"the check itself failed: {error!r}")]


def _without(result: CheckResult, without: Mapping[str, str]) -> CheckResult:
    reason = without.get(result.name.partition(" [")[0])
    if reason is None or result.verdict is Verdict.GREEN:
        return result
    return CheckResult(name=result.name, verdict=Verdict.SKIPPED, summary=f"left out by the scenario: {reason}")


def _steps(case: CaseEvidence) -> list[CheckResult]:
    results = []
    for outcome in case.outcomes:
        result = judged(outcome.name, [outcome.problem] if outcome.problem else [], outcome.expected)
        if outcome.problem and outcome.premise:
            result = CheckResult(
                name=outcome.name,
                verdict=Verdict.INVALID,
                summary=f"the fault could not be brought about: {outcome.problem}",
                expected=outcome.expected,
                found=outcome.problem,
            )
        results.append(result)
    return results


def judge_proofs(proofs: tuple[Proof, ...], case: CaseEvidence) -> list[FaultRecord]:
    """The workload's own faults, as records like those of injected ones."""
    return [_proof(proof, case) for proof in proofs]


def _proof(proof: Proof, case: CaseEvidence) -> FaultRecord:
    run = case.runs.get(proof.run)
    if proof.event is not None:
        events = run.log.events if run is not None else ()
        hits = [event for event in events if proof.event.matches(event)]
        at = str(hits[-1].get("ts", "")) if hits else ""
        seen = f"{len(hits)} of {proof.event}, seq {[event.get('seq') for event in hits]}"
        return FaultRecord(
            kind="proof", target=str(proof.event), fired=proof.event.satisfied(events), proof=seen, at=at
        )
    if proof.answered is not None:
        given = case.answered.count(proof.answered)
        target, seen = f"answers of {proof.answered}", f"{given} given, {proof.count} or more needed"
        return FaultRecord(kind="proof", target=target, fired=given >= proof.count, proof=seen, at="")
    if proof.file is not None:
        there = run is not None and proof.file in run.files
        return FaultRecord(kind="proof", target=proof.file, fired=there, proof="there" if there else "not there", at="")
    there = case.scratch.get(proof.scratch or "") is not None
    return FaultRecord(
        kind="proof",
        target=f"scratch {proof.scratch}",
        fired=there,
        proof="there" if there else "not there",
        at="",
    )
