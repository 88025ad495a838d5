"""A stop for a part of a run: one branch of a fan-out, ended while the others go on."""

from __future__ import annotations

import os
import select

from attractor.contracts import Stop


class Cancellation:
    """Implements `contracts.Stop`. May be requested from any thread; the first reason stays.

    Where the stop of the whole run, `outer`, becomes urgent, this one is.
    """

    def __init__(self, outer: Stop) -> None:
        self._outer = outer
        self._read_fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._reason = ""

    @property
    def requested(self) -> bool:
        return bool(self._reason)

    @property
    def reason(self) -> str:
        return self._reason

    @property
    def urgent(self) -> bool:
        return self._outer.urgent

    def request(self, reason: str) -> None:
        if not self._reason:
            self._reason = reason
            os.write(self._write_fd, b"x")

    def fileno(self) -> int:
        return self._read_fd

    def wait(self, seconds: float) -> bool:
        if not self.requested:
            poll = select.poll()
            poll.register(self._read_fd, select.POLLIN)
            poll.poll(max(0.0, seconds) * 1000)
        return self.requested

    def close(self) -> None:
        os.close(self._read_fd)
        os.close(self._write_fd)
