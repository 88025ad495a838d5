"""Putting a commit's new objects on disk before anything names the commit (DESIGN 2.4).

libgit2 can do this itself, but then it syncs nine times a commit: every object and directory, the reference, its
log. Only the objects matter here. A reference lost to a power failure is put back from the checkpoint at resume.

A new file's own sync also makes its name durable on ext4, XFS and Btrfs; directories are not synced.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

# Past this many files one sync of the whole file system is cheaper than one of each.
SINGLE_SYNCS = 64


def sync_commit(repo: pygit2.Repository, objects: Path, commit_id: pygit2.Oid, parent: pygit2.Commit) -> None:
    """Make `commit_id`, and what its tree has beyond `parent`'s, durable. `objects`: the object directory."""
    commit = repo[commit_id].peel(pygit2.Commit)
    places = [_loose(objects, commit_id)]
    if commit.tree_id != parent.tree_id:
        for oid in _new_objects(repo, parent.tree, commit.tree):
            places.append(_loose(objects, oid))
            if len(places) > SINGLE_SYNCS:
                _sync_filesystem(objects)
                return
    for place in places:
        _sync_file(place)


def _new_objects(repo: pygit2.Repository, old: pygit2.Tree | None, new: pygit2.Tree) -> Iterator[pygit2.Oid]:
    """Ids of trees and blobs reachable from `new` and not at the same place in `old`."""
    yield new.id
    for entry in new:
        name = entry.name
        assert name is not None  # only objects outside of trees have none
        before = old[name] if old is not None and name in old else None
        if before is not None and before.id == entry.id:
            continue
        if isinstance(entry, pygit2.Tree):
            yield from _new_objects(repo, before if isinstance(before, pygit2.Tree) else None, entry)
        elif entry.filemode != FileMode.COMMIT:  # a submodule's commit lives in another repository
            yield entry.id


def _loose(objects: Path, oid: pygit2.Oid) -> str:
    name = str(oid)
    return f"{objects}/{name[:2]}/{name[2:]}"


def _sync_file(path: str) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # packed: it was there before
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_filesystem(folder: Path) -> None:
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(fd)
