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
from attractor.errors import AttractorError, CxdbError, CxdbOutcomeUnknown
from attractor.processes import Worker
from attractor.rundir import encode_json, read_regular, write_atomic

LOOK_SECONDS: Final = 0.05  # before a look: what comes in meanwhile is stored by then, and done in one go
NOTE_SECONDS: Final = 1.0
RETRY_FIRST_SECONDS: Final = 0.1
RETRY_MOST_SECONDS: Final = 5.0
PATIENT_ROUNDS: Final = 12
HURRY_SECONDS: Final = 0.2  # between two questions whether somebody wants the end at once
CLOSE_SECONDS: Final = 1.0
BATCH_TURNS: Final = 64
FEW_TURNS: Final = 32
ASK_AGAIN: Final = 8
MOST_TURNS: Final = (1 << 32) - 1  # that can be asked for
_NAMING: Final = (f"{PREFIX}GitCheckpoint", f"{PREFIX}Artifact")


class _Note(msgspec.Struct, frozen=True):
    """cxdb_files.json. `turns`: what so many of the context's first turns name is there; `complete`: and no more turns
    are to come.
    """

    context_id: str
    turns: int
    complete: bool = False


class Watch:
    """One context of a run, or of a branch. `look` and `move` are for its journal, in whichever thread that is; all
    else is `Copies`' own.
    """

    def __init__(self, copies: Copies, run_id: str, context_id: str, place: Path, turns: int) -> None:
        self._copies = copies
        self.run_id = run_id
        self.place = place
        self.context_id = context_id
        self.turns = turns
        self.left_out: int | None = None  # the first turn whose files are missing: another life tries again
        self.missing = ""  # why
        self.wanted, self.done = 1, 0  # looks, by number
        self.moves = 0
        self.ended = False
        self.dropped = False  # another one has its place
        self._noted = 0.0
        self._note = _Note("", 0)
        known = _read_note(place)
        if known is not None and known.context_id == context_id:
            self.turns = known.turns
            if known.complete:
                self.note(always=True)  # not any more

    @property
    def is_behind(self) -> bool:
        return bool(self.context_id) and self.done != self.wanted

    def look(self) -> None:
        """New turns are stored, or will be in a moment."""
        self._copies.wake(self)

    def move(self, context_id: str) -> None:
        """The journal goes on in another context, from its beginning."""
        self._copies.moved(self, context_id)

    def note(self, *, always: bool, complete: bool = False) -> None:
        """Keep on disk how far it has come; now and then, or `always`."""
        turns = self.turns if self.left_out is None else self.left_out
        note = _Note(self.context_id, turns, complete and not self.is_behind and not self.missing)
        if self.dropped:
            return
        if note != self._note and (always or time.monotonic() - self._noted >= NOTE_SECONDS):
            self._note, self._noted = note, time.monotonic()
            with suppress(AttractorError, OSError):  # what is lost with it is only done again
                write_atomic(self.place, encode_json(note) + b"\n", durable=False)


