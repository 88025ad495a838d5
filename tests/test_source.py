"""Places in a text: lines, columns, ends, and the excerpt shown with a complaint."""

import pytest

from attractor.source import Source, Span


@pytest.mark.parametrize(
    ("text", "offset", "position"),
    [
        ("abc", 0, (1, 1)),
        ("abc", 3, (1, 4)),
        ("", 0, (1, 1)),
        ("a\nb", 2, (2, 1)),
        ("a\r\nb", 3, (2, 1)),
        ("a\rb", 2, (2, 1)),
        ("a\n", 2, (2, 1)),
        ("a\n\nb", 2, (2, 1)),
    ],
)
def test_positions_are_one_based_and_every_line_ending_counts_once(
    text: str, offset: int, position: tuple[int, int]
) -> None:
    assert Source(text).position(offset) == position


def test_the_end_of_input_is_a_place() -> None:
    source = Source("digraph {\n", "g.dot")
    assert Span(source, 10, 10).place == "g.dot:2:1"


def test_a_span_ends_one_past_its_last_character() -> None:
    span = Source("one two").span(4, 7)
    assert (span.text, span.column, span.end_column) == ("two", 5, 8)


def test_the_caret_run_stands_under_the_span() -> None:
    excerpt = Source("alpha beta gamma").span(6, 10).excerpt()
    assert excerpt == "  1 | alpha beta gamma\n    |       ^^^^"


def test_tabs_widen_line_and_caret_alike() -> None:
    line, caret = Source("\tx = y").span(5, 6).excerpt().splitlines()
    assert "\t" not in line
    assert line.index("y") == caret.index("^")


def test_wide_characters_move_the_caret_by_two_columns() -> None:
    caret = Source("日本 x").span(3, 4).excerpt().splitlines()[1]
    assert caret == "    |      ^"


def test_a_very_long_line_is_cut_to_a_window_around_the_caret() -> None:
    line, caret = Source("a" * 50_000 + "HERE" + "b" * 50_000).span(50_000, 50_004).excerpt().splitlines()
    assert len(line) < 120
    assert line[caret.index("^") : caret.rindex("^") + 1] == "HERE"


def test_a_span_over_several_lines_is_underlined_on_its_first() -> None:
    assert Source("ab\ncd").span(1, 5).excerpt() == "  1 | ab\n    |  ^"


def test_an_empty_span_still_has_one_caret() -> None:
    assert Source("ab").span(2, 2).excerpt().count("^") == 1


@pytest.mark.parametrize("character", ["\x1b", "\x00", "\u202e", "\ud800", "\u2028"])
def test_characters_that_could_disturb_a_terminal_are_not_shown(character: str) -> None:
    assert character not in Source(f"a{character}b").span(0, 1).excerpt()
