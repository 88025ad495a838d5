"""Trees of committed files, as whoever copies them elsewhere sees them: git's, without git's types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class EntryKind(IntEnum):
    """The numbers are CXDB's."""

    FILE = 0
    FOLDER = 1
    LINK = 2


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One name in a folder. `object_id`: of its content or, for a folder, of its tree; '' for one whose files are not
    kept here (a submodule). `mode`: permission bits.
    """

    name: str
    kind: EntryKind
    mode: int
    object_id: str


class TreeSource(Protocol):
    """Committed trees by the id of a commit and of what it holds. Everything raises WorkspaceError where an object is
    not there or cannot be read.
    """

    def tree_of(self, commit_sha: str) -> str: ...

    def entries(self, tree_id: str) -> Sequence[SourceEntry]:
        """In the order of their names as bytes (git sorts folders otherwise)."""
        ...

    def size(self, object_id: str) -> int:
        """Of a file or a link's target, in bytes."""
        ...

    def content(self, object_id: str) -> bytes:
        """Of a file; of a link, its target."""
        ...
