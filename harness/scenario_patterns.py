"""Reads matchers and event patterns out of a scenario's tables. Shared by steps, expectations and proofs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.engines import EVENT_NAMES
from harness.matching import EventPattern, Matcher, MatcherKind, parse_event_words
from harness.toml_table import Table, did_you_mean, type_name

__all__ = ["read_matcher", "read_matchers", "read_pattern", "read_patterns"]


def read_matchers(table: Table) -> dict[str, Matcher]:
    """Every key of an open table is a field or file; its value says what it must be."""
    matchers = {key: read_matcher(value, table, key) for key, value in table.data.items()}
    return {key: matcher for key, matcher in matchers.items() if matcher is not None}


def read_matcher(value: Any, table: Table, key: str) -> Matcher | None:
    if not isinstance(value, dict):
        return Matcher(MatcherKind.EQUALS, value)
    kinds = [str(kind) for kind in MatcherKind if kind is not MatcherKind.WORD]
    if len(value) != 1:
        table.complain(key, f"a matcher has exactly one of: {', '.join(kinds)}; found {len(value)} keys")
        return None
    name, operand = next(iter(value.items()))
    if name not in kinds:
        table.complain(key, f"no such matcher: {name!r}; {did_you_mean(name, kinds)}")
        return None
    return Matcher(MatcherKind(name), operand)


def read_patterns(table: Table, key: str, *, counted: bool = False) -> tuple[EventPattern, ...]:
    patterns = [read_pattern(item, table, key) for item in table.items(key)]
    for pattern in patterns:
        if counted and pattern is not None and pattern.count is None:
            table.complain(key, f"{pattern}: needs a count")
    return tuple(pattern for pattern in patterns if pattern is not None)


def read_pattern(value: Any, table: Table, key: str) -> EventPattern | None:
    """Words, or a table of `event` (words too), `where` and `count`."""
    words: Any
    if isinstance(value, dict):
        nested = Table(value, (*table.path, key), table.problems)
        words = nested.text("event", required=True)
        where = read_matchers(nested.table("where"))
        count = read_matcher(nested.get("count", (int, dict)), nested, "count") if nested.has("count") else None
        nested.finish()
    else:
        words, where, count = value, {}, None
    if type(words) is not str:
        table.complain(key, f"expected an event in words or a table, found {type_name(words)}")
        return None
    return _checked(words, where, count, table.complain, key)


def _checked(
    words: str,
    where: Mapping[str, Matcher],
    count: Matcher | None,
    complain: Callable[[str, str], None],
    key: str,
) -> EventPattern | None:
    try:
        short = parse_event_words(words)
    except ValueError as error:
        complain(key, str(error))
        return None
    if short.event not in EVENT_NAMES:
        complain(key, f"no such event: {short.event!r}; {did_you_mean(short.event, EVENT_NAMES)}")
        return None
    return EventPattern(short.event, {**short.where, **where}, short.node, count)
