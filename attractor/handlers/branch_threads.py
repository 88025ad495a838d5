"""Threads that run branches, for a handler that watches them: started, canceled, collected, never left behind."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from types import TracebackType

from attractor.contracts import BranchPlan, BranchResult, BranchRunner, FailureClass, Status, Stop
from attractor.errors import AttractorError, RecordsLost
from attractor.processes import Cancellation, Worker


@dataclass(slots=True)
class BranchThreads:
    """A context manager: its end cancels and waits for what still runs. `fileno` is readable when one has ended."""

    runner: BranchRunner
    stop: Stop  # of the stage that watches
    _running: dict[int, tuple[Worker, Cancellation]] = field(default_factory=dict)
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
        for worker, cancellation in self._running.values():
            worker.join()
            cancellation.close()
        for fd in self._wake:
            os.close(fd)

    def __len__(self) -> int:
        return len(self._running)

    def fileno(self) -> int:
        return self._wake[0]

    def start(self, index: int, plan: BranchPlan) -> None:
        """Raises MemoryError where the machine has no room for a thread."""
        cancellation = Cancellation(self.stop)
        worker = Worker(lambda: self._work(index, plan, cancellation))
        try:
            worker.start()
        except MemoryError:
            cancellation.close()
            raise
        self._running[index] = worker, cancellation

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
            worker, cancellation = self._running.pop(index)
            worker.join()
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
        except MemoryError as error:
            self.lost = RecordsLost(f"branch {plan.child} cannot go on: {str(error) or 'out of memory'}")
            result = BranchResult(plan.child, Status.FAIL, self.lost.brief, FailureClass.CANCELED, canceled=True)
        except BaseException as error:  # git, a disk, a defect: this branch's failure, as a handler's is its stage's
            reason = error.brief if isinstance(error, AttractorError) else f"{type(error).__name__}: {error}"
            result = BranchResult(plan.child, Status.FAIL, reason, FailureClass.DETERMINISTIC)
        took_ms = round((time.monotonic() - started) * 1000, 1)
        self._ended.put((index, replace(result, duration_ms=took_ms)))
        os.write(self._wake[1], b"x")
