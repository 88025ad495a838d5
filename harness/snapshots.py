"""The files that CXDB has of a run: those of its commits, beside what git has for them, and those that turns name.

Both are said in git's own terms, the hash made here from the content that CXDB gives out. So a file that is listed and
not stored, or has another one's content, is a difference. Reads only; what cannot be read is said so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from blake3 import blake3

from harness.cxdb.errors import CxdbError, CxdbRefused
from harness.cxdb.probe import holds_blob
from harness.cxdb.reader import Listed, can_be_asked_for, read_folder, read_shown_file
from harness.errors import HarnessError
from harness.evidence import Artifact, FileSeen, Snapshot, Turn
from harness.repos import Git

__all__ = ["read_artifacts", "read_snapshots"]

MOST_CONTENTS = 200  # of one run; beyond that, and where CXDB cannot be asked, name, mode and size are compared
SECONDS = 10.0
_MODES = {"symlink": "120000"}


def read_snapshots(url: str, git: Git, turns: Iterable[Turn], turn_type: str) -> tuple[Snapshot, ...]:
    """One for each turn of `turn_type`, which names a commit."""
    reader = _Reader(url, git)
    return tuple(reader.read(turn) for turn in turns if turn.turn_type == turn_type)


def read_artifacts(address: str, turns: Iterable[Turn], turn_type: str) -> tuple[Artifact, ...]:
    """One for each turn of `turn_type`, which names a file and its hash."""
    return tuple(_artifact(address, turn) for turn in turns if turn.turn_type == turn_type)


def _artifact(address: str, turn: Turn) -> Artifact:
    named, place = str(turn.data.get("content_hash", "")), Path(str(turn.data.get("local_path", "")))
    name = f"{turn.data.get('node_id')}/{turn.data.get('name')}"
    try:
        there = blake3(place.read_bytes()).hexdigest() == named
    except OSError:
        there = False
    try:
        return Artifact(name, named, there, holds_blob(address, bytes.fromhex(named), SECONDS))
    except (OSError, ValueError) as error:
        return Artifact(name, named, there, False, f"{address}: {error}")


class _Reader:
    """What was read once is not read again: most commits leave most files as they are."""

    def __init__(self, url: str, git: Git) -> None:
        self._url = url
        self._git = git
        self._shown: dict[str, Mapping[str, FileSeen]] = {}
        self._committed: dict[str, Mapping[str, FileSeen]] = {}
        self._hashes: dict[str, str] = {}

    def read(self, turn: Turn) -> Snapshot:
        commit = str(turn.data.get("git_commit_sha", ""))
        try:
            if commit not in self._committed:
                self._committed[commit] = self._of_git(commit)
            return Snapshot(commit, turn.depth, self._of_cxdb(turn.turn_id), self._committed[commit])
        except (CxdbError, HarnessError) as error:
            return Snapshot(commit, turn.depth, unreadable=str(error))

    def _of_git(self, commit: str) -> Mapping[str, FileSeen]:
        told = self._git.run_bytes("ls-tree", "-r", "-l", "-z", commit)
        lines = told.decode(errors="backslashreplace").split("\0")
        found = {}
        for line in filter(None, lines):
            about, _, path = line.partition("\t")
            mode, kind, sha, size = about.split()
            if kind == "blob":
                found[path] = FileSeen(mode, sha, int(size))
        return found

    def _of_cxdb(self, turn_id: int) -> Mapping[str, FileSeen] | None:
        try:
            root, entries = read_folder(self._url, turn_id, "")
        except CxdbRefused as refused:
            if refused.status == 404:
                return None
            raise
        if root not in self._shown:
            self._shown[root] = dict(self._below(turn_id, "", entries))
        return self._shown[root]

    def _below(self, turn_id: int, folder: str, entries: Iterable[Listed]) -> Iterator[tuple[str, FileSeen]]:
        for entry in entries:
            path = f"{folder}{entry.name}"
            if entry.kind == "dir":
                yield from self._below(turn_id, f"{path}/", read_folder(self._url, turn_id, path)[1])
            else:
                mode = _MODES.get(entry.kind, f"100{entry.mode}")
                yield path, FileSeen(mode, self._git_hash(turn_id, path, entry), entry.size)

    def _git_hash(self, turn_id: int, path: str, entry: Listed) -> str:
        if entry.hash not in self._hashes and len(self._hashes) < MOST_CONTENTS and can_be_asked_for(path):
            content = read_shown_file(self._url, turn_id, path)
            self._hashes[entry.hash] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return self._hashes.get(entry.hash, "")
