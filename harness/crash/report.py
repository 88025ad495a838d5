"""What a campaign leaves: a table for people (also as Markdown), all results as JSON. Decides nothing."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.crash.trial import Result
from harness.report import CrashTable
from harness.results import Verdict
from harness.verdict import merge

__all__ = ["Report", "summary_of", "table_of", "write_report"]

JSON_FILE = "crash.json"
MARKDOWN_FILE = "crash.md"
HEADINGS = ("pipeline", "kind", "points", "kills", "recovered", "all equal", "not proven", "verdict")
NOT_PROVEN = (Verdict.INVALID, Verdict.ERROR, Verdict.SKIPPED)
SHOWN = 20  # trials told in full below the table; all of them are in the JSON file


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    engine: str
    cxdb: str
    mode: str  # step, or system call
    results: tuple[Result, ...]
    seconds: float
    workers: int
    defect: str = ""

    @property
    def verdict(self) -> Verdict:
        return merge(result.verdict for result in self.results)


def table_of(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """A row for each pipeline and kind of trial, in the order in which they ran, and one for all."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((Path(result.pipeline).name, result.kind), []).append(result)
    order = list(dict.fromkeys(pipeline for pipeline, _ in groups))
    rows = [
        _row(pipeline, kind, group)
        for pipeline, (name, kind), group in (
            (name, key, groups[key]) for name in order for key in groups if key[0] == name
        )
        if name == pipeline and (kind != "undisturbed" or merge(r.verdict for r in group) is not Verdict.GREEN)
    ]
    kills = [result for result in results if result.kind != "undisturbed"]
    return [*rows, _row("all", "", kills)] if kills else rows


def _row(pipeline: str, kind: str, group: Sequence[Result]) -> tuple[str, ...]:
    verdicts = [result.verdict for result in group]
    happened = [result for result in group if result.verdict not in NOT_PROVEN]
    return (
        pipeline,
        kind,
        str(len(group)),
        str(len(happened)),
        str(sum(result.recovered for result in happened)),
        str(verdicts.count(Verdict.GREEN)),
        str(len(group) - len(happened)),
        merge(verdicts).value,
    )


def plain_table(rows: Iterable[tuple[str, ...]]) -> str:
    lines = [HEADINGS, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def markdown_table(rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(HEADINGS)} |", f"|{'---|' * len(HEADINGS)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def write_report(report: Report, directory: Path) -> str:
    """Writes both files; the text for the terminal."""
    rows = table_of(report.results)
    wrong = [result for result in report.results if result.verdict is not Verdict.GREEN]
    _write(directory / JSON_FILE, json.dumps(dataclasses.asdict(report) | {"verdict": report.verdict}, indent=1))
    _write(directory / MARKDOWN_FILE, _markdown(report, rows, wrong))
    told = [_told(result, directory) for result in wrong[:SHOWN]]
    told += [f"and {len(wrong) - SHOWN} more: {directory / JSON_FILE}"] if len(wrong) > SHOWN else []
    return "\n".join([plain_table(rows), *([""] if told else []), *told, "", _headline(report)])


def summary_of(report: Report) -> CrashTable:
    """As a section of the report of a whole session."""
    return CrashTable(
        verdict=report.verdict, headline=_headline(report), headings=HEADINGS, rows=tuple(table_of(report.results))
    )


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f"{path.name}.tmp")
    aside.write_text(text + "\n", encoding="utf-8")
    os.replace(aside, path)


def _headline(report: Report) -> str:
    by = f"by {report.mode}, {report.seconds:.0f} s with {report.workers} workers, engine {report.engine}"
    by += f", CXDB {report.cxdb}"
    return f"{report.verdict.upper()}: {by}" + (f", with the defect {report.defect}" if report.defect else "")


def _told(result: Result, directory: Path) -> str:
    lines = [f"{result.verdict.upper()} {Path(result.pipeline).name}: {result.kind}, {result.name}"]
    lines += [f"  {problem}" for problem in result.problems[:6]]
    lines += [f"  lives: {'; '.join(result.lives)}"] if result.lives else []
    lines += [f"  kept: {directory / result.evidence}"] if result.evidence else []
    lines += [f"  again: {result.repeat}"] if result.repeat else []
    return "\n".join(lines)


def _markdown(report: Report, rows: Sequence[tuple[str, ...]], wrong: Sequence[Result]) -> str:
    parts = [f"# Crash points: {report.verdict.upper()}", _headline(report), markdown_table(rows)]
    for result in wrong:
        words = [f"## {result.verdict.upper()} {Path(result.pipeline).name}: {result.kind}, {result.name}"]
        words.append("\n".join(f"- {problem}" for problem in result.problems))
        words.append(f"    {result.repeat}" if result.repeat else "")
        words.append(f"Evidence: [{result.evidence}]({result.evidence}/verdict.txt)" if result.evidence else "")
        parts.append("\n\n".join(filter(None, words)))
    return "\n\n".join(parts)
