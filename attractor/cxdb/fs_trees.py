"""CXDB's filesystem trees as bytes. Pure.

A tree is a MessagePack array of maps: "1" name, "2" kind, "3" permission bits, "4" size in bytes, "5" BLAKE3 of the
content (for a folder: of its tree; for a link: of its target), sorted by name. Keys are text and numbers have fixed
widths, as CXDB's own client writes them: the same files then are the same bytes, and stored once, whoever stores them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

import msgspec

from attractor.contracts import EntryKind

_text = msgspec.msgpack.Encoder().encode
_FIELDS: Final = struct.Struct(">2sBB2sBI2sBQ2sBB32s")


def encode_entry(name: str, kind: EntryKind, mode: int, size: int, content_hash: bytes) -> bytes:
    """One name in a folder. `mode`: permission bits; `size`: 0 for folders."""
    fields = _FIELDS.pack(
        b"\xa12", 0xCC, kind,
        b"\xa13", 0xCE, mode,
        b"\xa14", 0xCF, size,
        b"\xa15", 0xC4, 32, content_hash,
    )  # fmt: skip
    return b"\x85\xa11" + _text(name) + fields


def encode_tree(entries: Iterable[bytes]) -> bytes:
    """A folder of encoded entries, which are to be in the order of their names as bytes."""
    encoded = list(entries)
    return _array_head(len(encoded)) + b"".join(encoded)


def _array_head(count: int) -> bytes:
    if count < 16:
        return bytes([0x90 | count])
    return struct.pack(">BH", 0xDC, count) if count < 1 << 16 else struct.pack(">BI", 0xDD, count)
