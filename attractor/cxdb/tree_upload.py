"""Copying committed trees into CXDB, each file and folder once.

Folders go in behind what they hold. So a server that has a folder has all of it: what is asked about is the top of a
large tree, not each of its files, and a run that begins where another one began sends nothing.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from blake3 import blake3

from attractor.contracts import EntryKind, SourceEntry, TreeSource
from attractor.cxdb.connection import MAX_BLOB_BYTES, CxdbConnection
from attractor.cxdb.fs_trees import encode_entry, encode_tree
from attractor.errors import CxdbOutcomeUnknown, WorkspaceError

BATCH_BYTES = 1 << 20
BATCH_BLOBS = 64
# Asking for a tree that is not there costs a connection: only where much may be spared, and not without end.
WORTH_ASKING = 16
MOST_ASKED_IN_VAIN = 24
NOTICE: Final = "SNAPSHOT-LEFT-OUT.txt"
_EMPTY_TREE: Final = encode_tree(())


class _LeftOut(Exception):
    """A tree that is not copied, and why."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a tree. `size`: of all its files, in bytes; `objects`: files and folders, itself included."""

    content_hash: bytes
    size: int
    objects: int


class TreeUpload:
    """Knows what it has hashed and, for the connection it has, what the server holds. Used by one thread.

    `connect()` makes a connection that is this object's from then on; `progress()` is called when something has been
    taken in by the server.
    """

    def __init__(
        self,
        source: TreeSource,
        max_bytes: int,
        connect: Callable[[], CxdbConnection],
        progress: Callable[[], object] = lambda: None,
    ) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self._connect = connect
        self._progress = progress
        self._connection: CxdbConnection | None = None
        self._files: dict[str, bytes] = {}
        self._sizes: dict[str, int] = {}
        self._entries: dict[SourceEntry, bytes] = {}
        self._trees: dict[str, _Known] = {}
        self._held: set[bytes] = set()  # by the server, as far as this connection has told
        self._witness = b""  # the newest tree among them
        self._batch_bytes = 0

    @property
    def connection(self) -> CxdbConnection:
        """The one in use; a new one where there is none. Raises CxdbUnreachable."""
        if self._connection is None:
            self._held.clear()  # it may be another server by now, or one that has forgotten all
            self._witness = b""
            self._connection = self._connect()
        return self._connection

    def disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def abort(self) -> None:
        """From another thread: end what is being waited for."""
        connection = self._connection
        if connection is not None:
            connection.abort()

    def show(self, turn_id: int, commit_sha: str) -> str:
        """Let a stored turn show a commit's tree, which is copied where it is not there yet; done with the next `sync`.

        A tree that cannot be copied is one file instead that says why, since older files would be taken for the
        commit's. That reason, or ''. Raises CxdbError where the server cannot be had or does not know the turn.
        """
        try:
            tree_id = self._source.tree_of(commit_sha)
            root = self._hash_tree(tree_id).content_hash
            self._put_tree(tree_id)
        except (_LeftOut, WorkspaceError) as error:
            reason = f"commit {commit_sha[:12]}: {error}"
            self.connection.attach_fs(turn_id, self._put_notice(f"left out: {reason}\n"))
            return reason
        self.connection.attach_fs(turn_id, root)
        return ""

    def sync(self) -> None:
        """Wait until the server has answered all; what it has not answered is sent again, on another connection."""
        self._batch_bytes = 0
        connection = self.connection
        while connection.outstanding:
            connection.await_answer()
            self._progress()

    def _put_notice(self, text: str) -> bytes:
        content = text.encode()
        content_hash = blake3(content).digest()
        tree = encode_tree([encode_entry(NOTICE, EntryKind.FILE, 0o644, len(content), content_hash)])
        self._put(content_hash, lambda: content)
        self._put(root := blake3(tree).digest(), lambda: tree)
        return root

    # --- what a tree is ---

    def _hash_tree(self, tree_id: str) -> _Known:
        """Children before their folders, without recursion: how deep a tree is, is its author's choice."""
        todo = [tree_id]
        while todo:
            current = todo[-1]
            if current in self._trees:
                todo.pop()
                continue
            entries = self._source.entries(current)
            missing = [entry.object_id for entry in entries if _is_tree(entry) and entry.object_id not in self._trees]
            if missing:
                todo += missing
                continue
            size = sum(self._size(entry) for entry in entries)
            if size > self._max_bytes:
                raise _LeftOut(f"its files have over {self._max_bytes >> 20} MiB, which is cxdb.snapshots.max_mib")
            content = encode_tree(map(self._entry, entries))
            objects = 1 + sum(self._trees[e.object_id].objects if _is_tree(e) else 1 for e in entries)
            self._trees[current] = _Known(blake3(content).digest(), size, objects)
        return self._trees[tree_id]

    def _size(self, entry: SourceEntry) -> int:
        if _is_tree(entry):
            return self._trees[entry.object_id].size
        if not entry.object_id:
            return 0
        size = self._sizes.get(entry.object_id)
        if size is None:
            size = self._sizes[entry.object_id] = self._source.size(entry.object_id)
        return size

    def _entry(self, entry: SourceEntry) -> bytes:
        known = self._entries.get(entry)
        if known is None:
            size = 0 if entry.kind is EntryKind.FOLDER else self._size(entry)
            known = encode_entry(entry.name, entry.kind, entry.mode, size, self._hash_of(entry))
            self._entries[entry] = known
        return known

    def _hash_of(self, entry: SourceEntry) -> bytes:
        if not entry.object_id:
            return blake3(_EMPTY_TREE).digest()
        if _is_tree(entry):
            return self._trees[entry.object_id].content_hash
        known = self._files.get(entry.object_id)
        if known is None:
            size = self._size(entry)
            if size > MAX_BLOB_BYTES:
                raise _LeftOut(f"{entry.name} has {size} bytes, and CXDB takes none of over {MAX_BLOB_BYTES}")
            known = self._files[entry.object_id] = blake3(self._source.content(entry.object_id)).digest()
            time.sleep(0)  # stages do not wait for this thread any longer than for one file
        return known

    # --- what the server lacks ---

    def _put_tree(self, tree_id: str) -> None:
        asked_in_vain = 0
        todo = [(tree_id, False)]
        while todo:
            current, entered = todo.pop()
            known = self._trees[current]
            if known.content_hash in self._held:
                continue
            if not entered:
                if known.objects >= WORTH_ASKING and asked_in_vain < MOST_ASKED_IN_VAIN:
                    if self._holds(known.content_hash):
                        continue
                    asked_in_vain += 1
                todo.append((current, True))
                todo += [(e.object_id, False) for e in self._source.entries(current) if _is_tree(e)]
                continue
            self._put_folder(current, known)

    def _holds(self, content_hash: bytes) -> bool:
        """Whether the server has a tree. One that has not ends the connection."""
        self.sync()
        if not self._has(content_hash):
            held, witness = set(self._held), self._witness
            self.disconnect()
            # What was put before stays known, unless this is a server that has been started again and forgotten it.
            if witness and self._has(witness):
                self._held, self._witness = held, witness
            elif witness:
                self.disconnect()
            return False
        self._held.add(content_hash)
        return True

    def _has(self, content_hash: bytes) -> bool:
        connection = self.connection
        try:
            connection.get_blob(content_hash)
        except CxdbOutcomeUnknown:
            if not connection.ended_by_peer:
                raise
            return False
        return True

    def _put_folder(self, tree_id: str, known: _Known) -> None:
        entries = self._source.entries(tree_id)
        for entry in entries:
            if not _is_tree(entry):
                self._put(self._hash_of(entry), partial(_content, self._source, entry))
        self._put(known.content_hash, lambda: encode_tree(map(self._entry, entries)))
        self._witness = known.content_hash

    def _put(self, content_hash: bytes, content: Callable[[], bytes]) -> None:
        if content_hash in self._held:
            return
        data = content()
        self.connection.put_blob(content_hash, io.BytesIO(data), len(data))
        self._held.add(content_hash)
        self._batch_bytes += len(data)
        if self._batch_bytes > BATCH_BYTES or self.connection.outstanding >= BATCH_BLOBS:
            self.sync()
        time.sleep(0)


def _is_tree(entry: SourceEntry) -> bool:
    return entry.kind is EntryKind.FOLDER and bool(entry.object_id)


def _content(source: TreeSource, entry: SourceEntry) -> bytes:
    return source.content(entry.object_id) if entry.object_id else _EMPTY_TREE
