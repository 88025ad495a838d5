"""Ships a run's events to CXDB as turns, complete and never doubled, without ever holding up a stage.

How: turns are made from events (`turns`), appended pipelined, and acknowledged when the server gets to it. When
the connection breaks, what was sent and not answered is *unknown*: after reconnecting, the newest stored turn
says which event it came from, and shipping goes on behind it. Nothing is ever sent again blindly, although the
server ignores idempotency keys. Events not shipped stay where they always were, in progress.ndjson.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from attractor.cxdb.connection import CxdbConnection
from attractor.cxdb.turns import Event, Origin, RunFacts, Turn, origin_of, turns_of
from attractor.errors import CxdbError, CxdbOutcomeUnknown, CxdbUnreachable
from attractor.rundir import read_events

WINDOW_BYTES = 1 << 20
RECONNECT_FIRST_SECONDS = 0.1
RECONNECT_MAX_SECONDS = 5.0
RECONNECT_TIMEOUT_SECONDS = 0.25
FINAL_WAIT_SECONDS = 5.0


class Journal:
    """Implements `contracts.TurnSink`. Give it every event in order; `flush` when a stage is about to run or done.

    `on_outage(reason)` and `on_recovery(outage_seconds)` are called once an outage each.
    """

    def __init__(
        self,
        connect: Callable[[float], CxdbConnection],
        facts: RunFacts,
        progress: Path,
        *,
        on_outage: Callable[[str], object],
        on_recovery: Callable[[float], object],
    ) -> None:
        self._connect = connect
        self._facts = facts
        self._context_id = int(facts.context_id)
        self._progress = progress
        self._on_outage = on_outage
        self._on_recovery = on_recovery
        self._connection: CxdbConnection | None = None
        self._stored: Origin = (0, 0)
        self._unanswered: deque[Origin] = deque()
        self._outage_began: float | None = None
        self._next_try = 0.0
        self._retry_seconds = RECONNECT_FIRST_SECONDS

    def attach(self, connection: CxdbConnection) -> None:
        """Use this connection, after shipping what the context lacks. Raises CxdbError."""
        self._catch_up(connection)
        self._connection = connection

    def take(self, event: Event, _line: bytes) -> None:
        """Queue the turns of one event that is in progress.ndjson."""
        if self._connection is None or self._connection.unsent_bytes > WINDOW_BYTES:
            return  # the file has it; catching up will ship it
        for turn in turns_of(event, self._facts):
            self._append(self._connection, turn)

    def flush(self) -> None:
        """Send what is queued, take in what is answered; during an outage, try to reconnect now and then."""
        if self._connection is None:
            self._try_reconnect()
            return
        try:
            if self._connection.unsent_bytes > WINDOW_BYTES:
                raise CxdbOutcomeUnknown(f"CXDB at {self._connection.address} does not take in what is sent")
            self._connection.push()
            self._note_answers(self._connection)
        except CxdbError as error:
            self._lose(error)

    def settle(self, wait_seconds: float = FINAL_WAIT_SECONDS) -> tuple[str, int]:
        """Wait until all is stored, within a bound: `(head turn id, turns still missing)` ('' when unknown)."""
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                if self._connection is None:
                    self._reconnect(max(0.05, deadline - time.monotonic()))
                connection = self._connection
                assert connection is not None
                connection.barrier(max(0.0, deadline - time.monotonic()))
                self._note_answers(connection)
                return str(connection.head(self._context_id).turn_id), 0
            except CxdbError as error:
                self._lose(error)
                left = deadline - time.monotonic()
                if left <= 0:
                    return "", self._pending()
                time.sleep(min(left, RECONNECT_FIRST_SECONDS))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _lose(self, error: CxdbError) -> None:
        self.close()
        if self._outage_began is None:
            self._outage_began = time.monotonic()
            self._next_try = self._outage_began
            self._retry_seconds = RECONNECT_FIRST_SECONDS
            self._on_outage(error.message)

    def _try_reconnect(self) -> None:
        now = time.monotonic()
        if now < self._next_try:
            return
        try:
            self._reconnect(RECONNECT_TIMEOUT_SECONDS)
        except CxdbError:
            self.close()
            self._next_try = time.monotonic() + self._retry_seconds
            self._retry_seconds = min(RECONNECT_MAX_SECONDS, self._retry_seconds * 2)

    def _reconnect(self, timeout_seconds: float) -> None:
        connection = self._connect(timeout_seconds)
        try:
            self._catch_up(connection)
        except CxdbError:
            connection.close()
            raise
        self._connection = connection
        if self._outage_began is not None:
            outage = time.monotonic() - self._outage_began
            self._outage_began = None
            self._on_recovery(outage)

    def _catch_up(self, connection: CxdbConnection) -> None:
        """Ship all that progress.ndjson has and the context has not."""
        self._unanswered.clear()
        self._stored = self._read_stored(connection)
        begin = self._stored
        for event in read_events(self._progress, after_seq=max(0, begin[0] - 1)):
            for turn in turns_of(event, self._facts):
                if turn.origin > begin:
                    self._append(connection, turn)
            if connection.unsent_bytes > WINDOW_BYTES:
                connection.barrier()
        connection.barrier()
        self._note_answers(connection)

    def _read_stored(self, connection: CxdbConnection) -> Origin:
        try:
            turns = connection.last_turns(self._context_id, 1)
        except CxdbOutcomeUnknown as error:
            # The real server closes the connection when it does not know a context: it forgets all at a restart.
            raise CxdbUnreachable(f"context {self._context_id} cannot be read: {error.message}") from error
        return origin_of(turns[-1].payload) if turns else (0, 0)

    def _append(self, connection: CxdbConnection, turn: Turn) -> None:
        connection.append(self._context_id, turn.type_id, turn.type_version, turn.payload)
        self._unanswered.append(turn.origin)

    def _note_answers(self, connection: CxdbConnection) -> None:
        # Answers come in the order of the requests, so what is left unanswered is the newest.
        while len(self._unanswered) > connection.outstanding:
            self._stored = self._unanswered.popleft()

    def _pending(self) -> int:
        """Turns that are made and not known to be stored."""
        events = read_events(self._progress, after_seq=max(0, self._stored[0] - 1))
        return sum(turn.origin > self._stored for event in events for turn in turns_of(event, self._facts))


class NoJournal:
    """For `--no-cxdb`: nothing is shipped, nothing is missing."""

    def flush(self) -> None:
        return

    def settle(self) -> tuple[str, int]:
        return "", 0

    def close(self) -> None:
        return
