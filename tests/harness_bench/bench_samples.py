"""Small plans and outcomes for the benchmark's tests, and its real command in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence

from harness.bench.outcomes import Metric, Outcome
from harness.bench.plan import Group, Job, Kind, Sizes

TINY = Sizes(nodes=(3,), steps=3, resume=3, validate=(3, 6), sleepers=2, branches=3, starts=2, appends=8, late_nodes=3)


def outcome(metric: str, *values: float) -> Outcome:
    return Outcome(tuple({metric: value} for value in values))


def node_times(*values: float) -> Outcome:
    return outcome(Metric.MS_A_NODE, *values)


def runs(*sizes: int) -> Sequence[Group]:
    return [Group(1, tuple(Job(f"nodes/{size}", Kind.RUN, size) for size in sizes))]
