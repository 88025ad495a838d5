"""summary.md: what a CI service shows under a job. A headline, a table, and details to open.

Rules: everything foreign is escaped for where it stands (table cell, prose, fenced block), so that no
case can break the table, open a tag or close the fence around it. Bounded well under the megabyte
GitHub takes: when there is too much, the last details are left out and that is said. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from harness.report.prove import GridForm, render_prove_grid
from harness.report.session import CrashTable, Session
from harness.report.wording import MARKS, clip_lines, count_of, duration, one_line
from harness.results import CaseResult, Verdict

__all__ = ["escape_cell", "fence", "render_markdown"]

_MOST_BYTES = 900_000
# The ampersand first: the others bring new ones.
_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;"), ("`", "&#96;"))


def escape_cell(text: str, limit: int = 300) -> str:
    """Text for a table cell or a line of prose: one line, nothing in it is markup."""
    flat = one_line(text, limit)
    for character, stand_in in _ENTITIES:
        flat = flat.replace(character, stand_in)
    # An at sign would call somebody, a bracket begin a link.
    return re.sub(r"([\\*_\[\]~])", r"\\\1", flat).replace("@", "&#64;")


def fence(text: str, *, lines: int = 30, characters: int = 4000) -> str:
    """A fenced block that its content cannot close."""
    kept, note = clip_lines(text, lines=lines, characters=characters)
    longest = max((len(run) for run in re.findall("`+", kept)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{kept}\n{ticks}" + (f"\n\n({note})" if note else "")


def render_markdown(session: Session) -> str:
    parts = [*_head(session), *_table(session)]
    if session.context.prove:
        parts += ["", "### Saboteurs", "", render_prove_grid(session.context.prove, GridForm.MARKDOWN)]
    if session.context.crash:
        parts += ["", "### Crash points", "", *_crash_points(session.context.crash)]
    size = sum(len(part.encode()) + 1 for part in parts)
    waiting = [case for case in session.not_green if case.verdict is not Verdict.SKIPPED]
    for number, case in enumerate(waiting):
        details = "\n".join(_details(case))
        size += len(details.encode()) + 1
        if size > _MOST_BYTES:
            parts += ["", f"{count_of(len(waiting) - number, 'case')} more: see index.html."]
            break
        parts.append(details)
    parts += _skips([case for case in session.cases if case.verdict is Verdict.SKIPPED])
    return "\n".join(parts) + "\n"


def _crash_points(crash: CrashTable) -> Iterator[str]:
    yield escape_cell(crash.headline)
    yield ""
    yield f"| {' | '.join(crash.headings)} |"
    yield f"|{'---|' * len(crash.headings)}"
    for row in crash.rows:
        yield f"| {' | '.join(map(escape_cell, row))} |"


def _head(session: Session) -> Iterator[str]:
    mark = MARKS[session.verdict].emoji if session.cases else "❔"
    took = f" in {duration(session.duration_seconds)}" if session.duration_seconds is not None else ""
    yield f"## {mark} {escape_cell(session.context.title)}: {session.headline}{took}"
    yield ""
    context = session.context
    facts = [("engine", context.engine), ("started", session.started_at), ("cxdb", context.cxdb)]
    facts += [
        ("python", context.python),
        ("git", context.git),
        ("platform", context.platform),
        *context.facts,
    ]
    yield " · ".join(f"{escape_cell(name)} **{escape_cell(value)}**" for name, value in facts if value)
    yield ""


def _table(session: Session) -> Iterator[str]:
    if not session.guardrails:
        yield "No case ran, so nothing is proven."
        return
    columns = [verdict for verdict in MARKS if session.counts.get(verdict)]
    yield "| | guardrail | " + " | ".join(f"{MARKS[each].emoji} {each}" for each in columns) + " | time |"
    yield "|---|---|" + "---:|" * len(columns) + "---:|"
    for guardrail in session.guardrails:
        numbers = " | ".join(str(guardrail.counts.get(verdict, "")) for verdict in columns)
        mark, name = MARKS[guardrail.verdict].emoji, escape_cell(guardrail.name)
        yield f"| {mark} | {name} | {numbers} | {duration(guardrail.duration_seconds)} |"


def _details(case: CaseResult) -> Iterator[str]:
    # GitHub reads Markdown only after the blank line: inside <summary> stands HTML.
    saboteur = f" against {escape_html(case.saboteur)}" if case.saboteur else ""
    mark = MARKS[case.verdict].emoji
    yield f"\n<details><summary>{mark} {case.verdict}: {escape_html(case.case_id)}{saboteur}</summary>\n"
    yield f"**{escape_cell(case.title)}**\n"
    if case.reason:
        yield f"{escape_cell(case.reason, 600)}\n"
    if case.why:
        yield f"Why it matters: {escape_cell(case.why, 800)}\n"
    for fault in case.faults:
        if not fault.fired:
            said = f"{fault.kind} on {fault.target}: {fault.proof}"
            yield f"- fault never fired: {escape_cell(said, 600)}\n"
    bad = [check for check in case.checks if check.verdict not in (Verdict.GREEN, Verdict.SKIPPED)]
    if bad:
        yield "| | check | expected | found |\n|---|---|---|---|"
        for check in bad[:20]:
            found = escape_cell(check.found or check.summary)
            head = f"{MARKS[check.verdict].emoji} | {escape_cell(check.name)}"
            yield f"| {head} | {escape_cell(check.expected)} | {found} |"
        yield ""
    for command in case.commands:
        if command.stderr_tail.strip() and command.exit_code != 0:
            kept = command.stderr_tail[-1500:]
            yield f"Standard error of step {command.step} ({escape_cell(command.name)}):\n\n{fence(kept)}\n"
    if case.reproduce:
        yield f"Reproduce:\n\n{fence(one_line(case.reproduce, 2000))}\n"
    if case.case_dir:
        yield f"Evidence: {escape_cell(str(PurePosixPath(case.case_dir)))}\n"
    yield "</details>"


def escape_html(text: str) -> str:
    flat = one_line(text)
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")


def _skips(cases: list[CaseResult]) -> Iterator[str]:
    if cases:
        yield f"\n<details><summary>{count_of(len(cases), 'case')} skipped</summary>\n"
        for case in cases[:200]:
            yield f"- {escape_cell(case.case_id)}: {escape_cell(case.reason)}"
        yield "\n</details>"
