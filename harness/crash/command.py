"""`attractor-harness crash`: options in, exit code out. Imports only click until it is really called."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.cxdb_choice import CxdbChoice
from harness.cxdb_options import cxdb_options

__all__ = ["crash_command"]


@click.command("crash")
@click.option("--pipeline", "pipelines", multiple=True, metavar="NAME|FILE.dot", help="Only this one; repeatable.")
@click.option(
    "--step",
    metavar="STEP#N",
    default="",
    help="Only this kill, such as committed#2; with --by-syscall, rename#4:KILL or fsync#3:EIO+ (from then on).",
)
@click.option("--then", metavar="STEP#N", default="", help="With --step: a second kill, in the resume after it.")
@click.option("--detach", is_flag=True, help="With --step: in a detached run.")
@click.option("--by-syscall", is_flag=True, help="Kill, or fail, system calls instead, by strace; for any engine.")
@click.option(
    "--sample", type=click.IntRange(1), metavar="K", help="With --by-syscall: so many of each call.  [default: 6]"
)
@click.option("--short", is_flag=True, help="Each distinct step once: under a minute on two cores.")
@click.option("-n", "workers", type=click.IntRange(1), metavar="N", help="Trials at a time.  [default: one a core]")
@click.option("--engine", metavar="CMD", help="Engine command line.  [default: this project's engine]")
@cxdb_options
@click.option(
    "--report-dir", type=click.Path(file_okay=False, path_type=Path), default=Path("reports/crash"), show_default=True
)
@click.option("--keep", is_flag=True, help="Keep the folders of green trials, too.")
@click.option("--defect", metavar="NAME", default="", help="Put this defect into the engine, to see it found.")
def crash_command(
    pipelines: tuple[str, ...],
    step: str,
    then: str,
    detach: bool,
    by_syscall: bool,
    sample: int | None,
    short: bool,
    workers: int | None,
    engine: str | None,
    cxdb: CxdbChoice,
    report_dir: Path,
    keep: bool,
    defect: str,
) -> None:
    """Kill the engine at every step it makes durable, resume, and compare with a run that nobody disturbed.

    A table by pipeline; crash.json and crash.md in the report directory, and there the folder of every trial that is
    not green, with the command that repeats it. Exit 0 only when every kill fired and was recovered from; 3 when a
    kill did not fire: then nothing is known.
    """
    from harness.crash.campaign import check_options, run_crash
    from harness.crash.workshop import CrashOptions
    from harness.errors import HarnessError

    options = CrashOptions(
        report_dir=report_dir.resolve(),
        pipelines=pipelines,
        step=step,
        then=then,
        detach=detach,
        workers=workers or 0,
        short=short,
        engine=engine,
        cxdb=cxdb,
        by_syscall=by_syscall,
        sample=sample or 0,
        defect=defect,
        keep=keep,
    )
    try:
        check_options(options)
    except (ValueError, FileNotFoundError, HarnessError) as error:
        raise click.UsageError(str(error)) from error
    try:
        sys.exit(run_crash(options))
    except HarnessError as error:
        click.echo(f"attractor-harness crash: {error}", err=True)
        sys.exit(3)
