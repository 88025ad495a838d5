"""Copies into CXDB what turns only name, without a stage ever waiting for it: commits' trees, stages' files, artifacts.

A thread with a connection of its own follows what the journals have stored: it asks for the new turns of a context, and
copies what each GitCheckpoint and each Artifact names, where CXDB has not got it yet. So the turns themselves are the
outbox; after a crash, an outage or a move to a new context the same is done from wherever the context's copies end.

A GitCheckpoint shows its commit's files then, and turns without any show those of the turn before. Yet each commit gets
its own, also where nothing was changed: the real server gives the numbers of turns that it has forgotten to others, and
does not forget what those showed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from attractor.contracts import NotReadable, TreeSource, read_json
from attractor.cxdb.blobs import blob_of
from attractor.cxdb.bundle import PREFIX
from attractor.cxdb.connection import CxdbConnection
from attractor.cxdb.frames import StoredTurn
from attractor.cxdb.tree_upload import TreeUpload
from attractor.cxdb.turns import described
from attractor.cxdb.upload import Upload
from attractor.errors import AttractorError, CxdbError
from attractor.processes import Worker
from attractor.rundir import encode_json, read_regular, write_atomic

LOOK_SECONDS: Final = 0.05  # before a look: what comes in meanwhile is stored by then, and done in one go
NOTE_SECONDS: Final = 1.0
RETRY_FIRST_SECONDS: Final = 0.1
RETRY_MOST_SECONDS: Final = 5.0
PATIENT_ROUNDS: Final = 12
CLOSE_SECONDS: Final = 1.0
BATCH_TURNS: Final = 64
_NAMING: Final = (f"{PREFIX}GitCheckpoint", f"{PREFIX}Artifact")


class _Note(msgspec.Struct, frozen=True):
    """cxdb_files.json. `turns`: what so many of the context's first turns name is there."""

    context_id: str
    turns: int
    complete: bool = False


class Watch:
    """One context. Its methods are for the context's journal, in whichever thread that is."""

    def __init__(self, copies: Copies, context_id: str, place: Path, turns: int) -> None:
        self._copies = copies
        self._place = place
        self._noted = 0.0
        self._note = _Note("", 0)
        self.context_id = context_id
        self.turns = turns
        self.left_out: int | None = None  # the first turn whose files are missing: another life tries again
        self.dirty = True
        known = _read_note(place)
        if known is not None and known.context_id == context_id:
            self.turns = known.turns

    def look(self) -> None:
        """New turns are stored, or will be in a moment."""
        self._copies.wake(self)

    def move(self, context_id: str) -> None:
        """The journal goes on in another context, from its beginning."""
        self._copies.moved(self, context_id)

    def note(self, *, always: bool, ended: bool = False) -> None:
        """Keep on disk how far it has come; now and then, or `always`. `ended`: there are no more turns to come."""
        turns = self.turns if self.left_out is None else self.left_out
        note = _Note(self.context_id, turns, complete=ended and not self.dirty and self.left_out is None)
        if note != self._note and (always or time.monotonic() - self._noted >= NOTE_SECONDS):
            self._note, self._noted = note, time.monotonic()
            with suppress(AttractorError, OSError):  # what is lost with it is only done again
                write_atomic(self._place, encode_json(note) + b"\n", durable=False)


def is_complete(place: Path) -> bool:
    """Whether a life has ended with all of a context's copies there, as its note says."""
    note = _read_note(place)
    return note is not None and note.complete


def _read_note(place: Path) -> _Note | None:
    with suppress(OSError, AttractorError, NotReadable):
        return read_json(read_regular(place), _Note)
    return None


