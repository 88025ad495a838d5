"""Copying committed trees into CXDB, and letting turns show them.

Folders go in behind what they hold. So a server that has a folder has all of it: what is asked about is the top of a
large tree, not each of its files, and a run that begins where another one began sends nothing.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Sequence
from functools import partial
from typing import Final

from blake3 import blake3

from attractor.contracts import EntryKind, SourceEntry, TreeSource
from attractor.cxdb.connection import MAX_BLOB_BYTES
from attractor.cxdb.fs_trees import encode_entry, encode_tree
from attractor.cxdb.upload import Upload
from attractor.errors import WorkspaceError

# Asking for a tree that is not there costs a connection: only where much may be spared, and not without end.
WORTH_ASKING: Final = 16
MOST_ASKED_IN_VAIN: Final = 24
NOTICE: Final = "SNAPSHOT-LEFT-OUT.txt"
_EMPTY_TREE: Final = encode_tree(())


class _LeftOut(Exception):
    """A tree that is not copied, and why."""


class TreeUpload:
    """Remembers what it has hashed. Used by one thread, that of `upload`."""

    def __init__(self, upload: Upload, source: TreeSource, max_bytes: int) -> None:
        """`max_bytes`: of all files of a tree together."""
        self._upload = upload
        self._source = source
        self._max_bytes = max_bytes
        self._files: dict[str, bytes] = {}
        self._sizes: dict[str, int] = {}
        self._entries: dict[SourceEntry, bytes] = {}
        self._tree_sizes: dict[str, int] = {}
        self._trees: dict[str, bytes] = {}

    def show(self, turn_id: int, commit_sha: str) -> str:
        """Let a stored turn show a commit's tree, which is copied where it is not there yet; done with the next `sync`.

        A tree that cannot be copied is one file instead that says why, since older files would be taken for the
        commit's. That reason, or ''. Raises CxdbError where the server cannot be had or does not know the turn.
        """
        try:
            tree_id = self._source.tree_of(commit_sha)
            root = self._hash_tree(tree_id)
            self._put_tree(tree_id)
        except (_LeftOut, WorkspaceError) as error:
            reason = f"commit {commit_sha[:12]}: {error}"
            self._upload.connection.attach_fs(turn_id, self._put_notice(f"left out: {reason}\n"))
            return reason
        self._upload.connection.attach_fs(turn_id, root)
        return ""

    def _put_notice(self, text: str) -> bytes:
        content = text.encode()
        content_hash = blake3(content).digest()
        tree = encode_tree([encode_entry(NOTICE, EntryKind.FILE, 0o644, len(content), content_hash)])
        self._upload.put(content_hash, lambda: content)
        self._upload.put(root := blake3(tree).digest(), lambda: tree)
        return root

    # --- what a tree is ---

    def _children_first(self, tree_id: str, known: Container[str]) -> Iterator[tuple[str, Sequence[SourceEntry]]]:
        """The trees of a tree that are not `known`, each behind those that it holds, to be made known then. Without
        recursion: how deep a tree is, is its author's choice.
        """
        todo = [tree_id]
        while todo:
            if todo[-1] in known:
                todo.pop()
                continue
            entries = self._source.entries(todo[-1])
            missing = [entry.object_id for entry in entries if _is_tree(entry) and entry.object_id not in known]
            if missing:
                todo += missing
            else:
                yield todo.pop(), entries
            time.sleep(0)  # as in `Upload.put_blob`

    def _measure(self, tree_id: str) -> None:
        """Before anything of it is read: it may be too large."""
        for current, entries in self._children_first(tree_id, self._tree_sizes):
            size = sum(self._size(entry) for entry in entries)
            if size > self._max_bytes:
                raise _LeftOut(f"its files have over {self._max_bytes >> 20} MiB, which is cxdb.snapshots.max_mib")
            self._tree_sizes[current] = size

    def _hash_tree(self, tree_id: str) -> bytes:
        self._measure(tree_id)
        for current, entries in self._children_first(tree_id, self._trees):
            content = encode_tree(map(self._entry, entries))
            if len(content) > MAX_BLOB_BYTES:
                raise _LeftOut(f"one of its folders has {len(entries)} files, which CXDB does not take at once")
            self._trees[current] = blake3(content).digest()
        return self._trees[tree_id]

    def _size(self, entry: SourceEntry) -> int:
        if _is_tree(entry):
            return self._tree_sizes[entry.object_id]
        if not entry.object_id:
            return 0
        size = self._sizes.get(entry.object_id)
        if size is None:
            size = self._sizes[entry.object_id] = self._source.size(entry.object_id)
        if size > MAX_BLOB_BYTES:
            raise _LeftOut(f"{entry.name} has {size} bytes, and CXDB takes none of over {MAX_BLOB_BYTES}")
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
            return self._trees[entry.object_id]
        known = self._files.get(entry.object_id)
        if known is None:
            known = self._files[entry.object_id] = blake3(self._source.content(entry.object_id)).digest()
            time.sleep(0)  # as in `Upload.put_blob`
        return known

    # --- what the server lacks ---

    def _put_tree(self, tree_id: str) -> None:
        asked_in_vain = 0
        todo = [(tree_id, False)]
        while todo:
            current, entered = todo.pop()
            if self._upload.has_put(self._trees[current]):
                continue
            if entered:
                self._put_folder(current)
                continue
            if asked_in_vain < MOST_ASKED_IN_VAIN and self._lacks_much(current):
                if self._upload.holds(self._trees[current]):
                    continue
                asked_in_vain += 1
            todo.append((current, True))
            todo += [(e.object_id, False) for e in self._source.entries(current) if _is_tree(e)]

    def _lacks_much(self, tree_id: str) -> bool:
        """Whether so much of a tree is not known to be there that asking may spare more than it costs."""
        lacking, todo = 0, [tree_id]
        while todo and lacking < WORTH_ASKING:
            new = [e for e in self._source.entries(todo.pop()) if not self._upload.has_put(self._hash_of(e))]
            lacking += 1 + sum(not _is_tree(entry) for entry in new)
            todo += [entry.object_id for entry in new if _is_tree(entry)]
        return lacking >= WORTH_ASKING

    def _put_folder(self, tree_id: str) -> None:
        entries = self._source.entries(tree_id)
        for entry in entries:
            if not _is_tree(entry):
                self._upload.put(self._hash_of(entry), partial(_content, self._source, entry))
        self._upload.put(self._trees[tree_id], lambda: encode_tree(map(self._entry, entries)), small=True)


def _is_tree(entry: SourceEntry) -> bool:
    return entry.kind is EntryKind.FOLDER and bool(entry.object_id)


def _content(source: TreeSource, entry: SourceEntry) -> bytes:
    return source.content(entry.object_id) if entry.object_id else _EMPTY_TREE
