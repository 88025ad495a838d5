"""What a server answers: one frozen struct an answer, with its encoder and its decoder.

The same rules as requests.py. `ATTACH_FS` is answered with the request itself.
"""

from __future__ import annotations

from struct import Struct as Layout
from struct import error as LayoutError

import msgspec

from harness.cxdb.fields import U32, short, text

__all__ = [
    "AppendAnswer",
    "BlobAnswer",
    "ErrorAnswer",
    "HeadAnswer",
    "HelloAnswer",
    "PutBlobAnswer",
    "TurnItem",
    "TurnList",
]

_HELLO_ANSWER = Layout("<QH")
_HEAD_ANSWER = Layout("<QQI")
_APPEND_ANSWER = Layout("<QQI32s")
_BLOB_ANSWER = Layout("<32sB")
_ITEM_HEAD = Layout("<QQII")
_ITEM_MIDDLE = Layout("<IIII32s")
_ERROR_HEAD = Layout("<II")


class HelloAnswer(msgspec.Struct, frozen=True, gc=False):
    session_id: int
    protocol_version: int = 1

    def encode(self) -> bytes:
        return _HELLO_ANSWER.pack(self.session_id, self.protocol_version)

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> HelloAnswer:
        if len(payload) < _HELLO_ANSWER.size:
            raise short("HELLO answer", payload)
        return cls(*_HELLO_ANSWER.unpack_from(payload))


class HeadAnswer(msgspec.Struct, frozen=True, gc=False):
    """Answers create, fork and head alike. Turn 0 at depth 0 is an empty context."""

    context_id: int
    head_turn_id: int
    head_depth: int

    def encode(self) -> bytes:
        return _HEAD_ANSWER.pack(self.context_id, self.head_turn_id, self.head_depth)

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> HeadAnswer:
        if len(payload) < _HEAD_ANSWER.size:
            raise short("head answer", payload)
        return cls(*_HEAD_ANSWER.unpack_from(payload))


class AppendAnswer(msgspec.Struct, frozen=True, gc=False):
    context_id: int
    turn_id: int
    depth: int
    content_hash: bytes

    def encode(self) -> bytes:
        return _APPEND_ANSWER.pack(self.context_id, self.turn_id, self.depth, self.content_hash)

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> AppendAnswer:
        if len(payload) < _APPEND_ANSWER.size:
            raise short("APPEND_TURN answer", payload)
        return cls(*_APPEND_ANSWER.unpack_from(payload))


class TurnItem(msgspec.Struct, frozen=True, gc=False):
    """One turn of a TurnList. With a payload, compression is 0 whatever was sent in."""

    turn_id: int
    parent_turn_id: int
    depth: int
    type_id: str
    type_version: int
    encoding: int
    compression: int
    uncompressed_len: int
    content_hash: bytes
    payload: bytes | None = None

    def encode(self) -> bytes:
        type_id = self.type_id.encode()
        head = _ITEM_HEAD.pack(self.turn_id, self.parent_turn_id, self.depth, len(type_id))
        middle = _ITEM_MIDDLE.pack(
            self.type_version, self.encoding, self.compression, self.uncompressed_len, self.content_hash
        )
        if self.payload is None:
            return head + type_id + middle
        return b"".join((head, type_id, middle, U32.pack(len(self.payload)), self.payload))


class TurnList(msgspec.Struct, frozen=True):
    """Answers GET_LAST. The wire does not say whether payloads are inside: the asker knows."""

    turns: tuple[TurnItem, ...]

    def encode(self) -> bytes:
        return U32.pack(len(self.turns)) + b"".join([turn.encode() for turn in self.turns])

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0, *, with_payload: bool = False) -> TurnList:
        try:
            (count,) = U32.unpack_from(payload)
            at = U32.size
            turns = []
            for _ in range(count):
                turn, at = _decode_item(payload, at, with_payload)
                turns.append(turn)
        except LayoutError:
            raise short("GET_LAST answer", payload) from None
        if at > len(payload):
            raise short("GET_LAST answer", payload)
        return cls(tuple(turns))


def _decode_item(payload: bytes, at: int, with_payload: bool) -> tuple[TurnItem, int]:
    turn_id, parent_turn_id, depth, type_bytes = _ITEM_HEAD.unpack_from(payload, at)
    type_at = at + _ITEM_HEAD.size
    middle = type_at + type_bytes
    version, encoding, compression, raw_len, content_hash = _ITEM_MIDDLE.unpack_from(payload, middle)
    at = middle + _ITEM_MIDDLE.size
    body: bytes | None = None
    if with_payload:
        (size,) = U32.unpack_from(payload, at)
        at += U32.size
        body = payload[at : at + size]
        at += size
    type_id = text("GET_LAST answer", payload[type_at:middle], payload, "type id")
    item = TurnItem(
        turn_id, parent_turn_id, depth, type_id, version, encoding, compression, raw_len, content_hash, body
    )
    return item, at


class BlobAnswer(msgspec.Struct, frozen=True, gc=False):
    data: bytes

    def encode(self) -> bytes:
        return U32.pack(len(self.data)) + self.data

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> BlobAnswer:
        if len(payload) < U32.size:
            raise short("GET_BLOB answer", payload)
        end = U32.size + U32.unpack_from(payload)[0]
        if len(payload) < end:
            raise short("GET_BLOB answer", payload)
        return cls(payload[U32.size : end])


class PutBlobAnswer(msgspec.Struct, frozen=True, gc=False):
    content_hash: bytes
    was_new: bool

    def encode(self) -> bytes:
        return _BLOB_ANSWER.pack(self.content_hash, int(self.was_new))

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> PutBlobAnswer:
        if len(payload) < _BLOB_ANSWER.size:
            raise short("PUT_BLOB answer", payload)
        content_hash, was_new = _BLOB_ANSWER.unpack_from(payload)
        return cls(content_hash, was_new != 0)


class ErrorAnswer(msgspec.Struct, frozen=True, gc=False):
    """The only error a real server sends is 422, for an unknown message code."""

    code: int
    detail: str

    def encode(self) -> bytes:
        detail = self.detail.encode()
        return _ERROR_HEAD.pack(self.code, len(detail)) + detail

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> ErrorAnswer:
        if len(payload) < _ERROR_HEAD.size:
            raise short("ERROR", payload)
        code, size = _ERROR_HEAD.unpack_from(payload)
        if len(payload) < _ERROR_HEAD.size + size:
            raise short("ERROR", payload)
        detail = payload[_ERROR_HEAD.size : _ERROR_HEAD.size + size]
        return cls(code, text("ERROR", detail, payload, "detail"))
