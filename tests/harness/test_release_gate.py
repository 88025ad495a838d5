"""The release gate: what comes later is run only while all before it is green, and one report has all of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.crash.report import Report
from harness.crash.trial import Result
from harness.release_gate import run_gate
from harness.report import ProveVerdict, ReportContext, SaboteurRow
from harness.results import CaseResult, Verdict
from harness.sessions import MatrixOptions, MatrixRun
from tests.harness_report.report_samples import sample_results

Gate = Callable[..., int]


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """`gate(matrix, teeth, crash)`: the exit code where they end so; what was run is in `gate.ran`."""
    ran: list[str] = []
    green = next(result for result in sample_results() if result.verdict is Verdict.GREEN)

    def passing(code: int, teeth: ProveVerdict | None, crash: Verdict) -> int:
        def matrix(_options: MatrixOptions) -> MatrixRun:
            ran.append("matrix")
            return MatrixRun(code=code, results=(case(green),), context=ReportContext())

        def prove(_options: MatrixOptions, **_: object) -> tuple[SaboteurRow, ...] | None:
            ran.append("prove")
            row = SaboteurRow(
                name="old-bug", guardrail="detach", historic_bug="b", verdict=teeth or ProveVerdict.CAUGHT
            )
            return None if teeth is None else (row,)

        def campaign(_options: object) -> Report:
            ran.append("crash")
            result = Result(pipeline="linear", kind="killed once", name="committed#1", verdict=crash)
            return Report(engine="e", cxdb="c", mode="step", results=(result,), seconds=1.0, workers=1)

        monkeypatch.setattr("harness.release_gate.run_matrix", matrix)
        monkeypatch.setattr("harness.prove.prove_all", prove)
        monkeypatch.setattr("harness.crash.campaign.crash_all", campaign)
        options = MatrixOptions(scenarios=tmp_path, report_dir=tmp_path)
        return run_gate(options, prove=True, crash=True)

    def case(result: CaseResult) -> CaseResult:
        return dataclasses.replace(result, artifacts=())

    passing.ran = ran  # type: ignore[attr-defined]
    return passing


@pytest.mark.parametrize(
    ("matrix", "teeth", "crash", "code", "ran"),
    [
        (0, ProveVerdict.CAUGHT, Verdict.GREEN, 0, ["matrix", "prove", "crash"]),
        (1, ProveVerdict.CAUGHT, Verdict.GREEN, 1, ["matrix"]),
        (0, ProveVerdict.SURVIVED, Verdict.GREEN, 1, ["matrix", "prove"]),
        (0, ProveVerdict.INVALID, Verdict.GREEN, 3, ["matrix", "prove"]),
        (0, None, Verdict.GREEN, 3, ["matrix", "prove"]),
        (0, ProveVerdict.CAUGHT, Verdict.RED, 1, ["matrix", "prove", "crash"]),
        (0, ProveVerdict.CAUGHT, Verdict.INVALID, 3, ["matrix", "prove", "crash"]),
    ],
)
def test_the_first_that_is_not_green_decides(
    gate: Gate, matrix: int, teeth: ProveVerdict | None, crash: Verdict, code: int, ran: list[str]
) -> None:
    assert gate(matrix, teeth, crash) == code
    assert gate.ran == ran  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("teeth", "crash", "word"),
    [
        (ProveVerdict.CAUGHT, Verdict.GREEN, "GREEN"),
        (ProveVerdict.SURVIVED, Verdict.GREEN, "RED"),
        (ProveVerdict.CAUGHT, Verdict.INVALID, "INVALID"),
    ],
)
def test_both_reports_have_all_of_it_and_its_verdict(
    gate: Gate, tmp_path: Path, teeth: ProveVerdict, crash: Verdict, word: str
) -> None:
    gate(0, teeth, crash)
    for name in ("index.html", "summary.md"):
        text = (tmp_path / name).read_text()
        assert "old-bug" in text
        assert ("killed once" in text) is (teeth is ProveVerdict.CAUGHT)
        assert word in text
