"""index.html: one file that shows a whole session to people, and needs nothing but itself.

Rules: no address outside the file's own folder is ever loaded, and a content policy in the page holds
even for markup that should have been escaped. Every value is made visible and escaped on its way out;
markup is trusted only from `graph_picture` and `prove`. A case gets its share of `_MOST_BYTES`: when it
is larger, it is written again under tighter limits, what was left out is said, and the file is linked.
Absolute paths of the home and report directories are shortened: pages are sent to other people.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from harness.report.case_evidence import Attempt, Event, offset_ms, outcomes, stage_attempts
from harness.report.case_files import CaseEvidence, Sheet, gather
from harness.report.graph_picture import GraphPainter
from harness.report.prove import GridForm, render_prove_grid
from harness.report.session import Session
from harness.report.timeline import Timeline, timeline
from harness.report.wording import MARKS, clip_lines, count_of, duration, instant, one_line, size, visible
from harness.results import CaseResult, Verdict
from harness.store import case_slug

__all__ = ["render_html"]

_MOST_BYTES = 4_500_000
_MOST_OPEN = 6  # cases unfolded from the start; more would bury the overview


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a case is put into the page."""

    events: int = 240
    attempts: int = 120
    commits: int = 120
    turns: int = 120
    files: int = 120
    checks: int = 100
    commands: int = 30
    value: int = 4_000  # characters of an expected or found value
    tail: int = 6_000  # characters of an output
    picture: int = 60_000  # characters of SVG
    prose: int = 1_200

    def tightened(self, divisor: int) -> Limits:
        values = {field.name: getattr(self, field.name) // divisor for field in dataclasses.fields(self)}
        return Limits(**values)


# Tried in this order until the case fits; the last one fits whatever the case holds.
_LEVELS = tuple(Limits().tightened(divisor) for divisor in (1, 3, 10))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GraphView:
    svg: Markup | None = None
    note: str = ""
    source: str = ""


def render_html(session: Session, report_dir: Path, *, painter: GraphPainter | None = None) -> str:
    page = _Page(session, report_dir, painter or GraphPainter())
    return page.render()


class _Page:
    def __init__(self, session: Session, report_dir: Path, painter: GraphPainter) -> None:
        self._session, self._report_dir, self._painter = session, report_dir, painter
        self._environment = _environment(_PathShortener(report_dir))
        self._case_template = self._environment.get_template("case.html.j2")
        troubled = [case for case in session.not_green if case.verdict is not Verdict.SKIPPED]
        self._open = len(troubled) <= _MOST_OPEN
        self._share = _MOST_BYTES // max(len(session.cases), 1)

    def render(self) -> str:
        session = self._session
        anchors = _anchors(session.cases)
        bodies = {id(case): Markup(self._case(case, anchors[id(case)])) for case in session.cases}
        script = self._environment.get_template("report.js.j2").render()
        prove = session.context.prove
        return self._environment.get_template("report.html.j2").render(
            session=session,
            facts=_facts(session),
            anchors=anchors,
            bodies=bodies,
            identity=id,
            marks=MARKS,
            verdicts=[verdict for verdict in MARKS if session.counts.get(verdict)],
            style=Markup(self._environment.get_template("report.css.j2").render()),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            crash=session.context.crash,
            prove=Markup(render_prove_grid(prove, GridForm.HTML)) if prove else "",
        )

    def _case(self, case: CaseResult, anchor: str) -> str:
        evidence = gather(case, self._report_dir)
        markup = ""
        for level, limits in enumerate(_LEVELS):
            markup = self._case_markup(case, anchor, evidence, limits, shortened=level > 0)
            if len(markup.encode()) <= self._share:
                break
        return markup

    def _case_markup(
        self, case: CaseResult, anchor: str, evidence: CaseEvidence, limits: Limits, *, shortened: bool
    ) -> str:
        told = [event for sheet in evidence.events for event in sheet.rows]
        attempts = [attempt for sheet in evidence.events for attempt in stage_attempts(sheet.rows)]
        bad = [check for check in case.checks if check.verdict is not Verdict.GREEN]
        origin = min((event.at for event in told if event.at), default=None) or instant(case.started_at)
        return self._case_template.render(
            case=case,
            anchor=anchor,
            mark=MARKS[case.verdict],
            marks=MARKS,
            evidence=evidence,
            limits=limits,
            shortened=shortened,
            graph=self._graph(evidence, attempts, limits),
            timelines=_timelines(case, evidence.events, limits),
            bad=bad,
            held=[check for check in case.checks if check.verdict is Verdict.GREEN],
            offset=lambda moment: _offset(offset_ms(moment, origin)),
            fault_offset=lambda at: _offset(offset_ms(instant(at), origin)),
            pick=_pick,
            command_line=lambda argv: shlex.join(argv),
            open=self._open and case.verdict not in (Verdict.GREEN, Verdict.SKIPPED),
        )

    def _graph(self, evidence: CaseEvidence, attempts: list[Attempt], limits: Limits) -> GraphView:
        if not evidence.graph.strip():
            return GraphView()
        picture = self._painter.draw(evidence.graph, outcomes(attempts))
        if picture.svg and len(picture.svg) <= limits.picture:
            return GraphView(svg=Markup(picture.svg))
        note = picture.problem or "picture left out to keep this page small"
        return GraphView(note=note, source=picture.source or visible(evidence.graph[: limits.value]))


def _timelines(case: CaseResult, sheets: Sequence[Sheet[Event]], limits: Limits) -> list[tuple[str, Timeline]]:
    """One for each run of the case, all on the same axis."""
    instants = [event.at for sheet in sheets for event in sheet.rows if event.at]
    faults = [moment for fault in case.faults if fault.fired and (moment := instant(fault.at))]
    lines = []
    for sheet in sheets:
        attempts = stage_attempts(sheet.rows)
        if attempts:
            shown = attempts[: limits.attempts]
            left_out = len(attempts) - len(shown)
            lines.append((sheet.title, timeline(shown, faults, min(instants), max(instants), left_out=left_out)))
    return lines


def _pick(sheet: Sheet[object], most: int) -> tuple[list[object], int, list[object]]:
    """The first and last rows of a sheet, and how many in between are left out."""
    rows = list(sheet.rows)
    if len(rows) <= most:
        return rows, 0, []
    head = most * 2 // 3
    return rows[:head], len(rows) - most, rows[len(rows) - (most - head) :]


def _offset(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:+,.0f}" if abs(milliseconds) >= 0.5 else "0"


def _anchors(cases: Sequence[CaseResult]) -> dict[int, str]:
    """An id for each case, unlike any other id of the page."""
    anchors: dict[int, str] = {}
    taken: set[str] = set()
    for case in cases:
        name = f"{case.case_id} {case.saboteur}" if case.saboteur else case.case_id
        plain = f"case-{case_slug(name) or 'unnamed'}"
        anchor, number = plain, 2
        while anchor in taken:
            anchor, number = f"{plain}-{number}", number + 1
        taken.add(anchor)
        anchors[id(case)] = anchor
    return anchors


def _facts(session: Session) -> list[tuple[str, str]]:
    context = session.context
    started = instant(session.started_at)
    engines = ", ".join(sorted({case.engine for case in session.cases if case.engine}))
    facts = [
        ("Engine", context.engine or engines),
        ("Started", f"{started:%Y-%m-%d %H:%M:%S} UTC" if started else ""),
        ("Took", duration(session.duration_seconds) if session.duration_seconds is not None else ""),
        ("CXDB", context.cxdb),
        ("Git", context.git),
        ("Python", context.python),
        ("Platform", context.platform),
        *context.facts,
    ]
    return [(name[:1].upper() + name[1:], value) for name, value in facts if value]


class _PathShortener:
    """Makes absolute paths short: the report's directory becomes `.`, the home directory `~`."""

    def __init__(self, report_dir: Path) -> None:
        home = os.environ.get("HOME", "").rstrip("/")
        pairs = [(str(report_dir.absolute()), "."), (home, "~")]
        self._pairs = [(path, short) for path, short in pairs if len(path) > 1]

    def __call__(self, text: str) -> str:
        for path, short in self._pairs:
            text = text.replace(path + "/", short + "/")
            if text == path:
                text = short
        return text


def _environment(shorten: _PathShortener) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        # The last gate: whatever a template prints has become visible, before it is escaped.
        finalize=lambda value: value if isinstance(value, Markup) else visible(str(value)),
    )
    environment.filters.update(
        line=lambda text, limit=300: one_line(shorten(str(text)[:20_000]), limit),
        head=lambda text, limit, lines=40: clip_lines(text, lines=lines, characters=limit),
        tail=lambda text, limit, lines=60: clip_lines(text, lines=lines, characters=limit, keep="tail"),
        duration=duration,
        size=size,
        count=count_of,
        shorten=shorten,
    )
    return environment
