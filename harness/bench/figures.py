"""What a figure is worth: medians with their spread, ratios, and whether a target was met.

Rules: values in, values out; nothing here measures, prints or knows what the numbers are about. A median of few
samples on a shared machine is noisy, so the spread travels with it and is never dropped.
"""

from __future__ import annotations

import dataclasses
import enum
import statistics
from collections.abc import Sequence

__all__ = ["Figure", "Verdict", "is_noisy", "judge", "paired_ratio", "summarise"]

NOISY_SPREAD = 0.25  # (highest - lowest) / median above which a figure is called noisy


class Verdict(enum.StrEnum):
    """`OPEN`: could not be measured. `ABSENT`: about something that is not installed here."""

    MET = "met"
    MISSED = "MISSED"
    NO_TARGET = ""
    OPEN = "NOT RUN"
    ABSENT = "absent"


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """A median and its spread, in the unit of its row."""

    median: float
    lowest: float
    highest: float
    samples: int


def summarise(samples: Sequence[float]) -> Figure | None:
    """None for no samples: an absent figure is not zero."""
    if not samples:
        return None
    return Figure(statistics.median(samples), min(samples), max(samples), len(samples))


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Figure | None:
    """Ours / theirs round by round, for contenders measured in turn: a slow moment of the machine hits both.

    Rounds that only one of them finished are left out.
    """
    return summarise([mine / other for mine, other in zip(ours, theirs, strict=False) if other > 0])


def is_noisy(figure: Figure) -> bool:
    return figure.median > 0 and (figure.highest - figure.lowest) / figure.median > NOISY_SPREAD


def judge(figure: Figure | None, target: float | None) -> Verdict:
    """The median decides; at the target exactly is met."""
    if figure is None:
        return Verdict.OPEN
    if target is None:
        return Verdict.NO_TARGET
    return Verdict.MET if figure.median <= target else Verdict.MISSED
