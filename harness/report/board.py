"""Shows a session while it runs: a board on a terminal, one line a finished case anywhere else.

Rules: follows the report directory (see PROTOCOL in `board_state`) and nothing else, so it can watch a
session of another process; never fails it: an unreadable line is counted, a closed pipe ends the
showing. Redraws only lines that changed, in one write, so nothing flickers and the scrollback is
left alone; a changed size redraws all. Interrupted, it leaves the terminal usable, says how far the
session was and lets the interrupt through. rich is imported only when a board is shown.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from harness.report.board_state import BoardCase, BoardState, ProgressTail
from harness.report.summary import can_encode
from harness.report.wording import MARKS, count_of, duration, one_line
from harness.results import Verdict

__all__ = ["BoardState", "follow", "plain_line"]

_INTERVAL_SECONDS = 0.1


def follow(
    report_dir: Path,
    total: int,
    stream: TextIO,
    *,
    plain: bool | None = None,
    done: Callable[[], bool] | None = None,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    environment: Mapping[str, str] | None = None,
) -> BoardState:
    """Show the session of this report directory until it ends; what was seen is returned.

    It ends when `done()` is true (the session's process is gone), or without one at the event that says
    so. `plain=None`: a board on a terminal, lines elsewhere. `total` is 0 when the session will tell it.
    """
    settings = os.environ if environment is None else environment
    if plain is None:
        plain = not stream.isatty() or settings.get("TERM", "dumb") == "dumb"
    state, tail = BoardState(total), ProgressTail(report_dir)
    shown: _Lines | _Board = _Lines(stream) if plain else _Board(stream, now, settings)
    try:
        while True:
            over = done() if done is not None else state.ended  # asked before the last look at the file
            finished = [case for event in tail.read() if (case := state.apply(event)) is not None]
            shown.update(state, finished)
            if over:
                break
            sleep(_INTERVAL_SECONDS)
    except KeyboardInterrupt:
        shown.close(state, tail.unreadable, interrupted=True)
        raise
    except BrokenPipeError:  # whoever watched has gone; the session goes on
        while done is not None and not done():
            sleep(_INTERVAL_SECONDS)
        return state
    except BaseException:
        shown.close(state, tail.unreadable, interrupted=False)
        raise
    shown.close(state, tail.unreadable, interrupted=False)
    return state


def plain_line(case: BoardCase, number: int, total: int, *, unicode: bool) -> str:
    """`[ 7/34] ✘ red      4.2 s  detach/launcher-killed  no final.json within 20 s`"""
    mark = MARKS[Verdict(case.state)]
    width = len(str(total))
    symbol = mark.symbol if unicode else mark.plain
    head = f"[{number:>{width}}/{total}] {symbol} {case.state:<7} {duration(case.duration_seconds):>8}"
    reason = f"  {one_line(case.reason)}" if case.reason else ""
    line = f"{head}  {one_line(case.guardrail)}/{one_line(case.name)}{reason}"
    return line if unicode else line.encode("ascii", "backslashreplace").decode()


def _epilogue(state: BoardState, unreadable: int, *, interrupted: bool) -> list[str]:
    lines = []
    lost = [f"{case.guardrail}/{case.name}" for case in state.running()]
    if interrupted:
        lines.append(f"interrupted: {state.finished} of {count_of(state.known_total, 'case')} finished")
    if lost:
        word = "running when interrupted" if interrupted else "started and never finished"
        lines.append(f"{word}: {', '.join(one_line(name, 100) for name in lost)}")
    if unreadable:
        lines.append(f"{count_of(unreadable, 'progress line')} could not be read")
    return lines


class _Lines:
    """One line a finished case, for logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._unicode = can_encode(stream)
        self._number = 0

    def update(self, state: BoardState, finished: list[BoardCase]) -> None:
        for case in finished:
            self._number += 1
            line = plain_line(case, self._number, max(state.known_total, self._number), unicode=self._unicode)
            self._stream.write(line + "\n")
        if finished:
            self._stream.flush()

    def close(self, state: BoardState, unreadable: int, *, interrupted: bool) -> None:
        lines = _epilogue(state, unreadable, interrupted=interrupted)
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()


class _Board:
    """The board, drawn over itself."""

    def __init__(self, stream: TextIO, now: Callable[[], float], environment: Mapping[str, str]) -> None:
        from rich.console import Console  # here, so that lines and reports never pay for it

        from harness.report import board_view

        self._view = board_view
        self._stream, self._now = stream, now
        self._unicode = can_encode(stream)
        self._console = Console(
            file=stream, force_terminal=True, no_color=bool(environment.get("NO_COLOR")), _environ=environment
        )
        self._painter = _Painter(stream)

    def update(self, state: BoardState, finished: list[BoardCase]) -> None:
        self._paint(state, whole=False)

    def _paint(self, state: BoardState, *, whole: bool) -> None:
        width, height = _terminal_size(self._stream)
        # The last column and the last row stay free: a full one makes terminals wrap or scroll.
        canvas = self._view.Canvas(max(width - 1, 20), None if whole else max(height - 1, 4), self._unicode)
        self._console.width = canvas.width
        lines = self._view.board_lines(state, canvas, self._now())
        self._painter.paint(self._view.render(lines, self._console), (width, height))

    def close(self, state: BoardState, unreadable: int, *, interrupted: bool) -> None:
        try:
            self._paint(state, whole=True)  # nothing draws over it again, so it may scroll
        finally:
            self._painter.close(_epilogue(state, unreadable, interrupted=interrupted))


def _terminal_size(stream: TextIO) -> tuple[int, int]:
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        size = shutil.get_terminal_size((80, 24))
    return size.columns or 80, size.lines or 24


class _Painter:
    """Keeps a block of lines on the terminal, rewriting only those that changed."""

    _HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
    _BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"  # one frame at a time, where the terminal knows it
    _CLEAR_LINE, _CLEAR_BELOW, _CLEAR_ALL = "\x1b[K", "\x1b[J", "\x1b[H\x1b[2J"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._size: tuple[int, int] | None = None

    def paint(self, lines: list[str], size: tuple[int, int]) -> None:
        """Show these lines; the cursor rests below the last."""
        if lines == self._lines and size == self._size:
            return
        parts = [self._BEGIN, self._HIDE]
        if self._size is not None and size != self._size:
            # The terminal has rewrapped what stood there: where it begins now, nobody knows.
            parts.append(self._CLEAR_ALL)
            self._lines = []
        elif self._lines:
            parts.append(f"\x1b[{len(self._lines)}F")
        for number, line in enumerate(lines):
            same = number < len(self._lines) and self._lines[number] == line
            parts.append("\n" if same else f"\r{line}{self._CLEAR_LINE}\n")
        parts += [self._CLEAR_BELOW, self._END]
        self._stream.write("".join(parts))
        self._stream.flush()
        self._lines, self._size = lines, size

    def close(self, lines: list[str]) -> None:
        self._stream.write(self._SHOW + "".join(f"{line}\n" for line in lines))
        self._stream.flush()
