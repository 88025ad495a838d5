"""Matchers and event patterns."""

import pytest

from harness.matching import Matcher, MatcherKind, first_missing, parse_event_words
from harness.placeholders import fill, fill_all, gate_names

HOLDS = [
    ("equals", 1, 1, True),
    ("equals", 1, "1", False),
    ("contains", "b", "abc", True),
    ("contains", "b", None, False),
    ("matches", "^a.c$", "abc", True),
    ("matches", "x", 5, False),
    ("at_least", 2, 2, True),
    ("at_least", 2, True, False),
    ("at_most", 2, 3, False),
    ("at_most", 2, None, False),
    ("at_most", 2, 1.5, True),
    ("one_of", [1, 2], 2, True),
    ("one_of", [1, 2], 3, False),
    ("present", True, "x", True),
    ("present", True, "", False),
    ("present", False, None, True),
    ("word", "true", True, True),
    ("word", "2", 2, True),
    ("word", "none", None, False),
]


@pytest.mark.parametrize(("kind", "operand", "value", "holds"), HOLDS)
def test_a_matcher_holds_or_not(kind: str, operand: object, value: object, holds: bool) -> None:
    assert Matcher(MatcherKind(kind), operand).holds(value) is holds


def test_every_kind_of_matcher_is_seen_both_ways() -> None:
    assert {(kind, holds) for kind, _, _, holds in HOLDS} == {(k, h) for k in MatcherKind for h in (True, False)}


def test_words_name_event_node_and_fields() -> None:
    pattern = parse_event_words("edge_selected to=mend")
    assert pattern.matches({"event": "edge_selected", "from": "work", "to": "mend"})
    assert not pattern.matches({"event": "edge_selected", "from": "mend", "to": "exit"})
    assert parse_event_words("edge_selected work").matches({"event": "edge_selected", "from": "work", "to": "x"})


@pytest.mark.parametrize("words", ["", "status=fail", "run_started a b"])
def test_words_without_sense_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match="event"):
        parse_event_words(words)


def test_order_matters_and_gaps_do_not() -> None:
    events = [{"event": name} for name in ("a", "x", "b", "c")]
    assert first_missing([parse_event_words("a"), parse_event_words("c")], events) is None
    missing = first_missing([parse_event_words("c"), parse_event_words("a")], events)
    assert missing == parse_event_words("a")


def test_known_placeholders_are_filled_and_other_braces_kept() -> None:
    values = {"scratch": "/s", "gate:hold": "'/g/hold'"}
    text = "digraph { a [x=\"{gate:hold} > '{scratch}/y'\"] } {unknown} {gate:other}"
    assert fill(text, values) == "digraph { a [x=\"'/g/hold' > '/s/y'\"] } {unknown} {gate:other}"


def test_placeholders_are_filled_all_the_way_down() -> None:
    assert fill_all({"{a}": ["{a}", 1, {"x": "{a}"}]}, {"a": "b"}) == {"b": ["b", 1, {"x": "b"}]}


def test_gates_are_found_by_name() -> None:
    assert gate_names("{gate:a} && {gate:b-2}; {scratch}") == {"a", "b-2"}
