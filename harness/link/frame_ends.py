"""Finds the place in a stream where a frame or a number of bytes ends, however the stream was chopped up. Pure."""

from __future__ import annotations

from harness.cxdb.frames import HEADER_BYTES
from harness.link.spec import Unit

__all__ = ["Meter"]


class Meter:
    """Measures one way of one connection. `framed` False: bytes only.

    Payloads are passed over by the length in their header, never kept: frames may have 64 MiB.
    """

    def __init__(self, *, framed: bool = True, stop_after: int = 0, unit: Unit = Unit.FRAMES) -> None:
        """`stop_after` 0: never."""
        self.frames = 0
        self.size = 0
        self._framed = framed
        self._stop_after = stop_after
        self.unit = unit
        self._header = b""
        self._payload_left = 0

    @property
    def has_stopped(self) -> bool:
        measured = self.frames if self.unit is Unit.FRAMES else self.size
        return 0 < self._stop_after <= measured

    def take(self, data: bytes) -> int:
        """How many of these bytes go on: all, or those up to the place where it has to stop."""
        left = len(data)
        if self._stop_after and self.unit is Unit.BYTES:
            left = min(left, self._stop_after - self.size)
        taken = self._walk(data[:left]) if self._framed else left
        self.size += taken
        return taken

    def _walk(self, data: bytes) -> int:
        at = 0
        while at < len(data) and not (self.unit is Unit.FRAMES and self.has_stopped):
            if self._payload_left:
                step = min(self._payload_left, len(data) - at)
                self._payload_left -= step
                at += step
                self.frames += not self._payload_left
                continue
            step = min(HEADER_BYTES - len(self._header), len(data) - at)
            self._header += data[at : at + step]
            at += step
            if len(self._header) == HEADER_BYTES:
                self._payload_left = int.from_bytes(self._header[:4], "little")
                self._header = b""
                self.frames += not self._payload_left
        return at
