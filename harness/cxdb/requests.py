"""What a client may ask: one frozen struct a message, with its encoder and its decoder.

Decoders are as lenient as the real server, no more: bytes after the last field are ignored, except
where it insists on an exact length (GET_BLOB). They raise `MalformedPayload` and nothing else, and never
return half a message. Whether a request can be served (does the context exist?) is not decided here.
"""

from __future__ import annotations

from struct import Struct as Layout
from struct import error as LayoutError
from typing import ClassVar

import msgspec

from harness.cxdb.errors import MalformedPayload
from harness.cxdb.fields import HASH_BYTES, U32, short, text, unpack_u64
from harness.cxdb.frames import MessageType

__all__ = [
    "AppendTurn",
    "AttachFs",
    "CreateContext",
    "ForkContext",
    "GetBlob",
    "GetHead",
    "GetLast",
    "Hello",
    "PutBlob",
]

_U64 = Layout("<Q")
_HELLO_HEAD = Layout("<HH")
_APPEND_HEAD = Layout("<QQI")
_APPEND_MIDDLE = Layout("<IIII32sI")
_GET_LAST = Layout("<QII")
_ATTACH = Layout("<Q32s")
_BLOB_HEAD = Layout("<32sI")
FS_ROOT_FLAG = 1  # bit 0 of an append's flags: a 32-byte filesystem root follows the idempotency key


class Hello(msgspec.Struct, frozen=True, gc=False):
    """Opens a session. An empty payload is an old client: version 0, no tag."""

    type: ClassVar[MessageType] = MessageType.HELLO
    protocol_version: int = 1
    client_tag: str = ""
    client_meta_json: str | None = None

    def encode(self) -> bytes:
        tag = self.client_tag.encode()
        meta = (self.client_meta_json or "").encode()
        return _HELLO_HEAD.pack(self.protocol_version, len(tag)) + tag + U32.pack(len(meta)) + meta

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> Hello:
        if not payload:
            return cls(protocol_version=0)
        if len(payload) < _HELLO_HEAD.size:
            raise short("HELLO", payload)
        version, tag_bytes = _HELLO_HEAD.unpack_from(payload)
        tag_end = _HELLO_HEAD.size + tag_bytes
        if len(payload) < tag_end + U32.size:
            raise short("HELLO", payload)
        tag = text("HELLO", payload[_HELLO_HEAD.size : tag_end], payload, "client tag")
        meta_end = tag_end + U32.size + U32.unpack_from(payload, tag_end)[0]
        if len(payload) < meta_end:
            raise short("HELLO", payload)
        meta = text("HELLO", payload[tag_end + U32.size : meta_end], payload, "client metadata")
        return cls(version, tag, meta or None)


class CreateContext(msgspec.Struct, frozen=True, gc=False):
    """A new context whose head is `base_turn_id`; 0 for an empty one."""

    type: ClassVar[MessageType] = MessageType.CREATE_CONTEXT
    base_turn_id: int = 0

    def encode(self) -> bytes:
        return _U64.pack(self.base_turn_id)

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> CreateContext:
        return cls(unpack_u64("CREATE_CONTEXT", payload))


class ForkContext(msgspec.Struct, frozen=True, gc=False):
    """As CreateContext; another code for the same act."""

    type: ClassVar[MessageType] = MessageType.FORK_CONTEXT
    base_turn_id: int

    def encode(self) -> bytes:
        return _U64.pack(self.base_turn_id)

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> ForkContext:
        return cls(unpack_u64("FORK_CONTEXT", payload))


class GetHead(msgspec.Struct, frozen=True, gc=False):
    type: ClassVar[MessageType] = MessageType.GET_HEAD
    context_id: int

    def encode(self) -> bytes:
        return _U64.pack(self.context_id)

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> GetHead:
        return cls(unpack_u64("GET_HEAD", payload))


