"""When a piece of a stream may go on: latency, jitter and rate. Pure, but for a generator of random numbers of its own.

Latency is a property of the way, not of the sender: pieces are on their way together, so it costs no throughput. A
piece never overtakes the one before it, whatever jitter says.
"""

from __future__ import annotations

import random

__all__ = ["Pacer"]

SLICES_A_SECOND = 20  # of a slow link: a large piece does not arrive all at once


class Pacer:
    """Of one way of one connection. Times are seconds of any one clock."""

    def __init__(self, seed: str) -> None:
        """The same seed gives the same jitter, piece by piece."""
        self._random = random.Random(seed)
        self._line_free = 0.0  # when the last byte that was sent has left
        self._newest = 0.0  # when the last piece arrives

    def due(self, arrived: float, size: int, *, latency: float, jitter: float, rate: int) -> float:
        left = arrived
        if rate:
            self._line_free = left = max(arrived, self._line_free) + size / rate
        late = latency + (self._random.uniform(0.0, jitter) if jitter else 0.0)
        self._newest = max(left + late, self._newest)
        return self._newest

    @staticmethod
    def slice_bytes(rate: int, most: int) -> int:
        """How much may be taken up at once."""
        return max(1, min(most, rate // SLICES_A_SECOND)) if rate else most
