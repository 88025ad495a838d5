"""One finding about a graph file: the same value for parse problems and lint findings (spec 7.1).

Rules kept here:
- `rule` is a stable id that users may grep for and silence; ids are never reused for something else.
- A finding is data. Text for people is made by `render`, data for programs by `as_dict`.

Must not know: what the rules are. Parsers and lints make findings; this file only holds, orders and shows
them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from attractor.source import Span

__all__ = ["Diagnostic", "Severity", "closest_name", "has_errors", "in_file_order"]


class Severity(StrEnum):
    """How bad a finding is (spec 7.1): an error stops the run before it starts, the others do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


_SEVERITY_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding with its place. `edge` is (from, to); `expected` lists what would have been accepted
    there.
    """

    rule: str
    severity: Severity
    message: str
    span: Span | None = None
    node_id: str | None = None
    edge: tuple[str, str] | None = None
    fix: str | None = None
    expected: tuple[str, ...] = ()

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR

    @property
    def headline(self) -> str:
        """`file:line:column: severity[rule]: message`, on one line."""
        place = f"{self.span.place}: " if self.span else ""
        return f"{place}{self.severity.value}[{self.rule}]: {_shortened(self.message)}"

    def render(self) -> str:
        """The headline, the source line with a caret run, what was expected and the suggested fix."""
        lines = [self.headline]
        if self.span is not None:
            lines.append(self.span.excerpt())
        if self.expected:
            lines.append(f"  expected: {_alternatives(self.expected)}")
        if self.fix:
            lines.append(f"  fix: {_shortened(self.fix)}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """The form `validate --json` prints: every key always present, places as 1-based line and column."""
        span = self.span
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "message": self.message,
            "file": span.source.name if span else None,
            "line": span.line if span else None,
            "column": span.column if span else None,
            "end_line": span.end_line if span else None,
            "end_column": span.end_column if span else None,
            "node_id": self.node_id,
            "edge": list(self.edge) if self.edge else None,
            "fix": self.fix,
            "expected": list(self.expected),
        }


# A node id or value may be megabytes long; the data form still has all of it.
_SHOWN = 400


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    return any(diagnostic.is_error for diagnostic in diagnostics)


def in_file_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by place, worst first at the same place; findings about the whole graph come first."""
    return tuple(sorted(diagnostics, key=_order))


def _order(diagnostic: Diagnostic) -> tuple[int, int, str]:
    start = diagnostic.span.start if diagnostic.span else -1
    return start, _SEVERITY_ORDER[diagnostic.severity], diagnostic.rule


def closest_name(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate a person most likely meant by `word`, or None when nothing is close.

    Close means one slip (a letter added, dropped, changed, or two swapped) for every three letters.
    """
    allowed = max(1, len(word) // 3)
    best: str | None = None
    best_distance = allowed + 1
    folded = word.casefold()
    for candidate in candidates:
        if candidate == word or abs(len(candidate) - len(word)) >= best_distance:
            continue
        distance = _edit_distance(folded, candidate.casefold(), best_distance)
        if distance < best_distance:
            best, best_distance = candidate, distance
    return best


def _edit_distance(left: str, right: str, limit: int) -> int:
    """Optimal string alignment distance; gives up with `limit` once no row can come out below it."""
    before: list[int] = []
    previous = list(range(len(right) + 1))
    for row, left_char in enumerate(left, start=1):
        current = [row]
        for column, right_char in enumerate(right, start=1):
            change = previous[column - 1] + (left_char != right_char)
            best = min(change, previous[column] + 1, current[column - 1] + 1)
            if row > 1 and column > 1 and left_char == right[column - 2] and left[row - 2] == right_char:
                best = min(best, before[column - 2] + 1)
            current.append(best)
        if min(current) >= limit:
            return limit
        before, previous = previous, current
    return previous[-1]


def _alternatives(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