class AppendTurn(msgspec.Struct, frozen=True, gc=False):
    """One more turn. `parent_turn_id` 0 means the context's head; `compression` 0 none, 1 zstd.

    `content_hash` is the BLAKE3 of the uncompressed payload, `uncompressed_len` its length in bytes.
    """

    type: ClassVar[MessageType] = MessageType.APPEND_TURN
    context_id: int
    parent_turn_id: int
    type_id: str
    type_version: int
    encoding: int
    compression: int
    uncompressed_len: int
    content_hash: bytes
    payload: bytes
    idempotency_key: bytes = b""
    fs_root_hash: bytes | None = None

    @property
    def flags(self) -> int:
        return 0 if self.fs_root_hash is None else FS_ROOT_FLAG

    def encode(self) -> bytes:
        type_id = self.type_id.encode()
        return b"".join(
            (
                _APPEND_HEAD.pack(self.context_id, self.parent_turn_id, len(type_id)),
                type_id,
                _APPEND_MIDDLE.pack(
                    self.type_version,
                    self.encoding,
                    self.compression,
                    self.uncompressed_len,
                    self.content_hash,
                    len(self.payload),
                ),
                self.payload,
                U32.pack(len(self.idempotency_key)),
                self.idempotency_key,
                self.fs_root_hash or b"",
            )
        )

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> AppendTurn:
        try:
            context_id, parent_turn_id, type_bytes = _APPEND_HEAD.unpack_from(payload)
            middle = _APPEND_HEAD.size + type_bytes
            version, encoding, compression, raw_len, content_hash, size = _APPEND_MIDDLE.unpack_from(payload, middle)
            body = middle + _APPEND_MIDDLE.size
            key = body + size + U32.size
            end = key + U32.unpack_from(payload, key - U32.size)[0]
        except LayoutError:
            raise short("APPEND_TURN", payload) from None
        has_root = flags & FS_ROOT_FLAG
        if len(payload) < end + (HASH_BYTES if has_root else 0):
            raise short("APPEND_TURN", payload)
        return cls(
            context_id,
            parent_turn_id,
            text("APPEND_TURN", payload[_APPEND_HEAD.size : middle], payload, "type id"),
            version,
            encoding,
            compression,
            raw_len,
            content_hash,
            payload[body : body + size],
            payload[key:end],
            payload[end : end + HASH_BYTES] if has_root else None,
        )


class GetLast(msgspec.Struct, frozen=True, gc=False):
    """The newest `limit` turns of a context, oldest first."""

    type: ClassVar[MessageType] = MessageType.GET_LAST
    context_id: int
    limit: int
    include_payload: bool = False

    def encode(self) -> bytes:
        return _GET_LAST.pack(self.context_id, self.limit, int(self.include_payload))

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> GetLast:
        if len(payload) < _GET_LAST.size:
            raise short("GET_LAST", payload)
        context_id, limit, include_payload = _GET_LAST.unpack_from(payload)
        return cls(context_id, limit, include_payload != 0)


class GetBlob(msgspec.Struct, frozen=True, gc=False):
    type: ClassVar[MessageType] = MessageType.GET_BLOB
    content_hash: bytes

    def encode(self) -> bytes:
        return self.content_hash

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> GetBlob:
        if len(payload) != HASH_BYTES:
            raise MalformedPayload("GET_BLOB", f"a hash has {HASH_BYTES} bytes", len(payload))
        return cls(payload)


class AttachFs(msgspec.Struct, frozen=True, gc=False):
    """Ties a filesystem root (hash of a stored tree) to a turn. Its answer repeats it."""

    type: ClassVar[MessageType] = MessageType.ATTACH_FS
    turn_id: int
    fs_root_hash: bytes

    def encode(self) -> bytes:
        return _ATTACH.pack(self.turn_id, self.fs_root_hash)

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> AttachFs:
        if len(payload) < _ATTACH.size:
            raise short("ATTACH_FS", payload)
        return cls(*_ATTACH.unpack_from(payload))


class PutBlob(msgspec.Struct, frozen=True, gc=False):
    type: ClassVar[MessageType] = MessageType.PUT_BLOB
    content_hash: bytes
    data: bytes

    def encode(self) -> bytes:
        return _BLOB_HEAD.pack(self.content_hash, len(self.data)) + self.data

    @classmethod
    def decode(cls, payload: bytes, flags: int = 0) -> PutBlob:
        if len(payload) < _BLOB_HEAD.size:
            raise short("PUT_BLOB", payload)
        content_hash, size = _BLOB_HEAD.unpack_from(payload)
        if len(payload) < _BLOB_HEAD.size + size:
            raise short("PUT_BLOB", payload)
        return cls(content_hash, payload[_BLOB_HEAD.size : _BLOB_HEAD.size + size])
