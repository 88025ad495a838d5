"""`make bench`: how fast the engine is, beside its targets and beside what one would use instead.

A benchmark that prints a table and writes JSON, never a timed test. It drives the engine from outside, as a user
does, and reads what the engine leaves; it never imports it. From pure to effects:

    figures, plan, outcomes, timeline, graphs   values: medians, tables of jobs and targets, samples
    rows, table, document                       from samples to what is shown and written
    children, machine, workbench                processes, facts, the temporary place of it all
    running, resuming, appending, measuring     how each thing is measured once
    session, command                            all of it in order; the command line
    peers/                                      the contenders' scripts, run by path, never imported

Names are loaded on first use: the command's `--help` must not pay for the measuring.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.bench.session import BenchOptions, run_bench

__all__ = ["BenchOptions", "run_bench"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.session"), name)