class Copies:
    """Those of a run and its branches: one thread, begun when there is something to do."""

    def __init__(self, connect: Callable[[], CxdbConnection], source: TreeSource | None, max_bytes: int = 0) -> None:
        """`source`: where commits' trees are; None where they are not to be copied. `max_bytes`: of all files of a
        commit together; larger ones are left out, and that is told.
        """
        self._upload = Upload(connect, self._came_forward)
        self._trees = TreeUpload(self._upload, source, max_bytes) if source is not None else None
        self._changed = threading.Condition()
        self._watches: list[Watch] = []
        self._worker: Worker | None = None
        self._given_up = False
        self._closing = False
        self._settling = False
        self._busy = False
        self._outage = ""
        self._left_out = ""
        self._steps = 0

    def watch(self, context_id: str, place: Path, turns: int = 0) -> Watch:
        """Follow a context, which has its copies up to its first `turns` turns, or as far as `place` says.

        `context_id` '' for one that is still to be made (see `Watch.move`).
        """
        watch = Watch(self, context_id, place, turns)
        with self._changed:
            self._watches.append(watch)
        return watch

    def wake(self, watch: Watch) -> None:
        with self._changed:
            if not self._given_up and (not watch.dirty or self._worker is None):
                watch.dirty = True
                self._begin()
                self._changed.notify_all()

    def moved(self, watch: Watch, context_id: str) -> None:
        with self._changed:
            watch.context_id, watch.turns, watch.left_out, watch.dirty = context_id, 0, None, True

    def settle(self, wait_seconds: float, *, patient: bool = True) -> str:
        """Wait until all is there; what is missing and why, '' for nothing.

        No longer than `wait_seconds`; `patient`: twelve times that, as long as it comes forward.
        """
        began, rounds = time.monotonic(), PATIENT_ROUNDS if patient else 1
        with self._changed:
            self._settling = True
            for watch in self._watches:
                watch.dirty = True
            self._begin()
            self._changed.notify_all()
            steps, moved = self._steps, began
            while self._is_behind() and not self._given_up:
                now = time.monotonic()
                if steps != self._steps:
                    steps, moved = self._steps, now
                left = min(moved + wait_seconds, began + rounds * wait_seconds) - now
                if left <= 0:
                    break
                self._changed.wait(left)
            if self._is_behind():
                return self._outage or self._left_out or "there was no time for all of them"
            return self._left_out

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._worker is not None and not self._worker.join(CLOSE_SECONDS):
            self._upload.abort()
            self._worker.join(CLOSE_SECONDS)
        for watch in self._watches:
            if watch.context_id:
                watch.note(always=True, ended=True)

    # --- the thread ---

    def _begin(self) -> None:
        if self._worker is not None or self._given_up or self._closing:
            return
        worker = Worker(self._work)
        try:
            worker.start()
        except MemoryError as error:
            self._give_up(str(error))
        else:
            self._worker = worker

    def _give_up(self, reason: str) -> None:
        self._given_up = True
        self._left_out = reason

    def _is_behind(self) -> bool:
        return self._busy or any(watch.dirty and watch.context_id for watch in self._watches)

    def _came_forward(self) -> None:
        with self._changed:
            self._steps += 1
            self._changed.notify_all()

    def _work(self) -> None:
        retry_seconds = RETRY_FIRST_SECONDS
        try:
            while self._await_work():
                self._rest(LOOK_SECONDS)
                if self._look_at_all():
                    retry_seconds = RETRY_FIRST_SECONDS
                else:
                    self._rest(retry_seconds)
                    retry_seconds = min(RETRY_MOST_SECONDS, 2 * retry_seconds)
        except MemoryError:
            self._give_up("out of memory")
        except Exception as error:
            self._give_up(f"internal error: {error!r}")
        finally:
            self._upload.disconnect()
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _await_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._is_behind())
            return not self._closing

    def _rest(self, seconds: float) -> None:
        """Not at the run's end, when somebody waits: then as long as it takes not to be in a server's way."""
        with self._changed:
            if self._settling:
                seconds = RETRY_FIRST_SECONDS if self._outage else 0.0
                self._changed.wait_for(lambda: self._closing, seconds)
            else:
                self._changed.wait_for(lambda: self._closing or self._settling, seconds)

    def _look_at_all(self) -> bool:
        with self._changed:
            todo = [watch for watch in self._watches if watch.dirty and watch.context_id]
            self._busy = True
        outage = ""
        for watch in todo:
            try:
                self._look(watch)
            except CxdbError as error:
                self._upload.disconnect()
                outage = error.message
                with self._changed:
                    watch.dirty = True
        with self._changed:
            self._busy = False
            self._outage = outage
            self._steps += 1
            self._changed.notify_all()
        return not outage

    def _look(self, watch: Watch) -> None:
        with self._changed:
            watch.dirty = False
            context_id, seen = watch.context_id, watch.turns
        turns = _turns_from(self._upload.connection, int(context_id), seen)
        for some in (turns[at : at + BATCH_TURNS] for at in range(0, len(turns), BATCH_TURNS)):
            left_out = self._copy(some)
            self._upload.sync()
            with self._changed:
                if watch.context_id != context_id:
                    return
                watch.turns = some[-1].depth + 1
                watch.left_out = left_out if watch.left_out is None else watch.left_out
            watch.note(always=False)

    def _copy(self, turns: Sequence[StoredTurn]) -> int | None:
        """The depth of the first whose files are left out."""
        naming = [turn for turn in turns if turn.type_id in _NAMING]
        payloads = self._upload.connection.get_blobs([turn.content_hash for turn in naming])
        first = None
        for turn, payload in zip(naming, payloads, strict=True):
            reason = self._copy_named(turn, *described(turn.type_id, payload))
            if reason:
                self._left_out = reason
                first = turn.depth if first is None else first
        return first

    def _copy_named(self, turn: StoredTurn, name: str, fields: Mapping[str, Any]) -> str:
        """Why it is left out; '' where it is not."""
        if name == "GitCheckpoint" and self._trees is not None:
            return self._trees.show(turn.turn_id, str(fields.get("git_commit_sha", "")))
        if name == "Artifact" and (blob := blob_of(fields)) is not None:
            self._upload.put_blob(blob)
        return ""


def _turns_from(connection: CxdbConnection, context_id: int, seen: int) -> list[StoredTurn]:
    """The turns of a context behind its first `seen`, oldest first, without their payloads.

    None of a server that has forgotten the context: its journal goes on in another one then.
    """
    head = connection.head(context_id)
    count = head.depth + 1 - seen if head.turn_id else 0
    while count > 0:
        turns = connection.last_turn_facts(context_id, count)
        missed = turns[0].depth - seen if turns else 0
        if missed <= 0:
            return [turn for turn in turns if turn.depth >= seen]
        count += missed + BATCH_TURNS  # some were stored between the question and the answer
    return []
