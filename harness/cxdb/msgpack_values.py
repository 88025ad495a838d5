"""A MessagePack reader that sees what CXDB's own reader sees.

msgspec's decoder is stricter than the real server: it refuses trailing bytes, text that is not UTF-8 and
keys that cannot be hashed, and it merges `1`, `1.0` and `true` as keys. CXDB accepts all of these, and a
client that sends them must not pass here and fail there, or the reverse. So maps keep their pairs in
order, and unreadable text stays apart from text.

Value forms: None, bool, int, float, str, bytes (binary), list (array), `Map`, `Unreadable` (text that is
not UTF-8; extensions; they have no JSON form). Bytes after the first value are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct as Layout
from typing import Any

__all__ = ["MAX_DEPTH", "Extension", "Map", "MsgpackInvalid", "UnreadableText", "decode"]

# The real reader's limit. It counts steps of its own recursion: a number is one, binary data two, text three,
# and an array or map two before its items, so values nest about 510 deep.
MAX_DEPTH = 1024


class MsgpackInvalid(ValueError):
    """The bytes do not hold one whole value; the text is the real reader's."""


class Map(list[tuple[Any, Any]]):
    """A map as its (key, value) pairs in order, duplicates included."""


class UnreadableText(bytes):
    """A string whose bytes are not UTF-8."""


class Extension:
    """An extension value. CXDB has no use for its content."""


_EXTENSION = Extension()


def _check_depth(depth: int) -> None:
    if depth < 1:
        raise MsgpackInvalid("depth limit exceeded")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def number(self, layout: Layout) -> Any:
        if self.at + layout.size > len(self.data):
            raise MsgpackInvalid("I/O error while reading non-marker bytes: failed to fill whole buffer")
        value = layout.unpack_from(self.data, self.at)[0]
        self.at += layout.size
        return value

    def binary(self, count: int, depth: int) -> bytes:
        _check_depth(depth)
        raw = self.data[self.at : self.at + count]
        if len(raw) < count:
            problem = f"Expected {count} bytes, read {len(raw)} bytes"
            raise MsgpackInvalid(f"I/O error while reading non-marker bytes: {problem}")
        self.at += count
        return raw

    def text(self, count: int, depth: int) -> str | UnreadableText:
        raw = self.binary(count, depth - 1)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return UnreadableText(raw)

    def array(self, count: int, depth: int) -> list[Any]:
        _check_depth(depth)
        return [self.value(depth - 1) for _ in range(count)]

    def map(self, count: int, depth: int) -> Map:
        _check_depth(depth)
        return Map([(self.value(depth - 1), self.value(depth - 1)) for _ in range(count)])

    def extension(self, count: int, depth: int) -> Extension:
        _check_depth(depth)
        self.number(_U8)  # its type code
        self.binary(count, depth - 1)
        return _EXTENSION

    def value(self, depth: int) -> Any:
        _check_depth(depth)
        if self.at >= len(self.data):
            raise MsgpackInvalid("I/O error while reading marker byte: failed to fill whole buffer")
        marker = self.data[self.at]
        self.at += 1
        if marker < 0x80:
            return marker
        if marker >= 0xE0:
            return marker - 0x100
        if marker < 0x90:
            return self.map(marker & 0x0F, depth - 1)
        if marker < 0xA0:
            return self.array(marker & 0x0F, depth - 1)
        if marker < 0xC0:
            return self.text(marker & 0x1F, depth - 1)
        return _BY_MARKER[marker](self, depth - 1)


_U8, _U16, _U32, _U64 = Layout(">B"), Layout(">H"), Layout(">I"), Layout(">Q")
_I8, _I16, _I32, _I64 = Layout(">b"), Layout(">h"), Layout(">i"), Layout(">q")
_F32, _F64 = Layout(">f"), Layout(">d")

_BY_MARKER: dict[int, Callable[[_Reader, int], Any]] = {
    0xC0: lambda r, d: None,
    0xC1: lambda r, d: None,  # reserved by the format; the real reader takes it for nil
    0xC2: lambda r, d: False,
    0xC3: lambda r, d: True,
    0xC4: lambda r, d: r.binary(r.number(_U8), d),
    0xC5: lambda r, d: r.binary(r.number(_U16), d),
    0xC6: lambda r, d: r.binary(r.number(_U32), d),
    0xC7: lambda r, d: r.extension(r.number(_U8), d),
    0xC8: lambda r, d: r.extension(r.number(_U16), d),
    0xC9: lambda r, d: r.extension(r.number(_U32), d),
    0xCA: lambda r, d: r.number(_F32),
    0xCB: lambda r, d: r.number(_F64),
    0xCC: lambda r, d: r.number(_U8),
    0xCD: lambda r, d: r.number(_U16),
    0xCE: lambda r, d: r.number(_U32),
    0xCF: lambda r, d: r.number(_U64),
    0xD0: lambda r, d: r.number(_I8),
    0xD1: lambda r, d: r.number(_I16),
    0xD2: lambda r, d: r.number(_I32),
    0xD3: lambda r, d: r.number(_I64),
    0xD4: lambda r, d: r.extension(1, d),
    0xD5: lambda r, d: r.extension(2, d),
    0xD6: lambda r, d: r.extension(4, d),
    0xD7: lambda r, d: r.extension(8, d),
    0xD8: lambda r, d: r.extension(16, d),
    0xD9: lambda r, d: r.text(r.number(_U8), d),
    0xDA: lambda r, d: r.text(r.number(_U16), d),
    0xDB: lambda r, d: r.text(r.number(_U32), d),
    0xDC: lambda r, d: r.array(r.number(_U16), d),
    0xDD: lambda r, d: r.array(r.number(_U32), d),
    0xDE: lambda r, d: r.map(r.number(_U16), d),
    0xDF: lambda r, d: r.map(r.number(_U32), d),
}


def decode(data: bytes) -> Any:
    """The first value in `data`. Raises MsgpackInvalid, and RecursionError where the interpreter's limit
    is below about twice MAX_DEPTH (the server raises it)."""
    return _Reader(data).value(MAX_DEPTH)
