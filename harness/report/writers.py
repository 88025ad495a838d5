"""Writes all reports of a session into its directory.

Rules: each is written whole or not at all, and one that fails does not keep the others from being
written: what went wrong is handed back, for the caller to show. The table below is the list of reports.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.report.atomic import write_atomically
from harness.report.jsonl import render_jsonl
from harness.report.junit import render_junit
from harness.report.markdown import render_markdown
from harness.report.session import ReportContext, Session, group
from harness.results import CaseResult

__all__ = ["WRITERS", "Written", "write_all"]

Writer = Callable[[Session, Path], bytes | str]


def _html(session: Session, report_dir: Path) -> str:
    # Loaded here: jinja2 and pydot cost more than a failing command line should wait for.
    from harness.report.html_page import render_html

    return render_html(session, report_dir)


WRITERS: Mapping[str, Writer] = {
    "results.jsonl": lambda session, _: render_jsonl(session),
    "junit.xml": lambda session, _: render_junit(session),
    "summary.md": lambda session, _: render_markdown(session),
    "index.html": _html,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written, and a sentence for each report that could not be."""

    paths: Mapping[str, Path]
    problems: tuple[str, ...] = ()


def write_all(
    results: Sequence[CaseResult],
    report_dir: Path,
    context: ReportContext,
    *,
    writers: Mapping[str, Writer] = WRITERS,
) -> Written:
    """Write every report; raises nothing but what ends the program."""
    session = group(results, context)
    paths: dict[str, Path] = {}
    problems: list[str] = []
    for name, render in writers.items():
        try:
            paths[name] = write_atomically(report_dir / name, render(session, report_dir))
        except Exception as error:  # whatever it is, the other reports must still come out
            problems.append(f"{name} was not written: {type(error).__name__}: {error}")
    return Written(paths=paths, problems=tuple(problems))
