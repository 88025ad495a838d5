"""The release gate: the matrix, then its teeth, then crash points; one verdict and one report for all of them.

What comes later is only run while all before it is green. Imports what it needs when it is needed: a matrix without
the rest should not wait for it.
"""

from __future__ import annotations

import dataclasses

import click

from harness.results import Verdict
from harness.sessions import MatrixOptions, run_matrix
from harness.verdict import EXIT_CODES

__all__ = ["run_gate"]

CRASH_DIRECTORY = "crash"  # beside the matrix's own reports


def run_gate(options: MatrixOptions, *, prove: bool, crash: bool) -> int:
    """The exit code. The reports are written after the matrix, and again when the rest is known."""
    matrix = run_matrix(options)
    context, code = matrix.context, matrix.code
    if prove and code == 0:
        from harness.prove import prove_all
        from harness.report import prove_exit_code

        rows = prove_all(options, short=True, controls={r.case_id: r.verdict for r in matrix.results})
        code = prove_exit_code(rows) if rows is not None else EXIT_CODES[Verdict.ERROR]
        context = dataclasses.replace(context, prove=rows or ())
    if crash and code == 0:
        from harness.crash.campaign import crash_all
        from harness.crash.report import summary_of
        from harness.crash.workshop import CrashOptions

        click.echo("\ncrash: the engine is killed at each durable step, resumed, and compared with its twin")
        report = crash_all(
            CrashOptions(
                report_dir=options.report_dir / CRASH_DIRECTORY, short=True, engine=options.engine, cxdb=options.cxdb
            )
        )
        code = EXIT_CODES[report.verdict]
        context = dataclasses.replace(context, crash=summary_of(report))
    if context != matrix.context:
        from harness.report import write_all

        for problem in write_all(matrix.results, options.report_dir, context).problems:
            click.echo(problem, err=True)
            code = EXIT_CODES[Verdict.ERROR]
    return code
