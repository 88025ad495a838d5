"""Ships a run's events to CXDB as turns, complete and never doubled, without ever holding up a stage.

How: turns are made from events (`turns`), appended pipelined, and acknowledged when the server gets to it. When
the connection breaks, what was sent and not answered is *unknown*: after reconnecting, the newest stored turn
says which event it came from, and shipping goes on behind it. Nothing is ever sent again blindly, although the
server ignores idempotency keys. Events not shipped stay where they always were, in progress.ndjson; what is still
to come from there is the backlog, and new events wait behind it.

A real server forgets everything when it restarts, and gives the same numbers to others: a context whose newest
turn is not this run's, which lacks turns that were acknowledged, or which may still get some that we gave up
waiting for, is left alone. The whole history goes into a new one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from attractor.cxdb.connection import REPLY_TIMEOUT_SECONDS, CxdbConnection
from attractor.cxdb.turns import NOTHING, Event, Origin, RunFacts, Turn, origin_of, turns_of
from attractor.errors import CxdbError, CxdbOutcomeUnknown
from attractor.rundir import read_events

WINDOW_BYTES = 1 << 20
RECONNECT_FIRST_SECONDS = 0.1
RECONNECT_MAX_SECONDS = 5.0
# Inside a run: for a whole attempt, from connecting to knowing where to go on; and for one flush's share of a backlog.
# A server too far away for the first can be reached by one of the later attempts, which are rare enough to wait longer.
RECONNECT_TIMEOUT_SECONDS = 0.25
RECONNECT_SHARE = 0.2  # of the time since the attempt before
BACKLOG_SHARE_SECONDS = 0.1
FINAL_WAIT_SECONDS = 5.0
FINAL_WAIT_ROUNDS = 12  # as long as the server goes on answering, the end of a run waits this many times as long


class Journal:
    """Implements `contracts.TurnSink`. Give it every event in order; `flush` when a stage is about to run or done.

    `on_outage(reason)` and `on_recovery(outage_seconds, context_id)` are called once an outage each, never while
    settling. `publish(timeout_seconds)` makes the server know our types before a new context is made there;
    `on_context(context_id)` is told of it at any time. `on_sent()`: the context has turns that it had
    not before, or will have them in a moment.
    """

    def __init__(
        self,
        connect: Callable[[float], CxdbConnection],
        facts: RunFacts,
        progress: Path,
        *,
        on_outage: Callable[[str], object],
        on_recovery: Callable[[float, str], object],
        publish: Callable[[float], object],
        on_context: Callable[[str], object],
        on_sent: Callable[[], object] = lambda: None,
    ) -> None:
        self._connect = connect
        self._facts = facts
        self._progress = progress
        self._on_outage = on_outage
        self._on_recovery = on_recovery
        self._publish = publish
        self._on_context = on_context
        self._on_sent = on_sent
        self._connection: CxdbConnection | None = None
        self._stored = NOTHING  # acknowledged, or seen in the context
        self._queued = NOTHING
        self._unanswered: deque[Origin] = deque()
        self._backlog: Iterator[Event] | None = None
        self._overflowed = False
        self._straying = False
        self._settling = False
        self._told = True  # of what was queued
        self._outage_began: float | None = None
        self._next_try = 0.0
        self._retry_seconds = RECONNECT_FIRST_SECONDS
        self.outage = ""
        self.attempts = 0

    @property
    def context_id(self) -> str:
        """The context this run's turns are in."""
        return self._facts.context_id

    @property
    def _context(self) -> int:
        return int(self._facts.context_id)

    def attach(
        self, connection: CxdbConnection, *, fresh: bool = False, timeout_seconds: float = REPLY_TIMEOUT_SECONDS
    ) -> None:
        """Use this connection; what the context lacks is shipped from now on. `fresh`: the context was just made,
        so that nothing in it is as it should be. Raises CxdbError.

        Nothing is sent before the first `flush`: an outage that it met would be told before the life's first event.
        """
        self._begin(connection, time.monotonic() + timeout_seconds, fresh=fresh)

    def take(self, event: Event, _line: bytes) -> None:
        """Queue the turns of one event that is in progress.ndjson."""
        if self._connection is None or self._backlog is not None or self._overflowed:
            return  # the file has it, and it will be shipped from there
        if self._connection.unsent_bytes > WINDOW_BYTES:
            self._overflowed = True
            return
        self._append(self._connection, event)

    def flush(self) -> None:
        """Send what is queued, take in what is answered; during an outage, try to reconnect now and then."""
        if self._connection is None:
            self._try_reconnect()
            return
        try:
            self._refuse_overflow(self._connection)
            self._ship_backlog(self._connection, BACKLOG_SHARE_SECONDS)
            self._connection.push()
            self._note_answers(self._connection)
        except CxdbError as error:
            self._lose(error)
        if not self._told:
            self._told = True
            self._on_sent()

    def settle(self, wait_seconds: float = FINAL_WAIT_SECONDS) -> tuple[str, int]:
        """Wait until all is stored, within a bound: `(head turn id, turns still missing)` ('' when unknown).

        The run's last event is written: outages are told by `outage` and the count from here on.
        """
        self._settling = True
        try:
            return self._settle_rounds(wait_seconds)
        finally:
            self._settling = False

    def _settle_rounds(self, wait_seconds: float) -> tuple[str, int]:
        end = time.monotonic() + FINAL_WAIT_ROUNDS * wait_seconds
        deadline = time.monotonic() + wait_seconds
        while True:
            stored = self._stored
            try:
                return self._settle_once(wait_seconds, deadline, end), 0
            except CxdbError as error:
                self._lose(error)
                now = time.monotonic()
                if self._stored > stored:
                    deadline = min(end, now + wait_seconds)
                if deadline <= now:
                    return "", self._pending()
                time.sleep(min(deadline - now, RECONNECT_FIRST_SECONDS))

    def _settle_once(self, wait_seconds: float, deadline: float, end: float) -> str:
        if self._connection is None:
            self._reconnect(deadline)
        connection = self._connection
        assert connection is not None
        self._refuse_overflow(connection)
        while True:
            self._ship_backlog(connection, wait_seconds)
            while connection.outstanding:
                # One by one: however slow the way there is, a server that goes on answering is not given up.
                connection.await_answer(max(0.0, deadline - time.monotonic()))
                self._note_answers(connection)
                deadline = min(end, time.monotonic() + wait_seconds)
            if self._backlog is None:
                break
        head = connection.head(self._context, max(0.0, deadline - time.monotonic()))
        return str(head.turn_id)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --- outages ---

    def _refuse_overflow(self, connection: CxdbConnection) -> None:
        if self._overflowed:
            raise CxdbOutcomeUnknown(f"CXDB at {connection.address} does not take in what is sent")

    def _lose(self, error: CxdbError) -> None:
        if self._connection is not None and self._unanswered and not self._connection.ended_by_peer:
            # Given up by us: what lies unread in the server's socket may still be stored, behind our back.
            self._straying = True
        self.close()
        self._backlog = None
        self._overflowed = False
        self.outage = error.message
        if self._outage_began is None:
            self._outage_began = time.monotonic()
            self._next_try = self._outage_began
            self._retry_seconds = RECONNECT_FIRST_SECONDS
            if not self._settling:
                self._on_outage(error.message)

    def _try_reconnect(self) -> None:
        now = time.monotonic()
        if now < self._next_try:
            return
        self.attempts += 1
        try:
            self._reconnect(now + max(RECONNECT_TIMEOUT_SECONDS, RECONNECT_SHARE * self._retry_seconds))
        except CxdbError as error:
            self._lose(error)
            self._next_try = time.monotonic() + self._retry_seconds
            self._retry_seconds = min(RECONNECT_MAX_SECONDS, self._retry_seconds * 2)

    def _reconnect(self, deadline: float) -> None:
        self._begin(self._connect(_left(deadline)), deadline)

    def _recovered(self) -> None:
        """Nothing that is in progress.ndjson is still to be queued."""
        self._backlog = None
        self.outage = ""
        if self._outage_began is not None:
            outage = time.monotonic() - self._outage_began
            self._outage_began = None
            if not self._settling:
                self._on_recovery(outage, self.context_id)

    # --- where to go on ---

    def _begin(self, connection: CxdbConnection, deadline: float, *, fresh: bool = False) -> None:
        """Find out what the context holds, or make a new one where it is not this run's any more."""
        try:
            stored: Origin | None = None
            if self._facts.context_id:
                connection, stored = self._find_out(connection, deadline)
            if stored is None or self._straying or stored < self._stored or (stored == NOTHING and not fresh):
                self._move(connection, deadline)
                stored = NOTHING
        except CxdbError:
            connection.close()
            raise
        self._connection = connection
        self._stored = self._queued = stored
        self._unanswered.clear()
        self._overflowed = False
        self._backlog = read_events(self._progress, after_seq=max(0, stored[0] - 1))

    def _find_out(self, connection: CxdbConnection, deadline: float) -> tuple[CxdbConnection, Origin | None]:
        """The newest stored origin (None: the context is unknown or another run's) and a connection to go on with.

        The real server closes the connection when it is asked about a context it does not know. Asked again, it
        must do so again: once may have been a connection that broke, or a server that ended.
        """
        for _ in range(2):
            try:
                turns = connection.last_turns(self._context, 1, _left(deadline))
            except CxdbOutcomeUnknown:
                if not connection.ended_by_peer:
                    raise
                connection.close()
                connection = self._connect(_left(deadline))
            else:
                return connection, origin_of(turns[-1].payload, self._facts) if turns else NOTHING
        return connection, None

    def _move(self, connection: CxdbConnection, deadline: float) -> None:
        self._publish(_left(deadline))
        context_id = str(connection.create_context(_left(deadline)).context_id)
        self._facts = replace(self._facts, context_id=context_id)
        self._stored = NOTHING
        self._straying = False
        self._on_context(context_id)

    # --- shipping ---

    def _ship_backlog(self, connection: CxdbConnection, share_seconds: float) -> None:
        """Queue what the file has and the context has not, as far as the window and this share of time allow."""
        if self._backlog is None:
            return
        end = time.monotonic() + share_seconds
        for event in self._backlog:
            self._append(connection, event)
            if connection.unsent_bytes > WINDOW_BYTES:
                connection.push()
                self._note_answers(connection)
                if connection.unsent_bytes > WINDOW_BYTES:
                    return
            if time.monotonic() > end:
                return
        self._recovered()

    def _append(self, connection: CxdbConnection, event: Event) -> None:
        for turn in turns_of(event, self._facts):
            if turn.origin > self._queued:
                self._queue(connection, turn)

    def _queue(self, connection: CxdbConnection, turn: Turn) -> None:
        connection.append(self._context, turn.type_id, turn.type_version, turn.payload)
        self._unanswered.append(turn.origin)
        self._queued = turn.origin
        self._told = False

    def _note_answers(self, connection: CxdbConnection) -> None:
        # Answers come in the order of the requests, so what is left unanswered is the newest.
        while len(self._unanswered) > connection.outstanding:
            self._stored = self._unanswered.popleft()

    def _pending(self) -> int:
        """Turns that are made and not known to be stored."""
        events = read_events(self._progress, after_seq=max(0, self._stored[0] - 1))
        return sum(turn.origin > self._stored for event in events for turn in turns_of(event, self._facts))


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


class NoJournal:
    """For `--no-cxdb`: nothing is shipped, nothing is missing."""

    context_id = ""
    outage = ""

    def flush(self) -> None:
        return

    def settle(self, wait_seconds: float = 0.0) -> tuple[str, int]:
        return "", 0

    def close(self) -> None:
        return
