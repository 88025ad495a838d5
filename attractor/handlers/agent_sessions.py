"""Sessions that several stages share under full fidelity (spec 5.4): which one goes on, and its files.

A program's session is files in its state root. Each stage has a state root of its own, so they are copied: out of the
stage that has ended well, and into the one that goes on. Which session a thread is at is remembered by one life of the
engine; behind a resume every thread begins anew, with a summary (spec 5.3).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from attractor.backends import Usage
from attractor.contracts import Redactor, StageRun
from attractor.graph import FULL, fidelity_along, thread_along, uses_full
from attractor.handlers.agent_home import make_private

THREADS = "threads.d"  # in the logs root; with a dot: no node id can be that


@dataclass(frozen=True, slots=True)
class AgentSession:
    """One program's session as its last stage has left it. `usage`: all it has used so far."""

    provider: str
    session_id: str
    files: Path
    usage: Usage


@dataclass(slots=True)
class Threads:
    """The sessions of one life's threads, by round (a loop restart begins anew) and thread key."""

    _sessions: dict[tuple[int, str], AgentSession] = field(default_factory=dict)

    def find(self, stage: StageRun) -> AgentSession | None:
        """The session to go on with; None where the stage begins one of its own."""
        if fidelity_of(stage) != FULL:
            return None
        return self._sessions.get((stage.restart_count, thread_of(stage)))

    def keep(self, stage: StageRun, provider: str, session_id: str, usage: Usage, paths: Iterable[str]) -> None:
        """Remember the session a stage has ended with: its thread's from now on, and the node's own, for a node behind
        it that names no thread.
        """
        if not session_id or not uses_full(stage.graph):
            return
        keys = {stage.node.id, *([thread_of(stage)] if fidelity_of(stage) == FULL else [])}
        for key in keys:
            name = hashlib.sha256(key.encode()).hexdigest()[:16]
            place = stage.stage_dir.parent / THREADS / f"{name}-{stage.visit}-{stage.attempt}-{stage.node.id}"
            copy_session(stage.stage_dir / "agent-home", place, paths)
            Redactor(stage.environment).tree(place)  # the stage's own files are looked through when it has ended
            older = self._sessions.get((stage.restart_count, key))
            self._sessions[stage.restart_count, key] = AgentSession(provider, session_id, place, usage)
            if older is not None and older.files != place:
                shutil.rmtree(older.files, ignore_errors=True)

    def drop(self, session: AgentSession) -> None:
        """A session that could not be gone on with: its thread begins anew."""
        self._sessions = {key: kept for key, kept in self._sessions.items() if kept != session}


def fidelity_of(stage: StageRun) -> str:
    return fidelity_along(stage.graph, stage.node, stage.incoming)[0]


def thread_of(stage: StageRun) -> str:
    if stage.incoming is not None:
        previous = stage.incoming.source_id
    else:
        previous = stage.completed[-1] if stage.completed else ""
    return thread_along(stage.graph, previous, stage.node, stage.incoming)[0]


def copy_session(source: Path, target: Path, paths: Iterable[str]) -> None:
    """Copy what is there of `paths` from one state root to another. Links are left out: an agent may have made them."""
    for name in paths:
        origin = source / name
        if origin.is_symlink():
            continue
        if origin.is_dir():
            shutil.copytree(origin, target / name, ignore=_links, dirs_exist_ok=True)
        elif origin.is_file():
            make_private(target.parent, str((Path(target.name) / name).parent))
            shutil.copyfile(origin, target / name, follow_symlinks=False)
    with suppress(FileNotFoundError):
        target.chmod(0o700)


def _links(folder: str, names: list[str]) -> set[str]:
    """Whatever is neither a file nor a folder stays behind."""
    return {name for name in names if not _is_plain(os.path.join(folder, name))}


def _is_plain(path: str) -> bool:
    return not os.path.islink(path) and (os.path.isfile(path) or os.path.isdir(path))
