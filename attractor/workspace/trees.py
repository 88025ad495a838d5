"""Committed trees read for somebody else's use: what a commit holds, whatever becomes of the worktree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, TypeVar

import pygit2
from pygit2.enums import FileMode

from attractor.contracts import EntryKind, SourceEntry
from attractor.errors import WorkspaceError

_T = TypeVar("_T")
_KINDS: Final = {
    FileMode.TREE: (EntryKind.FOLDER, 0o755),
    FileMode.COMMIT: (EntryKind.FOLDER, 0o755),
    FileMode.LINK: (EntryKind.LINK, 0o777),
    FileMode.BLOB_EXECUTABLE: (EntryKind.FILE, 0o755),
}
_PLAIN: Final = (EntryKind.FILE, 0o644)


class GitTrees:
    """Implements `contracts.TreeSource` on a repository. Used by one thread; opened when first used."""

    def __init__(self, repository: Path) -> None:
        self._path = repository

    def tree_of(self, commit_sha: str) -> str:
        return self._read(commit_sha, lambda: str(self._repository[commit_sha].peel(pygit2.Tree).id))

    def entries(self, tree_id: str) -> Sequence[SourceEntry]:
        tree = self._read(tree_id, lambda: self._repository[tree_id].peel(pygit2.Tree))
        return [self._entry(entry) for entry in sorted(tree, key=lambda entry: entry.raw_name or b"")]

    def size(self, object_id: str) -> int:
        return int(self._read(object_id, lambda: self._repository.odb.read_header(object_id))[1])

    def content(self, object_id: str) -> bytes:
        return self._read(object_id, lambda: bytes(self._repository[object_id].peel(pygit2.Blob).data))

    def _entry(self, entry: pygit2.Object) -> SourceEntry:
        kind, mode = _KINDS.get(entry.filemode, _PLAIN)
        name = (entry.raw_name or b"").decode(errors="backslashreplace")
        if entry.filemode == FileMode.COMMIT:
            return SourceEntry(name, kind, mode, "")
        return SourceEntry(name, kind, mode, str(entry.id))

    @cached_property
    def _repository(self) -> pygit2.Repository:
        return pygit2.Repository(str(self._path))

    def _read(self, object_id: str, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except (pygit2.GitError, KeyError, OSError, ValueError) as error:
            raise WorkspaceError(f"{self._path}: object {object_id} cannot be read: {error}") from error
