"""Whole cases against a small stand-in engine: green, red for each planted defect, invalid, error, skipped."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.cxdb_supply import CxdbSupply
from harness.engines import named_engine
from harness.matrix import cases_of_file
from harness.results import CaseResult, Verdict
from harness.runner import RunSettings, run_case
from harness.store import ReportDirectory

STAND_IN = Path(__file__).with_name("stand_in_engine.py")

DETACHED = """
guardrail = "sample"
title = "t"
why = "w"
cxdb = "none"
timeout_seconds = 15
graph = '''
digraph g {
  work [shape=parallelogram, tool_command="{gate:hold} && echo done > work.txt"]
  start -> work -> exit
}
'''
steps = [
  { run = { detach = true, launcher = "LAUNCHER", exit = 0, stdout = "logs_root={logs_root}" } },
  { wait = { gate = "hold" } },
  FAULT
  { release = "hold" },
  { wait = { final = "run" } },
]
[expect]
final = { status = "success" }
commits = ["start (success)", "work (success)", "exit (success)"]
tree = { "work.txt" = "done\\n" }
"""

PLAIN = """
guardrail = "sample"
title = "t"
why = "w"
cxdb = "none"
graph = '''
digraph g {
  work [shape=parallelogram, tool_command="echo x >> '{scratch}/ran'; exit 3"]
  start -> work -> exit
}
'''
steps = [{ run = { exit = 1 } }]
[[proof]]
event = "stage_attempt_end work status=fail"
[expect]
final = { status = "fail" }
scratch = { ran = "x\\n" }
"""


def run(tmp_path: Path, text: str, bug: str = "none") -> CaseResult:
    path = tmp_path / "sample" / "case.toml"
    path.parent.mkdir()
    path.write_text(text)
    engine = named_engine(f"'{sys.executable}' '{STAND_IN}' --bug={bug}")
    settings = RunSettings(engine=engine, reports=ReportDirectory(tmp_path / "reports with space ü"))
    (case,) = cases_of_file(path)
    with CxdbSupply() as supply:
        return run_case(case, settings, supply)


def detached(launcher: str = "shell-group", fault: str = '{ fault = { kill = "launcher-group" } },') -> str:
    return DETACHED.replace("LAUNCHER", launcher).replace("FAULT", fault)


def not_green(result: CaseResult) -> set[str]:
    return {check.name for check in result.checks if check.verdict is Verdict.RED}


FAULTS = {
    "group": ("shell-group", '{ fault = { kill = "launcher-group" } },'),
    "launcher alone": ("shell-group", '{ fault = { kill = "launcher" } },'),
    "terminal": ("pty", '{ fault = { hangup = "run" } },'),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_sound_engine_is_green_and_the_fault_is_proven(tmp_path: Path, name: str) -> None:
    result = run(tmp_path, detached(*FAULTS[name]))
    assert (result.verdict, not_green(result)) == (Verdict.GREEN, set())
    (fault,) = result.faults
    assert fault.fired
    assert "the engine" in fault.proof
    assert {artifact.name for artifact in result.artifacts} >= {"graph", "progress", "git_log", "final", "scenario"}
    assert not (tmp_path / "reports with space ü" / result.case_dir / "sandbox").exists()


DEFECTS = {
    "no-setsid": "final.json",
    "no-final": "history: final.json",
    "seq-gap": "history: events",
    "double-commit": "history: commits",
    "leak": "no process left",
    "touch-checkout": "checkout untouched",
}


@pytest.mark.parametrize("bug", DEFECTS)
def test_a_planted_defect_is_red_in_its_check(tmp_path: Path, bug: str) -> None:
    result = run(tmp_path, detached(), bug)
    assert result.verdict is Verdict.RED
    assert DEFECTS[bug] in not_green(result)
    assert (tmp_path / "reports with space ü" / result.case_dir / "sandbox").exists()


def test_a_fault_of_the_workload_is_proven_by_what_it_left(tmp_path: Path) -> None:
    result = run(tmp_path, PLAIN)
    assert result.verdict is Verdict.GREEN
    assert [(fault.kind, fault.fired) for fault in result.faults] == [("proof", True)]


def test_a_fault_that_missed_makes_the_case_invalid(tmp_path: Path) -> None:
    late = 'steps = [{ run = { exit = 1 } }, { fault = { kill = "engine" } }]'
    result = run(tmp_path, PLAIN.replace("steps = [{ run = { exit = 1 } }]", late))
    assert result.verdict is Verdict.INVALID
    assert result.reason == "fault kill engine of run did not fire: no engine process was alive"


def test_a_proof_that_is_not_met_makes_the_case_invalid(tmp_path: Path) -> None:
    result = run(tmp_path, PLAIN.replace("work status=fail", "work status=success"))
    assert result.verdict is Verdict.INVALID


def test_a_wait_in_vain_before_a_fault_makes_the_case_invalid(tmp_path: Path) -> None:
    result = run(
        tmp_path, detached().replace('{ wait = { gate = "hold" } }', '{ wait = { file = "never", seconds = 0.3 } }')
    )
    assert result.verdict is Verdict.INVALID
    assert "never reached" in result.faults[0].proof


def test_a_command_that_does_not_end_is_red_and_ended(tmp_path: Path) -> None:
    endless = PLAIN.replace("exit 3", "sleep 60").replace('cxdb = "none"', 'cxdb = "none"\ntimeout_seconds = 1')
    result = run(tmp_path, endless.replace("[[proof]]\nevent", "[[proof]]\nevent", 1))
    assert "step 1: run ends" in not_green(result)
    assert result.duration_seconds < 10


def test_damage_is_proven_by_digests(tmp_path: Path) -> None:
    steps = 'steps = [{ run = { exit = 1 } }, { fault = { damage = "checkpoint.json", how = "truncate" } }]'
    result = run(tmp_path, PLAIN.replace("steps = [{ run = { exit = 1 } }]", steps))
    assert result.faults[0].fired
    assert " -> " in result.faults[0].proof
    assert "history: checkpoint" in not_green(result)


def test_a_kill_lands_where_it_was_aimed_at(tmp_path: Path) -> None:
    steps = """[
      { run = { background = true } }, { wait = { gate = "hold" } },
      { fault = { kill = "engine", landing = "in-stage" } }, { release = "hold" }, { resume = { exit = 0 } },
    ]"""
    text = detached("plain", "")
    start = text.index("steps = [")
    end = text.index("[expect]")
    result = run(tmp_path, text[:start] + f"steps = {steps}\n" + text[end:])
    assert result.verdict is Verdict.GREEN
    assert "stage_attempt_start as its newest" in result.faults[0].proof


def test_a_harness_that_fails_is_an_error(tmp_path: Path) -> None:
    unfit = PLAIN.replace("cxdb", 'repo = { config = { "not a key" = "x" } }\ncxdb')
    result = run(tmp_path, unfit)
    assert result.verdict is Verdict.ERROR
    assert "git config" in result.reason


def test_an_engine_that_breaks_does_not_pass_for_one_that_refuses(tmp_path: Path) -> None:
    refused = PLAIN.replace("{ exit = 1 }", "{ exit = 1, logs_root = '{case}/run_config.json/x' }")
    result = run(tmp_path, refused)
    assert "no traceback" in not_green(result)


def test_a_command_in_the_background_is_judged_when_all_is_over(tmp_path: Path) -> None:
    text = PLAIN.replace(
        "{ run = { exit = 1 } }", '{ run = { background = true, exit = 4 } }, { wait = { final = "run" } }'
    )
    result = run(tmp_path, text)
    assert result.verdict is Verdict.RED
    assert not_green(result) == {"step 1: run exit code"}


@pytest.mark.parametrize(("code", "verdict"), [(3, Verdict.GREEN), (4, Verdict.INVALID)])
def test_a_shell_that_proves_something_decides_whether_anything_is_known(
    tmp_path: Path, code: int, verdict: Verdict
) -> None:
    shell = f'{{ shell = {{ command = "exit {code}", exit = 3, proves = "three" }} }}'
    result = run(tmp_path, PLAIN.replace("{ run = {", shell + ", { run = {"))
    assert result.verdict is verdict


def test_the_secret_of_the_environment_is_found_wherever_it_was_kept(tmp_path: Path) -> None:
    text = PLAIN.replace("exit 3", "env > '{logs_root}/kept'; exit 3".replace("{logs_root}", "{logs}/run"))
    result = run(tmp_path, text)
    assert not_green(result) == {"no secret kept"}
    assert "kept" in result.reason
