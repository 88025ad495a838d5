"""Claims about how foreign text, durations and sizes are put into words."""

from __future__ import annotations

import pytest

from harness.report.wording import MARKS, clip_lines, duration, instant, one_line, size, visible
from harness.results import Verdict


def test_every_verdict_has_a_mark_and_no_two_look_alike() -> None:
    assert set(MARKS) == set(Verdict)
    for look in ("symbol", "plain", "emoji"):
        assert len({getattr(mark, look) for mark in MARKS.values()}) == len(Verdict)
    assert all(mark.plain.isascii() for mark in MARKS.values())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07shown", "shown"),
        ("a\x00b\x07", "a\\x00b\\x07"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud83d", "\\ud83d"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("a\r\nb", "a\nb"),
        ("ünïcode 漢字 ✔", "ünïcode 漢字 ✔"),
    ],
)
def test_nothing_invisible_is_left_in_visible_text(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_is_one_bounded_line() -> None:
    assert one_line("a\n  b\tc") == "a b c"
    assert one_line("x" * 1_000, 10) == "x" * 9 + "…"


def test_what_was_cut_is_said() -> None:
    assert clip_lines("a\nb\n", lines=5, characters=100) == ("a\nb", "")
    assert clip_lines("a\nb\nc", lines=2, characters=100) == (
        "a\nb",
        "cut: the first 2 lines of 5 characters",
    )
    kept, note = clip_lines("x" * 5_000_000, lines=5, characters=100, keep="tail")
    assert (len(kept), note) == (100, "cut: the last 1 line of 5,000,000 characters")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 ms"),
        (0.8404, "840 ms"),
        (0.99999, "1.0 s"),
        (3.2, "3.2 s"),
        (9.96, "10 s"),
        (41.2, "41 s"),
        (59.7, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3720, "1 h 02 min"),
    ],
)
def test_durations_read_naturally(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("octets", "words"),
    [(0, "0 B"), (999, "999 B"), (4096, "4.1 KB"), (12_300_000, "12 MB"), (999_700, "1.0 MB")],
)
def test_sizes_read_naturally(octets: int, words: str) -> None:
    assert size(octets) == words


def test_instants_of_other_engines_are_understood() -> None:
    nanoseconds = instant("2026-03-14T09:26:53.123456789Z")
    assert nanoseconds is not None
    assert nanoseconds.isoformat() == "2026-03-14T09:26:53.123456+00:00"
    assert instant("yesterday") is None
    assert instant("") is None
