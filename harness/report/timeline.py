"""Places the attempts of a run's stages on a time axis, as percentages a page can draw at any width.

Rules: pure. Time runs from the first to the last event; an attempt whose end was never told reaches to
the last event; even the shortest is wide enough to be seen. Ticks stand at round numbers.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Sequence

from harness.report.case_evidence import Attempt
from harness.report.wording import duration

__all__ = ["Bar", "Timeline", "timeline"]

_THINNEST = 0.8  # percent
_MOST_TICKS = 6


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    node: str
    number: int
    outcome: str
    reason: str
    left: float  # percent
    width: float
    start_ms: float
    took: str  # empty when its end was never told


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    bars: tuple[Bar, ...]
    faults: tuple[float, ...]  # percent
    ticks: tuple[tuple[float, str], ...]  # percent and label
    left_out: int


def timeline(
    attempts: Sequence[Attempt],
    faults: Sequence[datetime.datetime],
    start: datetime.datetime,
    end: datetime.datetime,
    *,
    left_out: int = 0,
) -> Timeline:
    span = max((end - start).total_seconds(), 0.001)

    def percent(moment: datetime.datetime) -> float:
        return min(max((moment - start).total_seconds() / span * 100, 0.0), 100.0)

    bars = []
    for attempt in attempts:
        left, right = percent(attempt.start), percent(attempt.end or end)
        width = max(right - left, _THINNEST)
        took = duration((attempt.end - attempt.start).total_seconds()) if attempt.end else ""
        bars.append(
            Bar(
                node=attempt.node,
                number=attempt.number,
                outcome=attempt.outcome,
                reason=attempt.reason,
                left=round(min(left, 100 - width), 2),
                width=round(width, 2),
                start_ms=(attempt.start - start).total_seconds() * 1000,
                took=took,
            )
        )
    return Timeline(
        bars=tuple(bars),
        # A fault outside the run (before its first event, after its last) has no place on the axis.
        faults=tuple(round(percent(at), 2) for at in faults if start <= at <= end),
        ticks=_ticks(span),
        left_out=max(left_out, 0),
    )


def _ticks(span: float) -> tuple[tuple[float, str], ...]:
    rough = span / _MOST_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    count = math.floor(span / step + 1e-9)
    return tuple((round(number * step / span * 100, 2), _tick_label(number * step)) for number in range(count + 1))


def _tick_label(seconds: float) -> str:
    if not seconds:
        return "0"
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"
