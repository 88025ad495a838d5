"""Proves the matrix's teeth: every saboteur against the cases of its guardrail, and who caught whom.

A case catches a saboteur by turning red. A saboteur whose patch was never put in place or never called
has attacked nothing: `invalid`. `judge_saboteur` is pure; the session itself is pytest's, one for all.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from harness.report import ProveVerdict, SaboteurRow, prove_exit_code, render_prove_grid
from harness.results import CaseResult, Verdict, to_json
from harness.sabotage import SABOTEURS, Saboteur, read_mark
from harness.sessions import MatrixOptions, pytest_failed, run_pytest
from harness.store import ReportDirectory
from harness.verdict import EXIT_CODES

__all__ = ["judge_saboteur", "prove_all", "run_prove"]

SUBDIRECTORY = "prove"  # beside the reports of the matrix, which stay


def judge_saboteur(
    saboteur: Saboteur,
    results: Sequence[CaseResult],
    marks: Mapping[str, Sequence[str]],
    controls: Mapping[str, Verdict],
) -> SaboteurRow:
    """`marks`: what the saboteur noted in each case, by case id. `controls`: how each case ends without
    any saboteur, by its plain id; one that is not green then cannot catch anybody."""
    sound = [r for r in results if controls.get(_plain_id(r.case_id)) is Verdict.GREEN]
    red = tuple(_plain_id(r.case_id) for r in sound if r.verdict is Verdict.RED)
    green = tuple(_plain_id(r.case_id) for r in sound if r.verdict is Verdict.GREEN)
    reason = _no_answer(results, sound, [line for r in sound for line in marks.get(r.case_id, ())])
    verdict = ProveVerdict.INVALID if reason else ProveVerdict.CAUGHT if red else ProveVerdict.SURVIVED
    return SaboteurRow(
        name=saboteur.name,
        guardrail=saboteur.guardrail,
        historic_bug=saboteur.bug,
        verdict=verdict,
        caught_by=red,
        missed_by=green,
        reason=reason,
    )


def _no_answer(results: Sequence[CaseResult], sound: Sequence[CaseResult], marks: Sequence[str]) -> str:
    """Why nothing can be said; empty when something can."""
    if not results:
        return "none of its cases ran"
    if not sound:
        return "its cases are not green without it either"
    if not marks:
        return "the patch was never put in place"
    if not any(line.startswith("called") for line in marks):
        return "the patch was in place, but the engine never came to it"
    if any(result.verdict in (Verdict.RED, Verdict.GREEN) for result in sound):
        return ""
    return "; ".join(f"{_plain_id(r.case_id)} {r.verdict}: {r.reason}" for r in sound)


def _plain_id(case_id: str) -> str:
    """Without the axis that says which saboteur was at work."""
    name, _, axes = case_id.rstrip("]").partition("[")
    others = [axis for axis in axes.split(",") if axis and not axis.startswith("saboteur=")]
    return name + (f"[{','.join(others)}]" if others else "")


def run_prove(options: MatrixOptions, *, short: bool) -> int:
    """`prove_all`, and the exit code."""
    rows = prove_all(options, short=short)
    return prove_exit_code(rows) if rows is not None else EXIT_CODES[Verdict.ERROR]


def prove_all(
    options: MatrixOptions, *, short: bool, controls: Mapping[str, Verdict] | None = None
) -> tuple[SaboteurRow, ...] | None:
    """One session with the saboteurs as an axis, in a directory of its own; shows the grid. None where it broke.

    `controls` are the verdicts of a matrix that has just run; without them the cases run unharmed, too.
    """
    options = dataclasses.replace(options, report_dir=options.report_dir / SUBDIRECTORY)
    click.echo("prove: every case now runs with a historic bug put back; red is what it has to turn\n")
    extra = [f"--harness-prove={'short' if short else 'full'}"]
    extra += [] if controls is not None else ["--harness-controls"]
    code, _took = run_pytest(options, extra)
    reports = ReportDirectory(options.report_dir)
    results = reports.results()
    if pytest_failed(code, options, results):
        return None
    chosen = [s for s in SABOTEURS if not options.expression or any(r.saboteur == s.name for r in results)]
    if controls is None:
        controls = {result.case_id: result.verdict for result in results if result.saboteur is None}
    rows = tuple(_row(saboteur, results, reports, controls) for saboteur in chosen)
    click.echo(render_prove_grid(rows))
    _keep(rows, options.report_dir / "prove.json")
    sys.stdout.flush()
    return rows


def _row(
    saboteur: Saboteur,
    results: Sequence[CaseResult],
    reports: ReportDirectory,
    controls: Mapping[str, Verdict],
) -> SaboteurRow:
    own = [result for result in results if result.saboteur == saboteur.name]
    marks = {result.case_id: read_mark(reports.path / result.case_dir) for result in own}
    return judge_saboteur(saboteur, own, marks, controls)


def _keep(rows: Sequence[SaboteurRow], path: Path) -> None:
    path.write_bytes(to_json(list(rows)) + b"\n")
