"""When a limit opens again: the wait in seconds, read from the message that told of the limit.

Pure; the clock is passed in, as an aware time in the machine's own zone: codex writes reset times as local clock
time without a zone. The answer is bounded: nothing says "wait for a year", and never a negative wait.

Sources: codex 0.169.0 ("Try again at 3:05 PM.", "Feb 3rd, 2026 3:05 PM"), Claude Code 2.x ("resets 3pm (UTC)",
"limit reached|<epoch seconds>"), gemini-cli 0.61.0 ("reset after 2h3m4s", "Please retry in 34.07s",
"retryDelayMs: 34070"), OpenAI API
("try again in 1.898s"), HTTP ("Retry-After: 30").
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MAX_RETRY_AFTER_SECONDS: Final = 8 * 86_400.0  # the longest window any of the providers has is a week

_AMOUNT = r"(\d{1,6}(?:\.\d{1,12})?)\s*(ms|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])"
_DURATION = re.compile(
    rf"\b(?:(?:re)?try(?: again)? in|resets? (?:in|after)|retryDelay\W{{1,5}}|wait)\s*((?:{_AMOUNT}[\s,]*(?:and )?)+)",
    re.IGNORECASE,
)
_AMOUNTS = re.compile(_AMOUNT, re.IGNORECASE)
_MILLISECONDS = re.compile(r"\bretryDelayMs: (\d{1,12})\b")
_HEADER = re.compile(r"\bretry-after[\"']?\s*[:=]\s*[\"']?(\d{1,7})\b", re.IGNORECASE)
_EPOCH = re.compile(r"(?:\blimit reached\||\bresets?_?at[\"']?\s*[:=]?\s*)(\d{10})(\d{3})?\b", re.IGNORECASE)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = re.compile(
    r"\b(?:resets?(?: at| on)?|try again at)\s+"
    r"(?:(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? (\d{1,2})(?:st|nd|rd|th)?"
    r"(?:, (\d{4}))?,?(?: at)? )?"
    r"(\d{1,2})(?::(\d{2}))?\s*(am|pm)?\b(?:\s*\(?(UTC|GMT|[A-Z][A-Za-z_]+/[A-Za-z_/+-]+)\)?)?",
    re.IGNORECASE,
)
_UNITS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}


def retry_after_seconds(text: str, now: datetime) -> float | None:
    """The wait a message asks for, None where it names none. `now` must be aware."""
    header = _HEADER.search(text)
    if header is not None:
        return bounded(float(header[1]))
    milliseconds = _MILLISECONDS.search(text)
    if milliseconds is not None:
        return bounded(float(milliseconds[1]) / 1000)
    epoch = _EPOCH.search(text)
    if epoch is not None:
        return bounded(float(epoch[1]) - now.timestamp())
    duration = _DURATION.search(text)
    if duration is not None:
        return bounded(sum(float(n) * _unit(unit) for n, unit in _AMOUNTS.findall(duration[1])))
    clock = _CLOCK.search(text)
    if clock is not None and (clock[5] or clock[6]):  # a bare number is no time of day
        return _until_clock(clock, now)
    return None


def bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def _unit(name: str) -> float:
    return 0.001 if name.lower() == "ms" else _UNITS[name[0].lower()]


def _until_clock(found: re.Match[str], now: datetime) -> float | None:
    month, day, year, hour, minute, half, zone = found.groups()
    here = now.astimezone(_zone(zone, now))
    hours = int(hour) % 12 + (12 if half and half.lower() == "pm" else 0) if half else int(hour)
    try:
        then = here.replace(hour=hours, minute=int(minute or 0), second=0, microsecond=0)
        if month:
            number = _MONTHS.index(month.lower()) + 1
            then = then.replace(year=int(year) if year else here.year, month=number, day=int(day))
            if not year and then < here - timedelta(days=2):
                then = then.replace(year=here.year + 1)
    except ValueError:
        return None
    then += timedelta(minutes=1)  # the time was cut to the minute: coming back at its beginning is too early
    if not month and then <= here:
        then += timedelta(days=1)
    return bounded(then.timestamp() - now.timestamp())


def _zone(name: str | None, now: datetime) -> tzinfo | None:
    if not name:
        return now.tzinfo
    try:
        return ZoneInfo("UTC" if name.upper() in ("UTC", "GMT") else name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return now.tzinfo
