"""Pieces that requests and answers share: hash length, text, and the one error for a short payload."""

from __future__ import annotations

from struct import Struct as Layout

from harness.cxdb.errors import MalformedPayload

__all__ = ["HASH_BYTES", "U32", "short", "text", "unpack_u64"]

HASH_BYTES = 32
U32 = Layout("<I")
_U64 = Layout("<Q")


def text(message: str, raw: bytes, payload: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise MalformedPayload(message, f"{what} is not UTF-8: {raw[:40]!r}", len(payload)) from None


def short(message: str, payload: bytes) -> MalformedPayload:
    return MalformedPayload(message, "ends before its last field", len(payload))


def unpack_u64(message: str, payload: bytes) -> int:
    if len(payload) < _U64.size:
        raise short(message, payload)
    value: int = _U64.unpack_from(payload)[0]
    return value
