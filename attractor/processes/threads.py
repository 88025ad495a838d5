"""A thread whose end is always seen, also where there is no memory left for it.

`threading.Thread.start` waits for the new thread without a bound, and one that has no memory to begin never answers:
the engine would stand still. So the beginning is waited for with a bound, and what tells the end needs no memory.
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable

BEGIN_SECONDS = 5.0


class Worker:
    """One call of `work` in a thread of its own. `work` must not raise; where it does, it has ended all the same."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._choice = threading.Lock()  # begins, or is given up: never both
        self._given_up = False
        self._begun = threading.Event()
        self._running = threading.Lock()

    def start(self, seconds: float = BEGIN_SECONDS) -> None:
        """Raises MemoryError where the machine has no room for a thread; then `work` is never called."""
        self._running.acquire()
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError as error:
            self._running.release()
            raise MemoryError(f"no thread could be started: {error}") from error
        if self._begun.wait(seconds):
            return
        with self._choice:
            self._given_up = not self._begun.is_set()
        if self._given_up:
            self._running.release()
            raise MemoryError(f"a thread did not begin within {seconds:g} s: out of memory?")

    def join(self, seconds: float = -1) -> bool:
        """Wait until `work` has ended, no longer than `seconds` (negative: without a bound); whether it has."""
        ended = self._running.acquire(timeout=seconds)
        if ended:
            self._running.release()
        return ended

    def _run(self) -> None:
        with self._choice:
            if self._given_up:
                return
            self._begun.set()
        try:
            self._work()
        finally:
            self._running.release()
