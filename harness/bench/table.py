"""The table a person reads: plain text of at most 100 columns, the same on a terminal and in a file.

Rules: pure, no colour, no reflow by the terminal. Every figure is a median with its spread and its number of
samples; noise is said where it is, and the machine at the top.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby

from harness.bench.figures import Figure, Verdict, is_noisy
from harness.bench.rows import Row

__all__ = ["TITLES", "WIDTH", "render", "show_value"]

WIDTH = 100
LABEL = 38

TITLES = {
    "nodes": "A tool node (`true`) with commit, durable checkpoint and CXDB turns",
    "memory": "Peak memory of the engine",
    "steps": "{size:,} steps of `sh -c true`, side by side, a step",
    "branches": "Branches of a fan-out, each with worktree, commit, checkpoint and CXDB context",
    "latency": "{size:,} nodes through a link to CXDB that answers late, a node",
    "resume": "Resume after SIGKILL near the end",
    "start": "Start",
    "validate": "attractor validate",
    "append": "CXDB appends on one connection: by the engine's client, and what the server takes at most",
    "matrix": "The guardrail matrix",
}
_DECIMALS = {"ms": 2, "s": 3, "MB": 0, "x": 2, "/s": 0}


def render(machine: Mapping[str, str], rows: Sequence[Row]) -> str:
    lines = ["attractor bench", *_wrapped(", ".join(f"{name} {fact}" for name, fact in machine.items()), "  "), ""]
    lines.append(f"  {'':{LABEL}}{'median':>11}   {'(lowest - highest) n':24}{'target':>9}")
    for section, members in groupby(rows, key=lambda row: row.section):
        found = list(members)
        lines += ["", TITLES[section].format(size=found[0].size)]
        for row in found:
            lines += _row_lines(row)
    return "\n".join([*lines, "", *_closing(rows)]) + "\n"


def _row_lines(row: Row) -> list[str]:
    target = f"<= {row.target:g} {row.unit}" if row.target is not None else ""
    median, spread = _figure(row.figure, row.unit)
    line = f"  {row.label:{LABEL}}{median:>11}   {spread:24}{target:>9}  {row.verdict}"
    return [line.rstrip(), *(piece for note in row.notes for piece in _wrapped(note, "      "))]


def _figure(figure: Figure | None, unit: str) -> tuple[str, str]:
    if figure is None:
        return "-", ""
    noise = " ~" if is_noisy(figure) else ""
    lowest, highest = (f"{value:,.{_DECIMALS[unit]}f}" for value in (figure.lowest, figure.highest))
    return show_value(figure.median, unit), f"({lowest} - {highest}) {figure.samples}{noise}"


def show_value(value: float, unit: str) -> str:
    return f"{value:,.{_DECIMALS[unit]}f} {unit}"


def _closing(rows: Sequence[Row]) -> list[str]:
    lines = []
    if any(row.figure is not None and is_noisy(row.figure) for row in rows):
        lines.append("~ noisy: the spread is more than a quarter of the median.")
    if any(row.figure is not None and row.figure.samples == 1 for row in rows):
        lines.append("Rows with one sample say nothing about noise; --repeat N takes more.")
    count = {verdict: sum(row.verdict is verdict for row in rows) for verdict in Verdict}
    lines.append(
        f"{count[Verdict.MET]} targets met, {count[Verdict.MISSED]} missed, "
        f"{count[Verdict.OPEN]} rows could not be measured, {count[Verdict.ABSENT]} are about things not installed."
    )
    return [piece for line in lines for piece in _wrapped(line, "")]


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent) or [""]
