"""Draws the board: a state, a size and an instant in, lines of text out. Only this file knows rich.

Rules: pure. Fits the width and height given: cells carry names where there is room for them, shrink to
symbols where there is not, and what still does not fit is counted, never silently dropped; the counts
are always there. Every state has a symbol of its own beside its colour, with an ASCII stand-in.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from harness.report.board_state import BoardCase, BoardState, CaseState
from harness.report.wording import MARKS, duration, one_line
from harness.results import Verdict

__all__ = ["Canvas", "board_lines", "render"]

_CELL_NAME = 26  # no more of a name than this stands in a cell
_GAP = 2
_RESERVED = 9  # lines below the grid, for what runs and what went wrong
_CALM = frozenset({CaseState.GREEN, CaseState.SKIPPED})
_TROUBLE = frozenset({CaseState.RED, CaseState.ERROR, CaseState.INVALID, CaseState.FLAKY})


@dataclasses.dataclass(frozen=True, slots=True)
class Canvas:
    """What there is to draw on."""

    width: int
    height: int | None = None  # None: as long as it gets
    unicode: bool = True


def _look(state: CaseState, canvas: Canvas) -> tuple[str, str]:
    """Symbol and colour of a state."""
    if state is CaseState.WAITING:
        return ("·" if canvas.unicode else "."), "bright_black"
    if state is CaseState.RUNNING:
        return ("▶" if canvas.unicode else ">"), "bold blue"
    mark = MARKS[Verdict(state)]
    weight = "" if state in (CaseState.GREEN, CaseState.SKIPPED) else "bold "
    return (mark.symbol if canvas.unicode else mark.plain), weight + mark.colour


def board_lines(state: BoardState, canvas: Canvas, now: float) -> list[Text]:
    """The board; never more lines than the canvas is high."""
    head, foot = _head(state, canvas, now), _foot(state, canvas)
    running, troubled = _running(state, canvas, now), _troubled(state, canvas)
    height = canvas.height if canvas.height is not None else 10_000
    room = height - 3  # head, foot, one empty line
    grid = _grid(state, canvas, named=True)
    # By the size alone, so that the board does not change its form while cases come and go.
    if len(grid) + _RESERVED > room:
        grid = _grid(state, canvas, named=False)
    below = len(running) + len(troubled)
    grid = _cut(grid, max(room - min(below, 3) - 1, 1), canvas, "guardrail line")
    lines = [head, Text(), *grid]
    room -= len(grid)
    for block, noun in ((troubled, "more line"), (running, "running case")):
        if block and room >= 2:
            # Trouble may take what is left but for four lines of what runs.
            share = room - (min(len(running), 4) + 1 if block is troubled and running else 0)
            shown = _cut(block, max(share - 1, 1), canvas, noun)
            lines += [Text(), *shown]
            room -= len(shown) + 1
    lines.append(foot)
    return [*lines[: height - 1], foot] if len(lines) > height else lines


def _cut(lines: list[Text], room: int, canvas: Canvas, noun: str) -> list[Text]:
    if len(lines) <= room:
        return lines
    kept = lines[: max(room - 1, 0)]
    hidden = len(lines) - len(kept)
    dots = "…" if canvas.unicode else "..."
    return [*kept, Text(f"  {dots} and {hidden} {noun}{'s' if hidden != 1 else ''}", style="bright_black")]


def _head(state: BoardState, canvas: Canvas, now: float) -> Text:
    elapsed = _elapsed(now - state.started) if state.started is not None else ""
    right = f"{state.finished}/{state.known_total} finished"
    if elapsed:
        right += f"  {elapsed}"
    left = Text("guardrails", style="bold")
    if state.engine:
        left.append(f"  {one_line(state.engine, 60)}", style="bright_black")
    if state.cxdb:
        left.append(f"  CXDB {one_line(state.cxdb, 60)}", style="bright_black")
    left.truncate(max(canvas.width - len(right) - 2, 4), overflow="crop")
    left.append(" " * max(canvas.width - left.cell_len - len(right), 1))
    return left.append(right, style="bold")


def _foot(state: BoardState, canvas: Canvas) -> Text:
    counts = state.counts()
    line = _tally(counts, canvas, words=True)
    if line.cell_len > canvas.width:
        line = _tally(counts, canvas, words=False)
    line.truncate(canvas.width, overflow="crop")
    return line


def _tally(counts: Counter[CaseState], canvas: Canvas, *, words: bool) -> Text:
    line = Text()
    for each in CaseState:
        if counts[each]:
            symbol, colour = _look(each, canvas)
            said = f"{symbol} {counts[each]} {each}" if words else f"{symbol} {counts[each]}"
            line.append("  " if line else "").append(said, style=colour)
    return line


def _grid(state: BoardState, canvas: Canvas, *, named: bool) -> list[Text]:
    groups = state.guardrails()
    if not groups:
        return [Text("waiting for the first case", style="bright_black")]
    # "name " + "12/12" + gap, and no more than a third of a narrow terminal
    label = min(max(cell_len(one_line(name)) for name in groups), max(12, canvas.width // 3 - 4))
    counter = max(len(f"{len(cases)}") for cases in groups.values()) * 2 + 1
    room = max(canvas.width - label - counter - 2 * _GAP, 1)
    longest = max(cell_len(one_line(case.name)) for cases in groups.values() for case in cases)
    cell = min(longest, _CELL_NAME, max(room - 2, 1)) + 2 if named else 1
    across = max((room + _GAP) // (cell + _GAP), 1) if named else max((room + 1) // 2, 1)
    lines: list[Text] = []
    for name, cases in groups.items():
        for row in range(math.ceil(len(cases) / across)):
            line = Text(" " * (label + counter + _GAP))
            if row == 0:
                line = _grid_head(name, cases, label, counter, canvas)
            line.append(" " * _GAP)
            for case in cases[row * across : (row + 1) * across]:
                line.append_text(_cell(case, canvas, cell, named=named))
            lines.append(line)
    for line in lines:
        line.rstrip()
    return lines


def _grid_head(name: str, cases: list[BoardCase], label: int, counter: int, canvas: Canvas) -> Text:
    done = sum(case.state not in (CaseState.WAITING, CaseState.RUNNING) for case in cases)
    states = {case.state for case in cases}
    colour = "green" if states <= _CALM else "bold red" if states & _TROUBLE else ""
    dots = "…" if canvas.unicode else "."
    shown = one_line(name)
    if cell_len(shown) > label:
        shown = set_cell_size(shown, label - 1) + dots
    line = Text(set_cell_size(shown, label), style=colour)
    return line.append(" " * _GAP).append(f"{done}/{len(cases)}".rjust(counter), style="bright_black")


def _cell(case: BoardCase, canvas: Canvas, width: int, *, named: bool) -> Text:
    symbol, colour = _look(case.state, canvas)
    cell = Text(symbol, style=colour)
    if not named:
        return cell.append(" ")
    room = width - 2
    name = one_line(case.name)
    if cell_len(name) > room:
        name = set_cell_size(name, room - 1) + ("…" if canvas.unicode else ".")
    quiet = case.state in (CaseState.WAITING, CaseState.SKIPPED)
    tone = "bright_black" if quiet else "" if case.state is CaseState.GREEN else colour
    return cell.append(" ").append(set_cell_size(name, room), style=tone).append(" " * _GAP)


def _running(state: BoardState, canvas: Canvas, now: float) -> list[Text]:
    lines = []
    symbol, colour = _look(CaseState.RUNNING, canvas)
    for case in state.running():
        took = _elapsed(now - case.started) if case.started is not None else ""
        line = Text(f"{symbol} ", style=colour).append(f"{took:>8}  ", style="bold")
        line.append(f"{one_line(case.guardrail)}/{one_line(case.name)}")
        line.truncate(canvas.width, overflow="ellipsis" if canvas.unicode else "crop")
        lines.append(line)
    return lines


def _elapsed(seconds: float) -> str:
    """In tenths of a second up to a minute: a time that runs must not change its unit on every look."""
    return f"{max(seconds, 0.0):.1f} s" if seconds < 60 else duration(seconds)


def _troubled(state: BoardState, canvas: Canvas) -> list[Text]:
    """Two lines a case: which, and why."""
    lines = []
    ranked = sorted(state.troubled(), key=lambda case: case.state is CaseState.SKIPPED)
    for case in ranked:
        symbol, colour = _look(case.state, canvas)
        line = Text(f"{symbol} {case.state:<8}", style=colour)
        line.append(f"{one_line(case.guardrail)}/{one_line(case.name)}", style="bold")
        if case.state is CaseState.SKIPPED:  # expected, so it takes one line
            line.append(f"  {one_line(case.reason)}", style="bright_black")
        lines.append(line)
        if case.reason and case.state is not CaseState.SKIPPED:
            lines.append(Text(f"          {one_line(case.reason)}"))
    for line in lines:
        line.truncate(canvas.width, overflow="ellipsis" if canvas.unicode else "crop")
    return lines


def render(lines: list[Text], console: Console) -> list[str]:
    """Each line as the string to send to the terminal, colours included where the console has any."""
    sent = []
    for line in lines:
        with console.capture() as capture:
            console.print(line, end="", soft_wrap=True, highlight=False)
        sent.append(capture.get())
    return sent
