"""A whole campaign: what was asked for, the trials, the reports, the exit code.

Trials wait most of the time (for processes, for the disk), so they run in threads; each has a folder of its own, and
all runs write to one CXDB, in contexts of their own. The folder of a green trial is removed, any other is kept.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import time

import click

from harness.crash.by_step import run_by_step
from harness.crash.by_syscall import run_by_syscall
from harness.crash.pipelines import PIPELINES, Pipeline, named_pipeline
from harness.crash.points import parse_point
from harness.crash.report import Report, write_report
from harness.crash.syscalls import parse_injection
from harness.crash.workshop import CrashOptions, Workshop
from harness.cxdb_supply import CxdbSupply, prepare_cxdb
from harness.engines import named_engine
from harness.processes import sweep_orphans
from harness.scenario import CxdbMode
from harness.store import ReportDirectory
from harness.toml_table import did_you_mean
from harness.verdict import EXIT_CODES

__all__ = ["DEFECTS", "check_options", "run_crash"]

# Those of site/crash_patches.py, which cannot be imported here; a test holds the two together.
DEFECTS = ("checkpoint-before-commit", "history-not-mended")


def check_options(options: CrashOptions) -> None:
    """Raises ValueError for what cannot be meant, HarnessError or FileNotFoundError for what is not there."""
    named_engine(options.engine)
    for name in options.pipelines:
        named_pipeline(name)
    if options.then and not options.step:
        raise ValueError("--then goes with --step: it is the second kill")
    if options.detach and not options.step:
        raise ValueError("--detach goes with --step")
    if options.detach and options.then:
        raise ValueError("--detach and --then exclude each other")
    if options.step and options.short:
        raise ValueError("--step and --short exclude each other")
    if options.sample and not options.by_syscall:
        raise ValueError("--sample goes with --by-syscall")
    if options.by_syscall:
        if options.then or options.detach or options.defect:
            raise ValueError("--then, --detach and --defect do not go with --by-syscall")
        if options.step:
            parse_injection(options.step)
        return
    for text in filter(None, (options.step, options.then)):
        parse_point(text)
    if options.defect and options.defect not in DEFECTS:
        raise ValueError(f"no defect {options.defect!r}; {did_you_mean(options.defect, DEFECTS)}")


def run_crash(options: CrashOptions) -> int:
    """`crash_all`, and the exit code of the table in verdict.py: 0 only where every kill was recovered from."""
    return EXIT_CODES[crash_all(options).verdict]


def crash_all(options: CrashOptions) -> Report:
    """The whole campaign; writes its reports and shows the table."""
    options = dataclasses.replace(options, workers=options.workers or _cores())
    chosen = [named_pipeline(name) for name in options.pipelines] or _default_pipelines(options)
    engine = named_engine(options.engine)
    began = time.monotonic()
    sweep_orphans()
    prepare_cxdb(options.cxdb)
    owned, supply = ReportDirectory(options.report_dir).owned(), CxdbSupply(options.cxdb)
    with owned, supply, supply.lend(CxdbMode.SHARED) as lent:
        workshop = Workshop(options, engine, lent.addresses)
        shutil.rmtree(workshop.evidence, ignore_errors=True)
        results = run_by_syscall(workshop, chosen) if options.by_syscall else run_by_step(workshop, chosen)
    report = Report(
        engine=engine.label,
        cxdb=options.cxdb.label,
        mode="system call" if options.by_syscall else "step",
        results=tuple(results),
        seconds=round(time.monotonic() - began, 1),
        workers=options.workers,
        defect=options.defect,
    )
    click.echo(write_report(report, options.report_dir))
    return report


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _default_pipelines(options: CrashOptions) -> list[Pipeline]:
    return [PIPELINES["linear"]] if options.by_syscall else list(PIPELINES.values())