def is_complete(place: Path, context_id: str) -> bool:
    """Whether a life has ended with all of a context's copies there, as its note says."""
    note = _read_note(place)
    return note is not None and note.complete and note.context_id == context_id


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
        self._given_up = ""  # why the thread has ended before its time
        self._closing = False
        self._settling = False
        self._outage = ""
        self._missing = ""  # of watches that have ended
        self._steps = 0

    def watch(self, run_id: str, context_id: str, place: Path, turns: int = 0) -> Watch:
        """Follow a context, which has what its first `turns` turns name, or as far as `place` says. Turns of any other
        run than `run_id` are somebody else's.

        `context_id` '' for one that is still to be made (see `Watch.move`).
        """
        watch = Watch(self, run_id, context_id, place, turns)
        with self._changed:
            for old in [other for other in self._watches if other.place == place]:
                old.dropped = True
                self._watches.remove(old)
            self._watches.append(watch)
        return watch

    def wake(self, watch: Watch) -> None:
        with self._changed:
            watch.wanted += 1
            self._begin()
            self._changed.notify_all()

    def moved(self, watch: Watch, context_id: str) -> None:
        with self._changed:
            watch.context_id, watch.turns, watch.left_out, watch.missing = context_id, 0, None, ""
            watch.moves += 1
            watch.wanted += 1

    def end(self, place: Path) -> None:
        """The journal of the context whose note is at `place` is closed for good: what it has left is still done."""
        with self._changed:
            for watch in self._watches:
                if watch.place == place:
                    watch.ended = True
                    watch.wanted += 1
            self._changed.notify_all()

    def is_watched(self, place: Path) -> bool:
        with self._changed:
            return any(watch.place == place for watch in self._watches)

    def settle(self, wait_seconds: float, *, patient: bool = True, hurried: Callable[[], bool] = lambda: False) -> str:
        """Wait until all is there; what is missing and why, '' for nothing.

        No longer than `wait_seconds`; `patient`: twelve times that, as long as it comes forward, and until `hurried`.
        """
        began, rounds = time.monotonic(), PATIENT_ROUNDS if patient else 1
        with self._changed:
            self._settling = True
            for watch in self._watches:
                watch.wanted += 1
            self._begin()
            self._changed.notify_all()
            steps, moved = self._steps, began
            while self._is_behind() and not self._given_up and not hurried():
                now = time.monotonic()
                if steps != self._steps:
                    steps, moved = self._steps, now
                moved = max(moved, self._upload.moved)
                left = min(moved + wait_seconds, began + rounds * wait_seconds) - now
                if left <= 0:
                    break
                self._changed.wait(min(left, HURRY_SECONDS))
            behind = (self._outage or "there was no time for all of them") if self._is_behind() else ""
            return self._given_up or behind or next(filter(None, self._reasons()), "")

    def _reasons(self) -> list[str]:
        return [self._missing, *(watch.missing for watch in self._watches)]

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._worker is not None and not self._worker.join(CLOSE_SECONDS):
            self._upload.abort()
            if not self._worker.join(CLOSE_SECONDS):
                return  # it has the notes
        for watch in self._watches:
            if watch.context_id:
                watch.note(always=True, complete=True)

    # --- the thread ---

    def _begin(self) -> None:
        if self._worker is not None or self._given_up or self._closing:
            return
        worker = Worker(self._work)
        try:
            worker.start()
        except MemoryError as error:
            self._given_up = str(error)
        else:
            self._worker = worker

    def _is_behind(self) -> bool:
        return any(watch.is_behind for watch in self._watches)

    def _came_forward(self) -> None:
        with self._changed:
            self._steps += 1
            self._changed.notify_all()

    def _work(self) -> None:
        retry_seconds = RETRY_FIRST_SECONDS
        given_up = ""
        try:
            while self._await_work():
                self._rest(LOOK_SECONDS)
                if self._look_at_all():
                    retry_seconds = RETRY_FIRST_SECONDS
                else:
                    self._rest(retry_seconds)
                    retry_seconds = min(RETRY_MOST_SECONDS, 2 * retry_seconds)
        except MemoryError:
            given_up = "out of memory"
        except Exception as error:
            given_up = f"internal error: {error!r}"
        finally:
            self._upload.disconnect()
            with self._changed:
                self._given_up = given_up
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
        """Whether CXDB could be had for all of them."""
        with self._changed:
            todo = [watch for watch in self._watches if watch.is_behind]
        outage = ""
        for watch in todo:
            if self._closing:
                break
            try:
                self._look(watch)
            except CxdbError as error:
                self._upload.disconnect()
                outage = error.message
        with self._changed:
            self._outage = outage
            self._changed.notify_all()
        return not outage

    def _look(self, watch: Watch) -> None:
        with self._changed:
            aim, moves, context_id, seen = watch.wanted, watch.moves, watch.context_id, watch.turns
        turns = self._turns_from(int(context_id), seen)
        if turns is None:
            self._looked(watch, aim, moves, missing=f"CXDB does not know context {context_id} any more")
            return
        for some in (turns[at : at + BATCH_TURNS] for at in range(0, len(turns), BATCH_TURNS)):
            if self._closing:
                return
            left_out, missing = self._copy(watch, some)
            self._upload.sync()
            with self._changed:
                if watch.moves != moves or watch.dropped:
                    return
                watch.turns = some[-1].depth + 1
                if watch.left_out is None:
                    watch.left_out, watch.missing = left_out, missing
            watch.note(always=False)
        self._looked(watch, aim, moves)

    def _looked(self, watch: Watch, aim: int, moves: int, *, missing: str = "") -> None:
        with self._changed:
            if watch.moves != moves or watch.dropped:
                return
            watch.done, watch.missing = aim, missing or watch.missing
            if watch.ended and not watch.is_behind:
                watch.note(always=True, complete=True)
                self._missing = self._missing or watch.missing
                self._watches.remove(watch)
            self._steps += 1
            self._changed.notify_all()

    def _copy(self, watch: Watch, turns: Sequence[StoredTurn]) -> tuple[int | None, str]:
        """The depth of the first whose files are left out, and why."""
        naming = [turn for turn in turns if turn.type_id in _NAMING]
        payloads = self._upload.connection.get_blobs([turn.content_hash for turn in naming])
        first, why = None, ""
        for turn, payload in zip(naming, payloads, strict=True):
            name, fields = described(turn.type_id, payload)
            reason = self._copy_named(turn, name, fields) if fields.get("run_id") == watch.run_id else ""
            if reason and first is None:
                first, why = turn.depth, reason
        return first, why

    def _copy_named(self, turn: StoredTurn, name: str, fields: Mapping[str, Any]) -> str:
        """Why it is left out; '' where it is not."""
        if name == "GitCheckpoint" and self._trees is not None:
            return self._trees.show(turn.turn_id, str(fields.get("git_commit_sha", "")))
        if name == "Artifact" and (blob := blob_of(fields)) is not None:
            self._upload.put_blob(blob)
        return ""

    def _turns_from(self, context_id: int, seen: int) -> list[StoredTurn] | None:
        """The turns of a context behind its first `seen`, oldest first, without their payloads; None for a context that
        the server does not know: it ends the connection then, also when it is asked again.
        """
        count = FEW_TURNS  # mostly there are no more: to ask first how many would take as long again
        for _ in range(ASK_AGAIN):
            turns = self._newest(context_id, count)
            if turns is None:
                turns = self._newest(context_id, count)
            if not turns or turns[0].depth <= seen:
                # All that is new; nothing of a context that was made anew, whose journal moves then.
                return turns and [turn for turn in turns if turn.depth >= seen]
            # Some may be stored between this question and the next.
            count = min(turns[-1].depth + 1 - seen + FEW_TURNS, MOST_TURNS)
        raise CxdbError(f"CXDB does not give all turns of context {context_id}")

    def _newest(self, context_id: int, count: int) -> list[StoredTurn] | None:
        connection = self._upload.connection
        try:
            return connection.last_turn_facts(context_id, count)
        except CxdbOutcomeUnknown:
            if not connection.ended_by_peer:
                raise
            self._upload.disconnect()
            return None
