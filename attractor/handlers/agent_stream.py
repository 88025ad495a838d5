"""Following an agent's output while it runs: what it does, whether it gets anywhere, what it has used.

The program writes straight into a file; this reads behind it. Output alone is liveness, not progress: a program
that prints "reconnecting" for ever is stalled.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from attractor.backends import AgentEvent, StreamReader
from attractor.rundir import encode_json

READ_BYTES = 1 << 20
# A longer line is no event of any agent; what follows its cut is read as garbage and counted.
MAX_PENDING_BYTES = 16 << 20
ACTIVITY_SECONDS = 2.0
_WORTH_TELLING = frozenset({"message", "tool_call", "tool_result", "error", "notice"})


class StreamFollower:
    """Feeds a reader from a growing file, keeps the events, and watches the clock."""

    def __init__(
        self,
        reader: StreamReader,
        stdout: Path,
        events: Path,
        *,
        stall_seconds: float | None,
        tell: Callable[[AgentEvent, int], None],
        spent_too_much: Callable[[], str],
        saw: Callable[[AgentEvent], None] = lambda event: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._stdout = stdout
        self._offset = 0
        self._pending = b""
        self._events = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._stall_seconds = stall_seconds
        self._tell = tell
        self._spent_too_much = spent_too_much
        self._saw = saw
        self._clock = clock
        self._progress = 0
        self._last_progress = clock()
        self._last_told = clock()
        self._untold: AgentEvent | None = None

    def watch(self) -> str:
        """Read what is new; why the program is to be ended, '' while it may go on."""
        self._read_on()
        now = self._clock()
        if self._reader.progress != self._progress:
            self._progress, self._last_progress = self._reader.progress, now
        if self._untold is not None and now - self._last_told >= ACTIVITY_SECONDS:
            self._tell(self._untold, self._progress)
            self._untold, self._last_told = None, now
        if self._stall_seconds is not None and now - self._last_progress >= self._stall_seconds:
            return "stalled"
        if self._reader.result is not None:
            return ""  # the work is done and paid for; what it cost ends the run after this stage
        return self._spent_too_much()

    def finish(self) -> None:
        """Read the rest, a last line without its newline too."""
        self._read_on()
        if self._pending:
            self._feed(self._pending)
            self._pending = b""
        os.close(self._events)

    def _read_on(self) -> None:
        try:
            fd = os.open(self._stdout, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return
        try:
            while chunk := os.pread(fd, READ_BYTES, self._offset):
                self._offset += len(chunk)
                lines = (self._pending + chunk).split(b"\n")
                self._pending = lines.pop()
                for line in lines:
                    self._feed(line)
                if len(self._pending) > MAX_PENDING_BYTES:
                    self._feed(self._pending)
                    self._pending = b""
        except OSError:
            return
        finally:
            os.close(fd)

    def _feed(self, line: bytes) -> None:
        kept = []
        for event in self._reader.feed(line):
            self._saw(event)
            if event.kind in _WORTH_TELLING:
                self._untold = event
            if event.kind != "unknown":
                kept.append(
                    encode_json({key: value for key, value in asdict(event).items() if value not in ("", None)})
                )
        if kept:
            os.write(self._events, b"\n".join(kept) + b"\n")
