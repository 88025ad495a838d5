"""Child processes that are measured: wall time, CPU, peak memory, and an end to every one of them.

Rules: a child leads a session of its own, dies with the benchmark (`bare` ones excepted), and is killed when its
time is over or the block that started it is left. Output goes to files, so that nothing blocks on a pipe. Wall time
is from just before the child is made to just after the kernel says that it ended: nothing polls.

The kernel counts a child's memory from before its exec, when it still is the benchmark: a peak below the benchmark's
own size (some 40 MB) shows as that size. It can be overstated, never understated; keep heavy imports out of here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.processes import describe_exit, dying_with_parent

__all__ = ["Child", "Finished", "MeasureError"]

_TAIL_CHARACTERS = 600
_MAXRSS_TO_MB = 1 / 1_000_000 if sys.platform == "darwin" else 1024 / 1_000_000


class MeasureError(Exception):
    """Something could not be measured; the message says what was run and how it went."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended. CPU is user + system of the child and of all it waited for."""

    name: str
    exit_code: int
    timed_out: bool
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    stdout: str
    stderr: str

    def must_be(self, *codes: int) -> Self:
        """MeasureError, with the last words of the child, unless it ended by itself with one of the codes."""
        if self.timed_out or self.exit_code not in codes:
            how = f"still running after {self.wall_seconds:.0f} s" if self.timed_out else describe_exit(self.exit_code)
            words = " ".join((self.stderr or self.stdout).split())[-_TAIL_CHARACTERS:]
            raise MeasureError(f"{self.name}: {how}{': ' if words else ''}{words}")
        return self


class Child:
    """One started child; `wait` measures it. As a context manager it leaves nothing running.

    `bare`: without the wrapper that ties it to our life, for what is so short that the wrapper would show.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        output: Path,
        bare: bool = False,
    ) -> None:
        self._name = name
        self._files = (output.with_suffix(".out"), output.with_suffix(".err"))
        with self._files[0].open("wb") as out, self._files[1].open("wb") as err:
            self.started_at = time.time()
            self._began = time.perf_counter()
            try:
                self._process = subprocess.Popen(
                    argv if bare else dying_with_parent(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=cwd,
                    env=dict(environment),
                    start_new_session=True,
                )
            except OSError as error:
                raise MeasureError(f"{name}: cannot start {argv[0]}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self.kill()
            self._reap()

    def kill(self) -> None:
        """SIGKILL for its process group, which is at least itself."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self, bound_seconds: float) -> Finished:
        """Once. The child is not reaped before the timer is off, so the timer cannot hit another process."""
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self.kill()

        timer = threading.Timer(bound_seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            wall_seconds = time.perf_counter() - self._began
        finally:
            timer.cancel()
            timer.join()
        exit_code, usage = self._reap()
        return Finished(
            name=self._name,
            exit_code=exit_code,
            timed_out=expired.is_set(),
            wall_seconds=wall_seconds,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_mb=usage.ru_maxrss * _MAXRSS_TO_MB,
            stdout=self._files[0].read_text(encoding="utf-8", errors="replace"),
            stderr=self._files[1].read_text(encoding="utf-8", errors="replace"),
        )

    def _reap(self) -> tuple[int, resource.struct_rusage]:
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return self._process.returncode, usage
