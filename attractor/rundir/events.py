"""`progress.ndjson` and `live.json`: what happened, in order (DESIGN 2.2, 2.6).

The log of the base logs root holds the whole run, loop restarts and resumes included; a restart's own folder
gets a copy of the events of its time. It is also the outbox of CXDB: turns are made from these lines and
from nothing else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from attractor.contracts import TERMINAL_EVENTS, EventName, NotReadable, Redactor, readable
from attractor.errors import RunDirectoryError
from attractor.rundir.files import AppendLog, encode_json, open_regular, write_atomic
from attractor.rundir.layout import Layout

LIVE_INTERVAL_SECONDS = 0.1

Event = dict[str, Any]


class EventLog:
    """Appends events. One write a line, unbuffered: what was emitted survives the engine's death."""

    def __init__(
        self,
        layout: Layout,
        run_id: str,
        *,
        now: Callable[[], datetime] | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self._redactor = redactor or Redactor({})
        self._layout = layout
        self._run_id = run_id
        self._now = now or (lambda: datetime.now(UTC))
        self._log = AppendLog(layout.progress)
        self._seq = last_seq(layout.progress)
        self._mirror: AppendLog | None = None
        self._listeners: list[Callable[[Event, bytes], None]] = []
        self._live_written = 0.0

    @property
    def seq(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._seq

    def listen(self, listener: Callable[[Event, bytes], None]) -> None:
        """Call `listener(event, line)` after each event is in the file."""
        self._listeners.append(listener)

    def mirror_into(self, layout: Layout) -> None:
        """From now on also write events into a restart's own progress.ndjson."""
        if self._mirror is not None:
            self._mirror.close()
        self._mirror = AppendLog(layout.progress)

    def emit(self, event: EventName, /, **fields: Any) -> int:
        """Append one event; fields that are None are left out. Returns its `seq`.

        An event that cannot be written (RunDirectoryError) has not happened: its number goes to the next one. Once
        it is in the file, everybody hears of it, whatever its copies meet.
        """
        seq = self._seq + 1
        record: Event = {
            "seq": seq,
            "ts": rfc3339(self._now()),
            "run_id": self._run_id,
            "event": event.value,
        }
        record.update((key, value) for key, value in fields.items() if value is not None)
        line = encode_json(record)
        if self._redactor.hits(line):
            record = self._redactor.value(record)
            line = encode_json(record)
        self._log.append(line + b"\n")
        self._seq = seq
        self._write_live(line, always=event in TERMINAL_EVENTS)
        for listener in self._listeners:
            listener(record, line)
        if self._mirror is not None:
            self._mirror.append(line + b"\n")
        return seq

    def _write_live(self, line: bytes, *, always: bool) -> None:
        now = time.monotonic()
        if always or now - self._live_written >= LIVE_INTERVAL_SECONDS:
            with suppress(RunDirectoryError):  # a convenience for pollers; progress.ndjson is the record
                write_atomic(self._layout.live, line + b"\n", durable=False)
            self._live_written = now

    def close(self) -> None:
        self._log.close()
        if self._mirror is not None:
            self._mirror.close()


def rfc3339(moment: datetime) -> str:
    """UTC with microseconds and a Z, always 27 characters, so that text order is time order."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read_events(path: Path, *, after_seq: int = 0) -> Iterator[Event]:
    """The complete events of a log in order, those with a `seq` greater than `after_seq`.

    A torn last line (the writer died in it, or is in it) is not an event. Raises RunDirectoryError
    naming the line for anything else that is not an event.
    """
    try:
        stream = open_regular(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(path, error) from error
    with stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                event = readable(_decode, line)
                if event["seq"] > after_seq:
                    yield event
            except (NotReadable, KeyError, TypeError) as error:
                raise _no_event(f"{path}, line {number}", error) from error


def last_event(path: Path) -> Event | None:
    """The newest complete event, without reading the whole file. RunDirectoryError where the last line is none."""
    try:
        stream = open_regular(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    with stream:
        tail, step = b"", 1 << 16
        position = os.fstat(stream.fileno()).st_size
        while position > 0 and tail.rstrip(b"\n").count(b"\n") < 2:
            step = min(step, position)
            position -= step
            tail = os.pread(stream.fileno(), step, position) + tail
            step *= 2  # a line may be of any length, and each look is at all there is of it
    lines = tail[: tail.rfind(b"\n") + 1].splitlines()
    if not lines:
        return None
    try:
        event = readable(_decode, lines[-1])
    except NotReadable as error:
        raise _no_event(f"the last line of {path}", error) from error
    if not isinstance(event.get("seq"), int) or not isinstance(event.get("event"), str) or "ts" not in event:
        raise _no_event(f"the last line of {path}", "it lacks seq, ts or event")
    return event


def _unreadable(path: Path, error: OSError) -> RunDirectoryError:
    return RunDirectoryError(f"cannot read {path}: {error.strerror or error}")


def _no_event(place: str, why: object) -> RunDirectoryError:
    return RunDirectoryError(
        f"{place} is not an event: {why}", hint="the file was changed by something else than the engine"
    )


def last_seq(path: Path) -> int:
    """`seq` of the newest complete event, 0 for an empty or missing log."""
    event = last_event(path)
    return int(event["seq"]) if event else 0
