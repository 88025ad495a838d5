"""The pytest front, driven through pytest itself with the stand-in engine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.results import ProgressKind, Verdict
from harness.store import ReportDirectory

pytest_plugins = ["pytester"]

STAND_IN = Path(__file__).with_name("stand_in_engine.py")
SCENARIO = """
guardrail = "GUARDRAIL"
title = "t"
why = "w"
cxdb = "none"
tags = ["quick"]
graph = '''
digraph g {
  work [shape=parallelogram, tool_command="exit CODE"]
  start -> work -> exit
}
'''
steps = [{ run = { exit = 0 } }]
[[proof]]
event = "stage_attempt_end work"
"""


class Front:
    """`pytest` over a directory of two scenarios: one that passes, one that does not."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        for guardrail, code in (("good", "0"), ("bad", "1")):
            path = pytester.mkdir(f"scenarios-{guardrail}") / "scenarios" / guardrail / "row.toml"
            path.parent.mkdir(parents=True)
            path.write_text(SCENARIO.replace("GUARDRAIL", guardrail).replace("CODE", code))

    def run(self, *args: str, bug: str = "none") -> pytest.RunResult:
        engine = f"'{sys.executable}' '{STAND_IN}' --bug={bug}"
        common = ("-p", "harness.pytest_plugin", f"--harness-engine={engine}", "-p", "no:cacheprovider")
        return self.pytester.runpytest_inprocess(*common, "-p", "no:xdist", *args)

    @property
    def reports(self) -> ReportDirectory:
        return ReportDirectory(self.pytester.path / "reports")


@pytest.fixture
def front(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Front:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    return Front(pytester)


def test_each_case_is_an_item_named_by_guardrail_and_case(front: Front) -> None:
    result = front.run("--collect-only", "-q")
    result.stdout.fnmatch_lines_random(["*row.toml::good/row", "*row.toml::bad/row"])
    assert not front.reports.path.exists()


def test_green_passes_and_red_fails_with_a_short_explanation(front: Front) -> None:
    result = front.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "RED bad/row: t",
            "*red: step 1: run exit code",
            "*expected  exit 0",
            "*found     exit 1",
            "*reproduce *bad/row*",
        ]
    )


def test_results_and_progress_are_on_disk_afterwards(front: Front) -> None:
    front.run()
    results = {result.case_id: result.verdict for result in front.reports.results()}
    assert results == {"bad/row": Verdict.RED, "good/row": Verdict.GREEN}
    events = list(front.reports.events())
    assert [event.kind for event in events] == [
        ProgressKind.SESSION_STARTED,
        *[ProgressKind.CASE_STARTED, ProgressKind.CASE_FINISHED] * 2,
        ProgressKind.SESSION_FINISHED,
    ]
    assert set(events[0].case_ids) == {"good/row", "bad/row"}
    assert events[-1].verdict is Verdict.RED


@pytest.mark.parametrize("words", [("-k", "good"), ("-m", "good"), ("-m", "quick and not bad")])
def test_cases_are_chosen_by_name_guardrail_and_tag(front: Front, words: tuple[str, ...]) -> None:
    front.run(*words).assert_outcomes(passed=1, deselected=1)


def test_a_case_that_is_red_twice_is_red(front: Front) -> None:
    front.run("-k", "bad", "--harness-reruns=1")
    assert [result.verdict for result in front.reports.results()] == [Verdict.RED]


def test_a_case_that_is_green_only_when_run_again_is_flaky_and_fails(front: Front) -> None:
    path = front.pytester.path / "scenarios-bad/scenarios/bad/row.toml"
    mark = front.pytester.path / "mark"
    path.write_text(path.read_text().replace("exit 1", f"[ -e '{mark}' ] || {{ touch '{mark}'; exit 1; }}"))
    front.run("-k", "bad", "--harness-reruns=1").assert_outcomes(failed=1, deselected=1)
    (result,) = front.reports.results()
    assert result.verdict is Verdict.FLAKY
    assert "step 1: run exit code" in result.reason


def test_x_stops_at_the_first_red_case(front: Front) -> None:
    front.run("-x", "scenarios-bad", "scenarios-good").assert_outcomes(failed=1)


def test_a_broken_scenario_is_a_collection_error_with_its_place(front: Front) -> None:
    path = front.pytester.path / "scenarios-good/scenarios/good/row.toml"
    path.write_text(path.read_text().replace("title", "titel"))
    result = front.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*row.toml:3: titel: unknown key 'titel'; did you mean 'title'?"])


def test_other_toml_files_are_left_alone(front: Front) -> None:
    (front.pytester.path / "settings.toml").write_text("x = 1\n")
    front.run(".", "--collect-only").assert_outcomes()


def test_workers_share_one_report_directory(front: Front) -> None:
    engine = f"'{sys.executable}' '{STAND_IN}'"
    words = ("-p", "harness.pytest_plugin", f"--harness-engine={engine}", "-p", "no:cacheprovider", "-n", "2")
    front.pytester.runpytest_subprocess(*words).assert_outcomes(passed=1, failed=1)
    (begin, *_, end) = front.reports.events()
    assert set(begin.case_ids) == {"good/row", "bad/row"}
    assert end.kind is ProgressKind.SESSION_FINISHED
    assert len(front.reports.results()) == 2
