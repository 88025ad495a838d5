"""Threads that run branches, for a handler that watches them: started, canceled, collected, never left behind."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from types import TracebackType

from attractor.contracts import BranchPlan, BranchResult, BranchRunner, FailureClass, Status
from attractor.errors import AttractorError, RecordsLost
from attractor.processes import Cancellation


@dataclass(slots=True)
class BranchThreads:
    """A context manager: its end cancels and waits for what still runs. `fileno` is readable when one has ended."""

    runner: BranchRunner
    _running: dict[int, tuple[threading.Thread, Cancellation]] = field(default_factory=dict)
    _ended: SimpleQueue[tuple[int, BranchResult]] = field(default_factory=SimpleQueue)
    _wake: tuple[int, int] = (-1, -1)
    lost: RecordsLost | None = None  # to be raised once all have ended

    def __enter__(self) -> BranchThreads:
        self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel("the stage has ended")
        for thread, cancellation in self._running.values():
            thread.join()
            cancellation.close()
        for fd in self._wake:
            os.close(fd)

    def __len__(self) -> int:
        return len(self._running)

    def fileno(self) -> int:
        return self._wake[0]

    def start(self, index: int, plan: BranchPlan) -> None:
        cancellation = Cancellation()
        thread = threading.Thread(target=self._work, args=(index, plan, cancellation), name=f"branch {plan.child}")
        self._running[index] = thread, cancellation
        thread.start()

    def cancel(self, reason: str) -> None:
        """Ask all that run to end; they are collected as usual."""
        for _, cancellation in self._running.values():
            cancellation.request(reason)

    def collect(self) -> list[tuple[int, BranchResult]]:
        """Those that have ended since the last call, each with the number it was started under."""
        try:
            os.read(self._wake[0], 4096)
        except BlockingIOError:
            return []
        found: list[tuple[int, BranchResult]] = []
        while True:
            try:
                index, result = self._ended.get_nowait()
            except Empty:
                return found
            thread, cancellation = self._running.pop(index)
            thread.join()
            cancellation.close()
            found.append((index, result))

    def _work(self, index: int, plan: BranchPlan, cancellation: Cancellation) -> None:
        """A branch's thread: nothing it meets may leave the watching thread waiting for ever."""
        started = time.monotonic()
        try:
            result = self.runner.run(plan, cancellation)
        except RecordsLost as error:
            self.lost = error
            result = BranchResult(plan.child, Status.FAIL, error.brief, FailureClass.CANCELED, canceled=True)
        except BaseException as error:  # git, a disk, a defect: this branch's failure, as a handler's is its stage's
            reason = error.brief if isinstance(error, AttractorError) else f"{type(error).__name__}: {error}"
            result = BranchResult(plan.child, Status.FAIL, reason, FailureClass.DETERMINISTIC)
        took_ms = round((time.monotonic() - started) * 1000, 1)
        self._ended.put((index, replace(result, duration_ms=took_ms)))
        os.write(self._wake[1], b"x")
