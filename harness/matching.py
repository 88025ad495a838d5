"""Matchers: how a scenario says what a value, an event or a text must be. Pure.

A plain TOML value must be equal. A table with one key says something weaker: `contains`, `matches`
(a regular expression, searched), `at_least`, `at_most`, `one_of`, `present`. An event pattern can be
written as a table or in words, `"stage_attempt_end work status=fail"`: event, node, then fields.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

__all__ = ["EventPattern", "Matcher", "MatcherKind", "first_missing", "parse_event_words"]

NODE_FIELDS = ("node_id", "from", "after_node")


class MatcherKind(enum.StrEnum):
    EQUALS = "equals"
    CONTAINS = "contains"
    MATCHES = "matches"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    ONE_OF = "one_of"
    PRESENT = "present"
    WORD = "word"  # from the short form of an event pattern: compared as text


@dataclasses.dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one value. `None` stands for an absent value."""

    kind: MatcherKind
    operand: object

    def holds(self, value: object) -> bool:
        return bool(_HOLDS[self.kind](value, self.operand))

    def __str__(self) -> str:
        if self.kind in (MatcherKind.EQUALS, MatcherKind.WORD):
            return repr(self.operand) if isinstance(self.operand, str) else str(self.operand)
        return f"{self.kind.replace('_', ' ')} {self.operand!r}"


def _as_word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_HOLDS: Mapping[MatcherKind, Callable[[Any, Any], bool]] = {
    MatcherKind.EQUALS: lambda value, operand: bool(value == operand),
    MatcherKind.CONTAINS: lambda value, operand: isinstance(value, str | list | tuple) and operand in value,
    MatcherKind.MATCHES: lambda value, operand: isinstance(value, str) and re.search(str(operand), value) is not None,
    MatcherKind.AT_LEAST: lambda value, operand: _is_number(value) and value >= operand,
    MatcherKind.AT_MOST: lambda value, operand: _is_number(value) and value <= operand,
    MatcherKind.ONE_OF: lambda value, operand: value in operand,
    MatcherKind.PRESENT: lambda value, operand: (value not in (None, "")) is operand,
    MatcherKind.WORD: lambda value, operand: value is not None and _as_word(value) == operand,
}


@dataclasses.dataclass(frozen=True, slots=True)
class EventPattern:
    """Which events are meant, and how many of them there must be (where a count makes sense)."""

    event: str
    where: Mapping[str, Matcher] = dataclasses.field(default_factory=dict)
    node: str | None = None  # matched against whichever field names the event's node
    count: Matcher | None = None

    def matches(self, event: Mapping[str, object]) -> bool:
        if event.get("event") != self.event:
            return False
        if self.node is not None and all(event.get(field) != self.node for field in NODE_FIELDS):
            return False
        return all(matcher.holds(event.get(field)) for field, matcher in self.where.items())

    def matching(self, events: Iterable[Mapping[str, object]]) -> int:
        return sum(1 for event in events if self.matches(event))

    def satisfied(self, events: Iterable[Mapping[str, object]]) -> bool:
        found = self.matching(events)
        return self.count.holds(found) if self.count is not None else found > 0

    def __str__(self) -> str:
        fields = [f"{field} {matcher}" for field, matcher in self.where.items()]
        parts = [self.event, *([self.node] if self.node else []), *fields]
        return " ".join(parts) + (f", count {self.count}" if self.count is not None else "")


def parse_event_words(words: str) -> EventPattern:
    """The short form; raises ValueError saying what is wrong with it."""
    first, *rest = words.split() or [""]
    if not first or "=" in first:
        raise ValueError("an event pattern in words begins with the event's name")
    nodes = [word for word in rest if "=" not in word]
    if len(nodes) > 1:
        raise ValueError(f"at most one node can follow the event's name, found {' '.join(nodes)!r}")
    pairs = (word.split("=", 1) for word in rest if "=" in word)
    where = {field: Matcher(MatcherKind.WORD, value) for field, value in pairs}
    return EventPattern(first, where, nodes[0] if nodes else None)


def first_missing(patterns: Sequence[EventPattern], events: Iterable[Mapping[str, object]]) -> EventPattern | None:
    """The first pattern that finds no event after the ones before it; None when all appear in order."""
    remaining = iter(events)
    return next((p for p in patterns if not any(p.matches(event) for event in remaining)), None)
