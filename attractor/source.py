"""Source text and the places in it that diagnostics point at.

Rules kept here:
- Offsets count characters of the decoded text, 0-based; `end` is exclusive.
- Lines and columns are 1-based; the end column is one past the last character. A line ends at LF, CRLF or a
  lone CR.
- A Span knows its Source, so nobody has to hand the text around to show an excerpt.
- Every offset up to and including `len(text)` has a position, so the end of input is a place like any other.

Must not know: DOT, graphs, severities. It reads no files.
"""

import re
from bisect import bisect_right
from typing import NamedTuple
from unicodedata import category, combining, east_asian_width

__all__ = ["Source", "Span"]

_LINE_END = re.compile(r"\r\n|\n|\r")
_TAB_WIDTH = 4
# Wide enough for most lines as they are, narrow enough for a terminal once the gutter is added.
_EXCERPT_WIDTH = 100
# Characters kept in front of the caret when a line has to be cut.
_LEAD = 40


class Source:
    """A named text. `name` is what messages show, normally the path as the user typed it."""

    __slots__ = ("_line_starts", "name", "text")

    def __init__(self, text: str, name: str = "<graph>") -> None:
        self.text = text
        self.name = name
        self._line_starts: list[int] | None = None

    def __repr__(self) -> str:
        return f"Source({self.name!r}, {len(self.text)} characters)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self.text == other.text and self.name == other.name

    def __hash__(self) -> int:
        return hash((self.name, len(self.text)))

    def position(self, offset: int) -> tuple[int, int]:
        """The 1-based line and column of an offset; offsets outside the text are moved to its nearest end."""
        offset = max(0, min(offset, len(self.text)))
        starts = self._starts()
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def line_bounds(self, line: int) -> tuple[int, int]:
        """Start and end offset of a 1-based line, without its line ending."""
        starts = self._starts()
        start = starts[line - 1]
        ending = _LINE_END.search(self.text, start)
        return start, ending.start() if ending else len(self.text)

    def span(self, start: int, end: int) -> "Span":
        return Span(self, start, end)

    def _starts(self) -> list[int]:
        # Built on the first complaint only: a graph without problems never pays for it.
        if self._line_starts is None:
            self._line_starts = [0, *(match.end() for match in _LINE_END.finditer(self.text))]
        return self._line_starts


class Span(NamedTuple):
    """A stretch of a source. A tuple rather than a dataclass because a large graph makes tens of
    thousands.
    """

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def end_line(self) -> int:
        return self.source.position(self.end)[0]

    @property
    def end_column(self) -> int:
        return self.source.position(self.end)[1]

    @property
    def place(self) -> str:
        """`name:line:column`, the form editors and terminals turn into a link."""
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"

    def __repr__(self) -> str:
        return f"Span({self.place}, {self.end - self.start} characters)"

    def excerpt(self) -> str:
        """The line the span starts on with a run of carets under the span; two lines, no trailing newline.

        A span over several lines is underlined to the end of its first. Tabs become spaces, characters that
        would disturb a terminal become `�`, and a very long line is cut to a window around the caret.
        """
        line, _ = self.source.position(self.start)
        line_start, line_end = self.source.line_bounds(line)
        first = min(self.start, line_end)
        last = max(first, min(self.end, line_end))
        before, cut_left = _tail(self.source.text, line_start, first)
        lead = _printable(before)
        room = max(10, _EXCERPT_WIDTH - _columns(lead))
        marked = _printable(self.source.text[first : min(last, first + room)])
        shown = min(last, first + room)
        after = _printable(self.source.text[shown : min(line_end, shown + max(0, room - len(marked)))])
        cut_right = shown + max(0, room - len(marked)) < line_end
        gutter = str(line)
        body = f"{'…' if cut_left else ''}{lead}{marked}{after}{'…' if cut_right else ''}"
        pad = " " * (_columns(lead) + (1 if cut_left else 0))
        return f"  {gutter} | {body}".rstrip() + f"\n  {' ' * len(gutter)} | {pad}{'^' * max(1, _columns(marked))}"


def _tail(text: str, start: int, end: int) -> tuple[str, bool]:
    """What stands before the caret, at most a window of it, and whether something was cut away."""
    if end - start <= _EXCERPT_WIDTH - 20:
        return text[start:end], False
    return text[end - _LEAD : end], True


def _printable(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(_printable_character(character) for character in text)


def _printable_character(character: str) -> str:
    if character == "\t":
        return " " * _TAB_WIDTH
    # Control, format (bidirectional overrides hide text), surrogate and line separators never reach a
    # terminal.
    return "�" if category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else character


def _columns(text: str) -> int:
    """How many terminal columns a printable text takes: East Asian wide characters take two, marks none."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1 for character in text)
