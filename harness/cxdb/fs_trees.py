"""Filesystem snapshots: reading stored trees and walking a path through them.

A tree is a MessagePack array of maps: 1 name, 2 kind (0 file, 1 directory, 2 symbolic link), 3 mode,
4 size in bytes, 5 BLAKE3 of the content, subtree or link target. Keys may be numbers or text, since one
client library writes them as text. Wrong kinds of value leave a field at its zero.

Pure but for the lookup it is given; texts of refusals are the real server's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from harness.cxdb.errors import InvalidInput, NotFound, StoredDataInvalid
from harness.cxdb.fields import HASH_BYTES
from harness.cxdb.msgpack_values import Map, MsgpackInvalid, decode
from harness.cxdb.registry import U64_MAX, maybe_unsigned

__all__ = ["TreeEntry", "list_entries", "read_file"]

_DIRECTORY = 1
_KIND_NAMES = {0: "file", 1: "dir", 2: "symlink"}

BlobLookup = Callable[[bytes], bytes]


class TreeEntry(msgspec.Struct, frozen=True):
    """One name in a directory. `kind` over 2 counts as a file."""

    name: str = ""
    kind: int = 0
    mode: int = 0
    size: int = 0
    content_hash: bytes = b""

    @property
    def is_directory(self) -> bool:
        return self.kind == _DIRECTORY

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": _KIND_NAMES.get(self.kind, "file"),
            "mode": f"{self.mode:o}",
            "size": self.size,
            "hash": self.content_hash.hex(),
        }

    def checked_hash(self) -> bytes:
        if len(self.content_hash) != HASH_BYTES:
            raise StoredDataInvalid(f"invalid hash length: {len(self.content_hash)}")
        return self.content_hash


def read_file(blob: BlobLookup, root: bytes, path: str) -> tuple[bytes, TreeEntry]:
    """Content of a file, or target of a link, at `path`; raises NotFound or InvalidInput."""
    parts = _parts(path)
    if not parts:
        raise InvalidInput("empty path")
    entry = _walk(blob, root, parts)
    if entry.is_directory:
        raise InvalidInput(f"path is a directory: {path}")
    return blob(entry.checked_hash()), entry


def list_entries(blob: BlobLookup, root: bytes, path: str) -> list[TreeEntry]:
    """Entries of the directory at `path`, "" for the root; raises NotFound or InvalidInput."""
    parts = _parts(path)
    if not parts:
        return _entries(blob(root))
    entry = _walk(blob, root, parts)
    content_hash = entry.checked_hash()
    if not entry.is_directory:
        raise InvalidInput(f"path is not a directory: {path}")
    return _entries(blob(content_hash))


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _walk(blob: BlobLookup, root: bytes, parts: list[str]) -> TreeEntry:
    entry = TreeEntry(kind=_DIRECTORY, content_hash=root)
    for index, part in enumerate(parts):
        if index and not entry.is_directory:
            raise InvalidInput(f"not a directory: {parts[index - 1]}")
        maybe_entry = next((e for e in _entries(blob(entry.content_hash)) if e.name == part), None)
        if maybe_entry is None:
            raise NotFound(f"path component not found: {part}")
        entry = maybe_entry
        entry.checked_hash()
    return entry


def _entries(tree: bytes) -> list[TreeEntry]:
    try:
        value = decode(tree)
    except MsgpackInvalid as error:
        raise StoredDataInvalid(f"invalid tree msgpack: {error}") from error
    if not isinstance(value, list) or isinstance(value, Map):
        raise StoredDataInvalid("tree is not an array")
    return [_entry(item) for item in value]


def _entry(value: Any) -> TreeEntry:
    if not isinstance(value, Map):
        raise StoredDataInvalid("tree entry is not a map")
    found: dict[str, Any] = {}
    for key, item in value:
        tag = maybe_unsigned(key, U64_MAX) if isinstance(key, str) else key
        is_number = type(item) is int
        if tag == 1 and isinstance(item, str):
            found["name"] = item
        elif tag == 2 and is_number:
            found["kind"] = max(item, 0) & 0xFF
        elif tag == 3 and is_number:
            found["mode"] = max(item, 0) & 0xFFFFFFFF
        elif tag == 4 and is_number:
            found["size"] = max(item, 0)
        elif tag == 5 and type(item) is bytes:
            found["content_hash"] = item
    return TreeEntry(**found)
