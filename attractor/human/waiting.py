"""The wait for one answer: ends with its time limit or the run's stop, and tells now and then that it goes on."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from attractor.contracts import AnswerKind, Stop
from attractor.processes import HEARTBEAT_SECONDS


@dataclass(slots=True)
class AnswerWait:
    """Implements `contracts.Waiting`. `heartbeat` is called with the seconds waited so far, `begun` once."""

    stop: Stop
    timeout_seconds: float | None = None
    heartbeat: Callable[[float], None] = lambda elapsed: None
    begun: Callable[[], None] = lambda: None
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    _started: float = field(default_factory=time.monotonic)
    _beaten: float = 0.0
    _has_begun: bool = False

    def begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self.begun()

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def over(self) -> AnswerKind | None:
        if self.stop.requested:
            return AnswerKind.STOPPED
        return AnswerKind.TIMEOUT if self._left() <= 0 else None

    def _left(self) -> float:
        return math.inf if self.timeout_seconds is None else self.timeout_seconds - self.elapsed_seconds

    def pause(self, fds: Collection[int] = (), seconds: float = 0.05) -> frozenset[int]:
        self._beat()
        if self.over is not None:
            return frozenset()
        poll = select.poll()
        for fd in (*fds, self.stop.fileno()):
            poll.register(fd, select.POLLIN)
        ready = poll.poll(max(0.0, min(seconds, self._left())) * 1000 + 1)
        return frozenset(fd for fd, _ in ready) & frozenset(fds)

    def _beat(self) -> None:
        elapsed = self.elapsed_seconds
        if elapsed >= self._beaten + self.heartbeat_seconds:
            self._beaten = elapsed
            self.heartbeat(elapsed)
