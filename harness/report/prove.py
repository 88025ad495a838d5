"""The grid of `attractor-harness prove`: which saboteur was caught by which case, and who survived.

A saboteur puts an old bug back; the cases of its guardrail must then turn red. A surviving saboteur
is a hole in the matrix, so survivors are named first and by name, in every form.

Rules: pure. Text, Markdown and HTML say the same. Knows nothing of how a saboteur works.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from html import escape

from harness.report.wording import clip, count_of, one_line, visible

__all__ = ["GridForm", "ProveVerdict", "SaboteurRow", "prove_exit_code", "render_prove_grid"]


class ProveVerdict(enum.StrEnum):
    """What became of one saboteur."""

    CAUGHT = "caught"  # at least one case of its guardrail turned red
    SURVIVED = "survived"  # every case stayed green: the guardrail has no teeth
    INVALID = "invalid"  # the sabotage did not take hold, or its cases told nothing


class GridForm(enum.StrEnum):
    TEXT = "text"
    ASCII = "ascii"
    MARKDOWN = "markdown"
    HTML = "html"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SaboteurRow:
    """One saboteur and the cases that ran against it."""

    name: str
    guardrail: str
    historic_bug: str  # the bug it puts back, in one line
    verdict: ProveVerdict
    caught_by: tuple[str, ...] = ()  # case ids that turned red
    missed_by: tuple[str, ...] = ()  # case ids that stayed green
    reason: str = ""  # why invalid


_SYMBOLS = {ProveVerdict.CAUGHT: "✔", ProveVerdict.SURVIVED: "✘", ProveVerdict.INVALID: "?"}
_PLAIN = {ProveVerdict.CAUGHT: "+", ProveVerdict.SURVIVED: "X", ProveVerdict.INVALID: "?"}
_EMOJI = {ProveVerdict.CAUGHT: "✅", ProveVerdict.SURVIVED: "❌", ProveVerdict.INVALID: "❔"}
# As for cases: a hole is a failure, and an invalid trial, which answers nothing, comes before it.
_EXIT = {ProveVerdict.INVALID: 3, ProveVerdict.SURVIVED: 1, ProveVerdict.CAUGHT: 0}


def prove_exit_code(rows: Sequence[SaboteurRow]) -> int:
    """0 only when there was a saboteur and every one was caught; 1 for a survivor, 3 when untold."""
    return max((_EXIT[row.verdict] for row in rows), default=_EXIT[ProveVerdict.INVALID])


def render_prove_grid(rows: Sequence[SaboteurRow], form: GridForm = GridForm.TEXT) -> str:
    """The grid with its closing line; HTML is a fragment to put into a page."""
    ordered = sorted(rows, key=lambda row: (row.guardrail, row.name))
    if form is GridForm.HTML:
        return _html(ordered)
    if form is GridForm.MARKDOWN:
        return _markdown(ordered)
    return _text(ordered, ascii_only=form is GridForm.ASCII)


def conclusion(rows: Sequence[SaboteurRow]) -> str:
    """One line: how many were caught, and every survivor by name."""
    if not rows:
        return "no saboteur ran: nothing is proven about the matrix's teeth"
    caught = sum(row.verdict is ProveVerdict.CAUGHT for row in rows)
    said = [f"{caught} of {count_of(len(rows), 'saboteur')} caught"]
    for verdict, word in ((ProveVerdict.SURVIVED, "survived"), (ProveVerdict.INVALID, "invalid")):
        names = [one_line(row.name, 60) for row in rows if row.verdict is verdict]
        if names:
            said.append(f"{word}: {', '.join(names)}")
    return "; ".join(said)


def _short(case_id: str, guardrail: str) -> str:
    return one_line(case_id.removeprefix(f"{guardrail}/"), 80)


def _text(rows: Sequence[SaboteurRow], *, ascii_only: bool) -> str:
    marks = _PLAIN if ascii_only else _SYMBOLS
    lines: list[str] = []
    width = max((len(one_line(row.name, 40)) for row in rows), default=0)
    for guardrail in dict.fromkeys(row.guardrail for row in rows):
        lines += ["", one_line(guardrail)]
        for row in (row for row in rows if row.guardrail == guardrail):
            name = one_line(row.name, 40).ljust(width)
            lines.append(f"  {marks[row.verdict]} {name}  {row.verdict:<8}  {one_line(row.historic_bug, 90)}")
            told = [("caught by", row.caught_by), ("missed by", row.missed_by)]
            for word, ids in told:
                lines += [f"      {word} {_short(each, row.guardrail)}" for each in ids]
            if row.reason:
                lines.append(f"      {one_line(row.reason)}")
    text = "\n".join([*lines[1:], "", f"prove: {conclusion(rows)}"]).lstrip("\n") + "\n"
    return text.encode("ascii", "replace").decode() if ascii_only else text


def _markdown(rows: Sequence[SaboteurRow]) -> str:
    def cell(text: str) -> str:
        return escape(one_line(text), quote=False).replace("|", "&#124;").replace("`", "&#96;")

    def ids(each: tuple[str, ...], guardrail: str) -> str:
        return "<br>".join(cell(_short(case_id, guardrail)) for case_id in each) or "none"

    head = ["| | saboteur | guardrail | puts back | caught by | missed by |", "|---|---|---|---|---|---|"]
    body = [
        f"| {_EMOJI[row.verdict]} | {cell(row.name)} | {cell(row.guardrail)} | {cell(row.historic_bug)} "
        f"| {ids(row.caught_by, row.guardrail)} | {ids(row.missed_by, row.guardrail)} |"
        for row in rows
    ]
    return "\n".join([f"**{cell(conclusion(rows))}**", "", *(head + body if rows else []), ""])


def _html(rows: Sequence[SaboteurRow]) -> str:
    parts = [f'<p class="prove-line">{escape(conclusion(rows))}</p>']
    if rows:
        parts.append(
            '<div class="scroll"><table class="prove"><thead><tr><th scope="col">Saboteur</th>'
            '<th scope="col">Puts back</th><th scope="col">Cases run against it</th></tr></thead><tbody>'
        )
        parts += [_html_row(row) for row in rows]
        parts.append("</tbody></table></div>")
    return "".join(parts)


def _html_row(row: SaboteurRow) -> str:
    def chips(ids: tuple[str, ...], kind: str, mark: str) -> str:
        return "".join(
            f'<li class="{kind}"><span aria-hidden="true">{mark}</span> {escape(_short(each, row.guardrail))}'
            f'<span class="hidden"> {kind} it</span></li>'
            for each in ids
        )

    cells = chips(row.caught_by, "caught", "✔") + chips(row.missed_by, "missed", "✘")
    told = f'<ul class="chips">{cells}</ul>' if cells else "no case told anything"
    reason = f'<p class="note">{escape(visible(clip(row.reason, 300)))}</p>' if row.reason else ""
    return (
        f'<tr class="prove-{row.verdict}"><th scope="row"><span class="tag prove-{row.verdict}">'
        f"{_SYMBOLS[row.verdict]} {row.verdict}</span> {escape(one_line(row.name, 60))}"
        f'<span class="sub">{escape(one_line(row.guardrail, 60))}</span></th>'
        f"<td>{escape(one_line(row.historic_bug))}{reason}</td>"
        f"<td>{told}</td></tr>"
    )
