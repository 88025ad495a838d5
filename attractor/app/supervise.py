"""`attractor supervise`: resumes crashed runs by itself, with back-off and a limit.

A run is crashed where no engine holds it and no final.json says how it ended; one that failed or was canceled is left
to its people. What is done about a run is decided by a pure function from what is known of it (`decide`).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from attractor.app.detach import RESUME_WAIT_SECONDS, launch
from attractor.app.inspect import RunStatus, RunView, newest_root, runs_in
from attractor.contracts import EventName, NotReadable, Stop, read_json
from attractor.errors import AttractorError, RunDirectoryError
from attractor.rundir import Event, load_checkpoint, make_directory, pretty_json, write_atomic

LOCK_NAME, NOTES_NAME = ".supervise.lock", ".supervise.json"


@dataclass(frozen=True, slots=True)
class SupervisePolicy:
    """`max_attempts`: resumes in a row without a node finished between them. Durations in seconds."""

    interval_seconds: float = 5.0
    backoff_seconds: float = 10.0
    max_backoff_seconds: float = 600.0
    max_attempts: int = 5

    def delay_seconds(self, attempts: int) -> float:
        """The wait behind so many resumes in a row: doubling, none before the first."""
        if attempts == 0:
            return 0.0
        return min(self.max_backoff_seconds, self.backoff_seconds * 2.0 ** min(attempts - 1, 30))


class Note(msgspec.Struct, frozen=True):
    """What is remembered of a run. `finished`: nodes it had finished at the newest resume; `at`: its time, Unix."""

    finished: int
    attempts: int = 0
    at: float = 0.0
    given_up: bool = False


class Ruling(StrEnum):
    RESUME = "resume"
    WAIT = "wait"
    GIVE_UP = "give up"
    LEAVE = "leave"


def decide(note: Note | None, finished: int, now: float, policy: SupervisePolicy) -> tuple[Ruling, Note]:
    """What to do about a crashed run that has finished so many nodes, and what to remember. Pure.

    Progress since the last resume makes the run a new case: something else than what killed it before.
    """
    if note is None or finished != note.finished:
        note = Note(finished)
    if note.given_up:
        return Ruling.LEAVE, note
    if note.attempts >= policy.max_attempts:
        return Ruling.GIVE_UP, msgspec.structs.replace(note, given_up=True)
    # A clock that was set back must not make it wait for ever.
    waited = now - note.at if now >= note.at else policy.max_backoff_seconds
    if waited < policy.delay_seconds(note.attempts):
        return Ruling.WAIT, note
    return Ruling.RESUME, msgspec.structs.replace(note, attempts=note.attempts + 1, at=now)


def _where(newest: Event | None) -> str:
    """Where a run stood when its engine died."""
    if newest is None or "node_id" not in newest:
        return "before its first node" if newest is None else "between two nodes"
    word = "behind" if newest["event"] == EventName.CHECKPOINT_SAVED else "in"
    return f"{word} node {newest['node_id']}"


@dataclass(slots=True)
class Supervisor:
    """Watches the runs of one folder. `say` is told, in one line each, of everything that is done and why."""

    home: Path
    policy: SupervisePolicy
    environment: Mapping[str, str]
    say: Callable[[str], None]
    clock: Callable[[], float] = time.time
    _damaged: dict[Path, str] = field(default_factory=dict)  # told already

    def watch(self, stop: Stop, *, once: bool = False) -> None:
        """Look, resume and wait until `stop`; with `once`, one look. Raises RunDirectoryError where somebody else
        watches the folder.
        """
        if not self.home.is_dir():
            make_directory(self.home)
        with self._alone():
            notes = self._read_notes()
            self.say(f"supervise: watching {self.home}")
            while True:
                notes = self._look(notes)
                if once or stop.wait(self.policy.interval_seconds):
                    return

    def _look(self, notes: dict[str, Note]) -> dict[str, Note]:
        after: dict[str, Note] = {}
        for view in runs_in(self.home, self._tell_damage):
            if view.status is RunStatus.CRASHED:
                after[view.manifest.run_id] = self._care_for(view, notes.get(view.manifest.run_id))
            elif view.manifest.run_id in notes:
                if view.status is RunStatus.RUNNING:
                    after[view.manifest.run_id] = notes[view.manifest.run_id]
                else:
                    self.say(f"supervise: {view.manifest.run_id} has ended: {view.status.value}")
        if after != notes:
            write_atomic(self.home / NOTES_NAME, pretty_json(after), durable=False)
        return after

    def _tell_damage(self, place: Path, why: str) -> None:
        if self._damaged.get(place) != why:
            self._damaged[place] = why
            self.say(f"supervise: {place} cannot be read, and is left alone: {why}")

    def _care_for(self, view: RunView, note: Note | None) -> Note:
        run_id, root = view.manifest.run_id, view.layout.root
        ruling, after = decide(note, finished_nodes(view), self.clock(), self.policy)
        if ruling is Ruling.GIVE_UP:
            self.say(
                f"supervise: {run_id} crashed again {after.attempts} times without finishing a node: given up; "
                f"look into {view.layout.out}, then: {view.advice}"
            )
        if ruling is not Ruling.RESUME:
            return after
        where = _where(view.newest)
        attempt = f"attempt {after.attempts} of {self.policy.max_attempts}"
        self.say(f"supervise: {run_id} crashed {where}; resuming ({attempt})")
        try:
            arguments = ["resume", "--quiet", "--logs-root", str(root)]
            launched = launch(view.layout, arguments, self.environment, wait_seconds=RESUME_WAIT_SECONDS)
        except AttractorError as error:
            delay = self.policy.delay_seconds(after.attempts)
            self.say(f"supervise: {run_id} cannot be resumed: {error.brief}; next try in {delay:g} s")
        else:
            self.say(f"supervise: {run_id} goes on as process {launched.pid}")
        return after

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fd = os.open(self.home / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
                raise RunDirectoryError(
                    f"{self.home} is already watched, by process {holder}", hint="one supervisor is enough for a folder"
                ) from error
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(fd)

    def _read_notes(self) -> dict[str, Note]:
        """Of an earlier supervisor. Damaged notes only cost the counts."""
        with suppress(OSError, NotReadable):
            return read_json((self.home / NOTES_NAME).read_bytes(), dict[str, Note])
        return {}


def finished_nodes(view: RunView) -> int:
    """How far a run has come: finished nodes over all its rounds; 0 where no checkpoint can be read."""
    try:
        return load_checkpoint(newest_root(view.layout)).sequence
    except (RunDirectoryError, OSError):
        return 0
