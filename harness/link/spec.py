"""What a link is like, and what it has done: values only.

Durations are seconds, sizes bytes. A way is a direction: requests go to the server, replies come from it.
"""

from __future__ import annotations

import dataclasses
import enum

__all__ = ["Cut", "LinkCounts", "LinkSpec", "Unit", "Way"]


class Way(enum.StrEnum):
    REQUEST = "request"
    REPLY = "reply"


class Unit(enum.StrEnum):
    FRAMES = "frames"
    BYTES = "bytes"


@dataclasses.dataclass(frozen=True, slots=True)
class Cut:
    """`times` connections to the binary port, from the `first` on, end right behind a frame or byte: the `count`-th."""

    way: Way
    count: int
    unit: Unit = Unit.FRAMES
    times: int = 1
    first: int = 1

    def __str__(self) -> str:
        unit = "" if self.unit is Unit.FRAMES else "byte "
        return f"cut after {self.way} {unit}{self.count}"


@dataclasses.dataclass(frozen=True, slots=True)
class LinkSpec:
    """All zero: bytes pass as they come. Latency, jitter and rate hold for both ports, a cut for the binary one.

    `latency_seconds` is for replies, `jitter_seconds` what each piece of them may take longer, drawn from `seed`;
    `bytes_per_second` is the rate of each way for itself.
    """

    latency_seconds: float = 0.0
    request_latency_seconds: float = 0.0
    jitter_seconds: float = 0.0
    seed: int = 1
    bytes_per_second: int = 0
    cut: Cut | None = None


@dataclasses.dataclass(slots=True)
class LinkCounts:
    """What has happened since the link was there; the proof of every fault that is done with it.

    `frames` and `sizes` are what was passed on, by way (frames: of the binary port); `delayed`: pieces that came late
    by latency or jitter, `slowed`: those the rate has held back, `swallowed` bytes that nobody got.
    """

    connections: int = 0
    delayed: int = 0
    slowed: int = 0
    cuts: int = 0
    swallowed: int = 0
    frames: dict[Way, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(Way, 0))
    sizes: dict[Way, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(Way, 0))
    places: list[str] = dataclasses.field(default_factory=list)  # of cuts: "connection 1 after reply 4"

    def copy(self) -> LinkCounts:
        return dataclasses.replace(self, frames=dict(self.frames), sizes=dict(self.sizes), places=list(self.places))
