"""How verdicts, durations, sizes and foreign text are put into words: one wording for every report.

Rules: pure functions and tables. Text that came from a case is hostile until it went through `visible`:
no control character, escape sequence, direction override or lone surrogate leaves this file. Every
verdict has a symbol of its own, so that nothing is told by colour alone. Knows verdicts, not formats.
"""

from __future__ import annotations

import dataclasses
import datetime
import re

from harness.results import Verdict

__all__ = [
    "MARKS",
    "Mark",
    "clip",
    "clip_lines",
    "count_of",
    "duration",
    "headline",
    "instant",
    "one_line",
    "size",
    "visible",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """How one verdict looks: a symbol, its ASCII stand-in, a colour name, and what it means."""

    symbol: str
    plain: str
    colour: str  # an ANSI colour name
    ansi: str  # the same as an SGR parameter
    emoji: str  # for Markdown, where colour cannot be set
    meaning: str


MARKS: dict[Verdict, Mark] = {
    Verdict.GREEN: Mark("✔", "+", "green", "32", "✅", "proven: the fault fired and every check held"),
    Verdict.RED: Mark("✘", "X", "red", "31", "❌", "a check failed: the engine broke a promise"),
    Verdict.INVALID: Mark("?", "?", "magenta", "35", "❔", "the fault never fired: nothing is known"),
    Verdict.ERROR: Mark("!", "!", "yellow", "33", "⚠️", "the harness itself failed: nothing is known"),
    Verdict.SKIPPED: Mark("–", "-", "bright_black", "90", "⏭️", "not attempted, for the reason given"),
    Verdict.FLAKY: Mark("≈", "~", "cyan", "36", "🔀", "red, then green when run again"),
}

# Escape sequences say nothing to a reader of a report: CSI, OSC (to BEL or ST), and two-byte ones.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[@-Z\\^_])")
# Control characters but tab and line feed, direction overrides, lone surrogates, non-characters.
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def visible(text: str) -> str:
    """The text with everything a terminal, browser or XML parser could trip over made visible."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    return _UNSHOWABLE.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str, limit: int = 300) -> str:
    """The text on one line, made visible and bounded."""
    return clip(" ".join(visible(text[: limit * 8]).split()), limit)


def clip(text: str, limit: int) -> str:
    """At most `limit` characters, the last one an ellipsis when something was cut."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def clip_lines(text: str, *, lines: int, characters: int, keep: str = "head") -> tuple[str, str]:
    """The head (or tail) of a text, made visible, and a note telling what was cut: empty when nothing was."""
    total = len(text)
    # Cut before cleaning: an output of megabytes must not be scanned whole.
    rough = text[:characters] if keep == "head" else text[-characters:]
    rows = visible(rough).rstrip("\n").split("\n")
    kept = rows[:lines] if keep == "head" else rows[-lines:]
    if len(rough) == total and len(kept) == len(rows):
        return "\n".join(kept), ""
    where = "first" if keep == "head" else "last"
    return "\n".join(kept), f"cut: the {where} {count_of(len(kept), 'line')} of {total:,} characters"


def duration(seconds: float) -> str:
    """`840 ms`, `3.2 s`, `41 s`, `2 min 05 s`, `1 h 02 min`."""
    seconds = max(seconds, 0.0)
    if 0 < seconds < 0.0005:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def size(octets: int) -> str:
    """`312 B`, `4.1 KB`, `12 MB`."""
    if octets < 1000:
        return f"{octets} B"
    value = float(octets)
    for unit in ("KB", "MB", "GB"):
        value /= 1000
        if value < 999.5 or unit == "GB":
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
    raise AssertionError("unreachable: GB ends the loop")


def count_of(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def instant(text: str) -> datetime.datetime | None:
    """An RFC 3339 instant in UTC; None when the text is not one."""
    # Python reads at most microseconds; engines written in other languages write nanoseconds.
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text.strip())
    try:
        moment = datetime.datetime.fromisoformat(trimmed)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.astimezone(datetime.UTC)


def headline(verdict: Verdict, counts: dict[Verdict, int]) -> str:
    """`GREEN 34 cases (34 green)`: what the last line of a session and the top of a page say."""
    total = sum(counts.values())
    parts = ", ".join(f"{counts[each]} {each}" for each in MARKS if counts.get(each))
    if not total:
        return "NOTHING RAN (no cases)"
    return f"{verdict.upper()} {count_of(total, 'case')} ({parts})"
