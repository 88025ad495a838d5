"""The final text in the terminal: a table of guardrails, every case that is not green, one last line.

Rules: the last line is the answer and always the same shape, `matrix: GREEN 34 cases (34 green) in
41 s`; what is green takes one table row and no more. Wraps at the width given, colours only when
told to, never writes a symbol the stream cannot encode. No rich here: a failed session must be told
even where rich cannot be imported. Knows the session, not how it was run.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TextIO

from harness.report.session import Session
from harness.report.wording import MARKS, clip, clip_lines, count_of, duration, one_line
from harness.results import CaseResult, CheckResult, Verdict

__all__ = ["Style", "can_encode", "last_line", "print_summary", "style_for", "summary_text"]

_INDENT = "    "
_TIME_WIDTH = 14
_VALUE_LINES = 8
_VALUE_CHARACTERS = 800
_MOST_SKIPPED = 12


@dataclasses.dataclass(frozen=True, slots=True)
class Style:
    """What the stream can show."""

    width: int = 80
    colour: bool = False
    unicode: bool = True

    def paint(self, text: str, *codes: str) -> str:
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.colour and codes else text

    def mark(self, verdict: Verdict) -> str:
        mark = MARKS[verdict]
        return self.paint(mark.symbol if self.unicode else mark.plain, "1", mark.ansi)

    def text(self, text: str) -> str:
        return text if self.unicode else text.encode("ascii", "backslashreplace").decode()


def can_encode(stream: TextIO) -> bool:
    """True when every symbol of the reports can be written to the stream."""
    try:
        "✔✘–≈▶·…─".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def style_for(stream: TextIO, environment: Mapping[str, str]) -> Style:
    """What this stream can show, NO_COLOR and a dumb terminal respected."""
    terminal = stream.isatty()
    plain = bool(environment.get("NO_COLOR")) or environment.get("TERM") == "dumb"
    width = shutil.get_terminal_size((100, 24)).columns if terminal else 100
    return Style(width=max(40, min(width, 160)), colour=terminal and not plain, unicode=can_encode(stream))


def print_summary(session: Session, stream: TextIO, *, page: Path | None = None) -> int:
    """Write the summary, naming the page if there is one; the exit code the session earned is returned."""
    stream.write(summary_text(session, style_for(stream, os.environ), page=page))
    stream.flush()
    return session.exit_code


def summary_text(session: Session, style: Style, *, page: Path | None = None) -> str:
    lines: list[str] = []
    if session.guardrails:
        lines.append("")  # apart from the board or the lines above
        lines += [*_table(session, style), ""]
    skipped = [case for case in session.cases if case.verdict is Verdict.SKIPPED]
    for case in session.not_green:
        if case.verdict is not Verdict.SKIPPED:
            lines += [*_case(case, style), ""]
    if skipped:
        lines += [*_skips(skipped, style), ""]
    if page is not None:
        lines.append(f"report: {one_line(str(page), 2000)}")
    lines.append(style.paint(last_line(session), "1", MARKS[session.verdict].ansi))
    return style.text("\n".join(lines)) + "\n"


def last_line(session: Session) -> str:
    """`matrix: RED 34 cases (33 green, 1 red) in 41 s, exit 1`; no exit code is named when it is 0."""
    took = f" in {duration(session.duration_seconds)}" if session.duration_seconds is not None else ""
    code = session.exit_code
    return f"{session.context.program}: {session.headline}{took}{f', exit {code}' if code else ''}"


def _table(session: Session, style: Style) -> list[str]:
    columns = [verdict for verdict in MARKS if session.counts.get(verdict)]
    widths = {verdict: len(verdict) + 2 for verdict in columns}
    widest = max(len("guardrail"), *(len(guardrail.name) for guardrail in session.guardrails))
    room = style.width - sum(widths.values()) - 2
    time_width = _TIME_WIDTH if room >= 12 + _TIME_WIDTH else 0  # a narrow terminal does without times
    name_width = max(12, min(widest, room - time_width))
    heads = "".join(f"{verdict:>{widths[verdict]}}" for verdict in columns)
    lines = [style.paint(f"  {'guardrail':<{name_width}}{heads}{'time' if time_width else '':>{time_width}}", "2")]
    for guardrail in session.guardrails:
        row = f"{style.mark(guardrail.verdict)} {clip(one_line(guardrail.name), name_width):<{name_width}}"
        for verdict in columns:
            number = guardrail.counts.get(verdict, 0)
            cell = f"{number or '.':>{widths[verdict]}}"
            row += style.paint(cell, MARKS[verdict].ansi) if number else style.paint(cell, "2")
        took = f"{duration(guardrail.duration_seconds):>{time_width}}" if time_width else ""
        lines.append(row + style.paint(took, "2"))
    return lines


def _case(case: CaseResult, style: Style) -> Iterator[str]:
    verdict = style.paint(case.verdict.upper(), "1", MARKS[case.verdict].ansi)
    saboteur = f" against saboteur {one_line(case.saboteur, 60)}" if case.saboteur else ""
    yield f"{style.mark(case.verdict)} {verdict} {style.paint(one_line(case.case_id), '1')}{saboteur}"
    yield from _wrapped(one_line(case.title), style, "")
    yield from _wrapped(one_line(case.reason, 500), style, "because ")
    yield from _wrapped(one_line(case.why, 600), style, "matters ")
    for fault in case.faults:
        if not fault.fired:
            said = f"fault {fault.kind} on {fault.target} never fired: {fault.proof or 'no trace of it'}"
            yield from _wrapped(one_line(said, 400), style, "")
    for check in case.checks:
        if check.verdict not in (Verdict.GREEN, Verdict.SKIPPED):
            yield from _check(check, style)
    if case.case_dir:
        yield f"{_INDENT}evidence  {one_line(str(PurePosixPath(case.case_dir)))}"
    if case.reproduce:
        yield f"{_INDENT}reproduce {style.paint(one_line(case.reproduce, 2000), '1')}"


def _check(check: CheckResult, style: Style) -> Iterator[str]:
    yield f"{_INDENT}{style.mark(check.verdict)} {one_line(check.name)}"
    inner = _INDENT + "  "
    if check.summary and not (check.expected and check.found):
        yield from _wrapped(one_line(check.summary, 400), style, "", inner)
    for word, value in (("expected", check.expected), ("found", check.found)):
        if value:
            yield from _value(word, value, style, inner)
    if check.evidence:
        yield f"{inner}see      {one_line(check.evidence, 200)}"


def _value(word: str, value: str, style: Style, indent: str) -> Iterator[str]:
    text, note = clip_lines(value, lines=_VALUE_LINES, characters=_VALUE_CHARACTERS)
    room = max(style.width - len(indent) - 9, 20)
    lines: list[str] = []
    for line in text.split("\n"):
        lines += textwrap.wrap(line, room, drop_whitespace=False) or [""]
    if note:
        lines.append(f"({note})")
    for number, line in enumerate(lines):
        yield f"{indent}{word if number == 0 else '':<8} {line}".rstrip()


def _wrapped(text: str, style: Style, lead: str, indent: str = _INDENT) -> list[str]:
    if not text:
        return []
    return textwrap.wrap(
        lead + text,
        style.width,
        initial_indent=indent,
        subsequent_indent=indent + " " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _skips(cases: list[CaseResult], style: Style) -> Iterator[str]:
    yield style.paint(f"{count_of(len(cases), 'case')} skipped", MARKS[Verdict.SKIPPED].ansi)
    for case in cases[:_MOST_SKIPPED]:
        yield from _wrapped(f"{one_line(case.case_id)}: {one_line(case.reason)}", style, "")
    if len(cases) > _MOST_SKIPPED:
        yield f"{_INDENT}and {len(cases) - _MOST_SKIPPED} more"
