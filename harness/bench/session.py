"""The benchmark from its options to its exit code: measures what the plan says, shows it, writes it down.

Rules: jobs of a group take turns; a job that fails once is not tried again, says why, and the others go on. Ctrl-C
and SIGTERM leave nothing behind: no process, no file, no half-written report. The table goes to standard output,
progress to standard error.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from harness.bench.children import MeasureError
from harness.bench.document import bench_json
from harness.bench.figures import Verdict
from harness.bench.machine import machine_facts
from harness.bench.measuring import MEASURES, missing_for
from harness.bench.outcomes import Outcome
from harness.bench.plan import FULL, Group, Job, Sizes, plan, select
from harness.bench.rows import Row, build_rows
from harness.bench.table import render
from harness.bench.workbench import CxdbAddress, Workbench
from harness.errors import HarnessError

__all__ = ["BenchOptions", "exit_code", "run_bench"]

GREEN, RED, UNKNOWN, INTERRUPTED = 0, 1, 3, 130


@dataclasses.dataclass(frozen=True, slots=True)
class BenchOptions:
    """`only` as in `plan.select`; `check` makes a missed target an exit code."""

    json_file: Path
    sizes: Sizes = FULL
    repeat: int = 3
    matrix: bool = False
    only: str = ""
    check: bool = False
    cxdb: CxdbAddress | None = None
    peers_python: str = sys.executable


def run_bench(options: BenchOptions) -> int:
    """Exit code: 0 all measured, 1 with `check` a target was missed, 3 something could not be measured."""
    groups = select(plan(options.sizes, repeat=options.repeat, matrix=options.matrix), options.only)
    started_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        with _terminated_like_interrupted(), _workbench(options) as bench:
            machine = machine_facts(bench.root)
            outcomes = _measure_all(groups, bench)
    except KeyboardInterrupt:
        click.echo("interrupted: nothing was written", err=True)
        return INTERRUPTED
    rows = build_rows(groups, outcomes)
    click.echo(render(machine, rows), nl=False)
    _write(
        options.json_file,
        bench_json(
            started_at=started_at,
            machine=machine,
            sizes=options.sizes,
            repeat=options.repeat,
            outcomes=outcomes,
            rows=rows,
        ),
    )
    return exit_code(rows, check=options.check)


def exit_code(rows: Sequence[Row], *, check: bool) -> int:
    """What is not known outweighs what is missed; what is not installed here was not asked for."""
    verdicts = {row.verdict for row in rows}
    if Verdict.OPEN in verdicts:
        return UNKNOWN
    return RED if check and Verdict.MISSED in verdicts else GREEN


def _workbench(options: BenchOptions) -> Workbench:
    return Workbench(cxdb=options.cxdb, peers_python=options.peers_python)


def _measure_all(groups: Sequence[Group], bench: Workbench) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    for group in groups:
        for job in group.jobs:
            outcomes[job.job_id] = _first_look(job, bench)
        for number in range(1, group.rounds + 1):
            for job in group.jobs:
                outcome = outcomes[job.job_id]
                if not outcome.absent and not outcome.problem:
                    click.echo(f"  {number}/{group.rounds} {job.job_id}", err=True)
                    outcomes[job.job_id] = _once(job, outcome, bench)
    return outcomes


def _first_look(job: Job, bench: Workbench) -> Outcome:
    return _guarded(Outcome(), lambda: Outcome(absent=missing_for(job, bench)))


def _once(job: Job, outcome: Outcome, bench: Workbench) -> Outcome:
    return _guarded(outcome, lambda: outcome.plus(MEASURES[job.kind](job, bench)))


def _guarded(before: Outcome, measure: Callable[[], Outcome]) -> Outcome:
    """What could not be measured becomes a problem of its job, with the samples it had so far."""
    try:
        return measure()
    except (MeasureError, HarnessError) as error:
        click.echo(f"      {error}", err=True)
        return dataclasses.replace(before, problem=str(error))


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _write(path: Path, text: str) -> None:
    from harness.report.atomic import write_atomically

    write_atomically(path, text)
