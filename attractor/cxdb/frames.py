"""CXDB's binary protocol as functions from values to bytes and back. No socket is known here.

As the real server 0.1.0 speaks it (which differs from its published protocol page): little-endian throughout;
a frame is `u32 payload length, u16 message type, u16 flags, u64 request id` and the payload; replies come in
the order of the requests, with their request id; nearly every error closes the connection without a word.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from blake3 import blake3

from attractor.errors import CxdbProtocolError

HEADER: Final = struct.Struct("<IHHQ")
MAX_PAYLOAD_BYTES: Final = 64 * 1024 * 1024
PROTOCOL_VERSION: Final = 1
ENCODING_MSGPACK: Final = 1
COMPRESSION_NONE: Final = 0
CURRENT_HEAD: Final = 0  # as an append's parent: wherever the context's head is


class Message(IntEnum):
    """Message types; a reply has its request's type, or ERROR."""

    HELLO = 1
    CTX_CREATE = 2
    CTX_FORK = 3
    GET_HEAD = 4
    APPEND_TURN = 5
    GET_LAST = 6
    GET_BLOB = 9
    ATTACH_FS = 10
    PUT_BLOB = 11
    ERROR = 0xFF


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. `kind` is the raw type: an unknown one is the caller's to refuse."""

    kind: int
    request_id: int
    payload: bytes
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """Where a context stands. `turn_id` 0: no turn yet; `depth` of the first turn is 0."""

    context_id: int
    turn_id: int
    depth: int


@dataclass(frozen=True, slots=True)
class Ack:
    """One turn is stored."""

    context_id: int
    turn_id: int
    depth: int
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A turn read back; `payload` is uncompressed MessagePack, b'' where none was asked for. `size`: of it, in bytes;
    `content_hash`: the blob that it is stored as.
    """

    turn_id: int
    parent_turn_id: int
    depth: int
    type_id: str
    type_version: int
    payload: bytes
    size: int = 0
    content_hash: bytes = b""


def encode_frame(kind: int, request_id: int, payload: bytes) -> bytes:
    return frame_header(kind, request_id, len(payload)) + payload


def frame_header(kind: int, request_id: int, payload_bytes: int) -> bytes:
    return HEADER.pack(payload_bytes, kind, 0, request_id)


class FrameReader:
    """Cuts a byte stream into frames; bytes may come in pieces of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """All frames that `data` completes. CxdbProtocolError for one that announces over 64 MiB."""
        self._buffer += data
        frames = []
        position = 0
        while len(self._buffer) - position >= HEADER.size:
            length, kind, flags, request_id = HEADER.unpack_from(self._buffer, position)
            if length > MAX_PAYLOAD_BYTES:
                raise CxdbProtocolError(f"the server announced a frame of {length} bytes; 64 MiB is the limit")
            end = position + HEADER.size + length
            if len(self._buffer) < end:
                break
            payload = bytes(self._buffer[position + HEADER.size : end])
            frames.append(Frame(kind, request_id, payload, flags))
            position = end
        del self._buffer[:position]
        return frames


def hello(client_tag: str) -> bytes:
    tag = client_tag.encode()
    return struct.pack("<HH", PROTOCOL_VERSION, len(tag)) + tag + struct.pack("<I", 0)


def create_context(base_turn_id: int = 0) -> bytes:
    return struct.pack("<Q", base_turn_id)


def get_head(context_id: int) -> bytes:
    return struct.pack("<Q", context_id)


def put_blob_head(content_hash: bytes, size: int) -> bytes:
    """What comes before the blob's own bytes in PUT_BLOB."""
    return content_hash + _U32.pack(size)


def get_blob(content_hash: bytes) -> bytes:
    return content_hash


def attach_fs(turn_id: int, root_hash: bytes) -> bytes:
    return struct.pack("<Q", turn_id) + root_hash


def decode_blob(payload: bytes) -> bytes:
    cursor = _Cursor(payload)
    return cursor.take(cursor.number("<I"))


def get_last(context_id: int, limit: int, *, with_payload: bool) -> bytes:
    return struct.pack("<QII", context_id, limit, int(with_payload))


_APPEND_HEAD: Final = struct.Struct("<QQI")
_APPEND_BODY: Final = struct.Struct("<IIII")
_U32: Final = struct.Struct("<I")


def append_turn(context_id: int, type_id: bytes, type_version: int, payload: bytes) -> bytes:
    """An append at the context's head. No idempotency key: the server parses it and ignores it."""
    return b"".join(
        (
            _APPEND_HEAD.pack(context_id, CURRENT_HEAD, len(type_id)),
            type_id,
            _APPEND_BODY.pack(type_version, ENCODING_MSGPACK, COMPRESSION_NONE, len(payload)),
            blake3(payload).digest(),
            _U32.pack(len(payload)),
            payload,
            _U32.pack(0),
        )
    )


def decode_head(payload: bytes) -> Head:
    return Head(*_unpack("<QQI", payload, "a context's head"))


def decode_ack(payload: bytes) -> Ack:
    context_id, turn_id, depth, content_hash = _unpack("<QQI32s", payload, "an append's acknowledgement")
    return Ack(context_id, turn_id, depth, content_hash)


def decode_hello(payload: bytes) -> int:
    """The session id."""
    session_id, version = _unpack("<QH", payload, "a greeting")
    if version != PROTOCOL_VERSION:
        raise CxdbProtocolError(f"the server speaks protocol version {version}, this client {PROTOCOL_VERSION}")
    return int(session_id)


def decode_error(payload: bytes) -> tuple[int, str]:
    """Code and text of an ERROR frame."""
    code, length = _unpack("<II", payload[:8], "an error")
    return code, payload[8 : 8 + length].decode(errors="replace")


def decode_turns(payload: bytes, *, with_payload: bool) -> list[StoredTurn]:
    """The answer to GET_LAST, oldest first."""
    cursor = _Cursor(payload)
    turns = []
    for _ in range(cursor.number("<I")):
        turn_id, parent, depth = cursor.number("<Q"), cursor.number("<Q"), cursor.number("<I")
        type_id = cursor.take(cursor.number("<I")).decode(errors="replace")
        version = cursor.number("<I")
        cursor.take(4 + 4)  # encoding, compression
        size, content_hash = cursor.number("<I"), cursor.take(32)
        body = cursor.take(cursor.number("<I")) if with_payload else b""
        turns.append(StoredTurn(turn_id, parent, depth, type_id, version, body, size, content_hash))
    return turns


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise CxdbProtocolError(f"the server's answer ends after {len(self._data)} bytes, {end} were announced")
        piece = self._data[self._position : end]
        self._position = end
        return piece

    def number(self, layout: str) -> int:
        (value,) = struct.unpack(layout, self.take(struct.calcsize(layout)))
        return int(value)


def _unpack(layout: str, payload: bytes, what: str) -> tuple[Any, ...]:
    try:
        return struct.unpack(layout, payload)
    except struct.error:
        raise CxdbProtocolError(
            f"{what} has {len(payload)} bytes, expected {struct.calcsize(layout)}: {payload[:64]!r}"
        ) from None
