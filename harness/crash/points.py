"""Where a kill can land: a named durable step and its occurrence, counted over one life of an engine.

Pure. `committed#2` is the second time that the engine says `committed`. A name with an occurrence, and not a number
among all steps, because branches run side by side: how often each step comes is certain there, the order is not.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

__all__ = ["Point", "first_of_each", "parse_point", "points_of", "spread"]

Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Point:
    step: str
    occurrence: int

    def __str__(self) -> str:
        return f"{self.step}#{self.occurrence}"


def parse_point(text: str) -> Point:
    """Raises ValueError."""
    match = re.fullmatch(r"(?P<step>[a-z_]+)#(?P<n>[1-9]\d*)", text)
    if match is None:
        raise ValueError(f"{text!r} is not STEP#N, such as committed#2")
    return Point(match["step"], int(match["n"]))


def points_of(steps: Iterable[str]) -> tuple[Point, ...]:
    """In the order in which they were announced."""
    seen = Counter[str]()
    found = []
    for step in steps:
        seen[step] += 1
        found.append(Point(step, seen[step]))
    return tuple(found)


def first_of_each(points: Iterable[Point], known: Iterable[str] = ()) -> tuple[Point, ...]:
    """One for every step name that is not known yet: the second occurrence where there is one, as the first is
    often that of the start node, which does nothing."""
    points = tuple(points)
    latest = {point.step: point for point in points if point.occurrence <= 2}
    return tuple(point for step, point in latest.items() if step not in set(known))


def spread(items: Sequence[Item], most: int) -> tuple[Item, ...]:
    """At most so many, evenly, the first and the last among them."""
    if len(items) <= most:
        return tuple(items)
    if most == 1:
        return (items[-1],)
    return tuple(items[round(i * (len(items) - 1) / (most - 1))] for i in range(most))
