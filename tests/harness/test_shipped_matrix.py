"""The scenarios that ship: all readable, each with a proof, and one run for real through the engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engines import EVENT_NAMES, TURN_TYPES
from harness.link import LinkSpec
from harness.matrix import find_cases
from harness.scenario import CommandStep, Expectation, FaultStep

ROOT = Path(__file__).parents[2]
CASES = find_cases(ROOT / "scenarios")


def test_case_ids_are_unique() -> None:
    assert len({case.case_id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case_id)
def test_a_case_has_a_fault_to_prove_or_a_refusal_to_see(case) -> None:  # type: ignore[no-untyped-def]
    scenario = case.scenario
    faults = [
        step
        for step in scenario.steps
        if isinstance(step, FaultStep) or (isinstance(step, CommandStep) and step.proves)
    ]
    harmed = scenario.link not in (None, LinkSpec())  # proven by what the link has counted
    refused = any(expect.nothing_made for expect in scenario.expect.values())
    assert faults or scenario.proofs or harmed or refused


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.case_id)
def test_a_case_expects_something(case) -> None:  # type: ignore[no-untyped-def]
    assert any(expect != Expectation() for expect in case.scenario.expect.values())


def test_turn_rules_speak_of_known_events() -> None:
    assert {event for rule in TURN_TYPES for event in rule.events} <= EVENT_NAMES


@pytest.mark.slow
def test_a_case_goes_through_engine_git_and_cxdb(tmp_path: Path) -> None:
    words = ["run", "detach/launcher_killed", "--report-dir", str(tmp_path / "reports")]
    done = subprocess.run(
        [sys.executable, "-m", "harness", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "green: history: CXDB turns" in done.stdout
