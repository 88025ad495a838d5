"""What was measured: samples by job, or why there are none. The values that pass from measuring to the table.

Rules: a job without samples always says why; a sample's keys carry their units. Knows neither how a sample is
taken nor how it is shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

__all__ = ["NOTHING", "Metric", "Outcome", "Sample"]

Sample = Mapping[str, float]


class Metric:
    """The keys of samples."""

    MS_A_NODE = "ms_a_node"
    RUN = "run_seconds"
    WALL = "wall_seconds"
    CPU = "cpu_seconds"
    PEAK = "peak_mb"
    TO_RESUMED = "to_resumed_seconds"
    RATE = "appends_a_second"
    EXIT = "exit_code"


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """Of one job. `absent`: it is about something not installed here; `problem`: it could not be measured."""

    samples: tuple[Sample, ...] = ()
    absent: str = ""
    problem: str = ""

    def values(self, metric: str) -> list[float]:
        return [sample[metric] for sample in self.samples if metric in sample]

    def plus(self, sample: Sample) -> Outcome:
        return dataclasses.replace(self, samples=(*self.samples, sample))


NOTHING = Outcome(problem="not measured")
