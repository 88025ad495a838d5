"""A request to end the run, made by a signal, that every wait in the engine can see.

The handler does nothing but note the signal and write a byte: no lock, no I/O, nothing to interrupt half-way.
"""

from __future__ import annotations

import os
import select
import signal
from types import FrameType


class StopRequest:
    """Implements `contracts.Stop`. `urgent` after a second signal: end without grace."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.signal_number = 0
        self.urgent = False

    @property
    def requested(self) -> bool:
        return self.signal_number != 0

    @property
    def reason(self) -> str:
        return f"canceled by {signal.Signals(self.signal_number).name}" if self.requested else ""

    def request(self, signal_number: int) -> None:
        self.urgent = self.requested
        if not self.requested:
            self.signal_number = signal_number
        os.write(self._write_fd, b"x")

    def fileno(self) -> int:
        return self._read_fd

    def wait(self, seconds: float) -> bool:
        if not self.requested:
            poll = select.poll()  # one a call: threads wait at the same time, and a poll object cannot
            poll.register(self._read_fd, select.POLLIN)
            poll.poll(max(0.0, seconds) * 1000)
        return self.requested

    def listen(self, *signals: signal.Signals) -> None:
        """Let these signals make the request from now on."""
        for number in signals:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.request(number)

    def close(self) -> None:
        os.close(self._read_fd)
        os.close(self._write_fd)
