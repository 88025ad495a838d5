"""Whole sessions, as the commands start them: the matrix, the proof of its teeth, one case, an audit.

A matrix session is pytest in a process of its own (its workers, its interrupts, its output in
`pytest.log`), while this process shows the board and, at the end, writes the reports. The exit code is
taken from the verdicts, never from pytest alone; but pytest failing to run at all is an error.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.audit import audit_run
from harness.collect import collect_run
from harness.cxdb_choice import EMBEDDED, CxdbChoice
from harness.cxdb_supply import CxdbSupply, prepare_cxdb
from harness.engines import named_engine
from harness.matrix import Case
from harness.processes import dying_with_parent, sweep_orphans
from harness.results import CaseResult, Verdict
from harness.runner import RunSettings, run_case
from harness.store import ReportDirectory
from harness.verdict import EXIT_CODES, exit_code, merge
from harness.wording import check_lines, explain

if TYPE_CHECKING:
    from harness.report import ReportContext

__all__ = ["MatrixOptions", "MatrixRun", "pytest_failed", "run_audit", "run_matrix", "run_pytest", "run_single"]

PYTEST_LOG = "pytest.log"
# pytest's own: 0 and 1 say that the tests ran, 5 that none was chosen; anything else broke.
PYTEST_RAN = (0, 1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MatrixOptions:
    scenarios: Path
    report_dir: Path
    engine: str | None = None
    expression: str = ""
    workers: str = "auto"
    plain: bool = False
    saboteur: str | None = None
    reruns: int = 0
    keep: bool = False
    cxdb: CxdbChoice = EMBEDDED


def _pytest_argv(options: MatrixOptions, extra: Sequence[str]) -> list[str]:
    argv = [sys.executable, "-m", "pytest", "-p", "harness.pytest_plugin", str(options.scenarios)]
    argv += ["-q", "-n", _workers(options.workers), "--dist=worksteal"]
    argv += [f"--harness-report-dir={options.report_dir}"]
    # A fixed root and cache place: the session must not depend on where it is started, nor write there.
    argv += [
        f"--rootdir={options.scenarios.parent}",
        "-o",
        f"cache_dir={options.report_dir / '.pytest_cache'}",
    ]
    argv += ["-k", options.expression] if options.expression else []
    argv += [f"--harness-engine={options.engine}"] if options.engine else []
    argv += [f"--harness-saboteur={options.saboteur}"] if options.saboteur else []
    argv += [f"--harness-reruns={options.reruns}"] if options.reruns else []
    argv += ["--harness-keep"] if options.keep else []
    argv += options.cxdb.words("--harness-")
    return argv + list(extra)


def _workers(wanted: str) -> str:
    """Cases mostly wait (for gates, timeouts, other processes), so each core can carry two of them."""
    if wanted != "auto":
        return wanted
    return str(min(16, 2 * len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4))


def run_pytest(options: MatrixOptions, extra: Sequence[str] = ()) -> tuple[int, float]:
    """pytest's exit code and how long it took; the board is shown meanwhile. Owns the report directory.

    HarnessError where it is in use, or where there can be no such CXDB.
    """
    prepare_cxdb(options.cxdb)
    reports = ReportDirectory(options.report_dir)
    with reports.owned():
        reports.begin()
        return _run_pytest(options, extra)


def _run_pytest(options: MatrixOptions, extra: Sequence[str]) -> tuple[int, float]:
    from harness.report import follow

    environment = os.environ | {"PYTHONPATH": os.pathsep.join(_module_paths())}
    began = time.monotonic()
    with (options.report_dir / PYTEST_LOG).open("wb") as log:
        process = subprocess.Popen(
            dying_with_parent(_pytest_argv(options, extra)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
        )
        try:
            follow(
                options.report_dir,
                0,
                sys.stdout,
                plain=options.plain or None,
                done=lambda: process.poll() is not None,
            )
        except BaseException:
            process.terminate()
            process.wait(timeout=30)
            raise
    return process.wait(), time.monotonic() - began


def _module_paths() -> list[str]:
    """So that pytest finds this very harness, installed or not."""
    own = str(Path(__file__).resolve().parent.parent)
    return [own, *filter(None, [os.environ.get("PYTHONPATH")])]


def pytest_failed(code: int, options: MatrixOptions, results: Sequence[CaseResult]) -> bool:
    """pytest that did not come to run its cases must not pass for a session; says why when it did not."""
    announced = {name for event in ReportDirectory(options.report_dir).events() for name in event.case_ids}
    unheard = announced - {result.case_id for result in results}
    # pytest's 1 stands for a case that is not green; without one it stands for something else, say a
    # scenario file that could not be read.
    other = code == 1 and merge(result.verdict for result in results) in (Verdict.GREEN, Verdict.SKIPPED)
    if code in PYTEST_RAN and results and not unheard and not other:
        return False
    log = options.report_dir / PYTEST_LOG
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:]
    said = f"pytest ended with {code} and {len(results)} of {len(announced)} results; all it said: {log}"
    click.echo("\n".join([*tail, said]), err=True)
    return True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRun:
    """A matrix that has been run and reported. `code`: the exit code it has earned."""

    code: int
    results: tuple[CaseResult, ...]
    context: ReportContext


def run_matrix(options: MatrixOptions) -> MatrixRun:
    """Board, reports, summary; the exit code of the table in verdict.py."""
    from harness.report import group, print_summary, write_all

    code, took = run_pytest(options)
    results = ReportDirectory(options.report_dir).results()
    failed = pytest_failed(code, options, results)
    context = _context(options, took)
    written = write_all(results, options.report_dir, context)
    for problem in written.problems:
        click.echo(problem, err=True)
    earned = print_summary(group(results, context), sys.stdout)
    code = EXIT_CODES[Verdict.ERROR] if failed or written.problems else earned
    return MatrixRun(code=code, results=tuple(results), context=context)


def _context(options: MatrixOptions, took: float) -> ReportContext:
    from harness.report import ReportContext, describe_host

    label = named_engine(options.engine).label
    facts = (("workers", options.workers),)
    return describe_host(ReportContext(engine=label, duration_seconds=took, cxdb=options.cxdb.label, facts=facts))


def run_single(
    cases: Sequence[Case],
    *,
    engine: str | None,
    report_dir: Path,
    saboteur: str | None,
    keep: bool,
    cxdb: CxdbChoice = EMBEDDED,
) -> int:
    """The cases one after the other in this process, each explained. HarnessError where there can be no such CXDB."""
    sweep_orphans()
    prepare_cxdb(cxdb)
    settings = RunSettings(engine=named_engine(engine), reports=ReportDirectory(report_dir), keep=keep, cxdb=cxdb)
    verdicts = []
    with CxdbSupply(cxdb) as supply:
        for case in cases:
            result = run_case(dataclasses.replace(case, saboteur=saboteur), settings, supply)
            settings.reports.write_result(result)
            click.echo(explain(result, all_checks=True))
            verdicts.append(result.verdict)
    return exit_code(verdicts)


def run_audit(logs_roots: Sequence[Path], *, cxdb: bool) -> int:
    """The history checker on any run's logs root."""
    engine, verdicts = named_engine(None), []
    for root in logs_roots:
        checks = audit_run(collect_run(name="run", logs_root=root, engine=engine, cxdb_expected=cxdb))
        verdict = merge(check.verdict for check in checks)
        click.echo(f"{root}: {verdict.upper()}" + ("" if checks else ": no run was found there"))
        click.echo("\n".join(line for check in checks for line in check_lines(check)))
        verdicts.append(verdict)
    return exit_code(verdicts)
