"""The CXDB wire format's outer layer: a byte stream in, whole frames out, and back. No sockets, no clock.

A frame is `u32 payload length, u16 message type, u16 flags, u64 request id` (little-endian), then the
payload. Payloads over 64 MiB are refused from the header alone, as the real server does. What payloads
mean is requests.py's and answers.py's business.

Frames and messages are msgspec structs, not dataclasses: frozen all the same, but one is built in a
tenth of the time, and they sit in the path of every append.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct as Layout

import msgspec

from harness.cxdb.errors import OversizedFrame

__all__ = ["HEADER_BYTES", "MAX_PAYLOAD_BYTES", "Frame", "FrameReader", "MessageType", "encode_frame"]

HEADER_BYTES = 16
MAX_PAYLOAD_BYTES = 64 * 1024 * 1024

_HEADER = Layout("<IHHQ")


class MessageType(IntEnum):
    """Message codes. 7 and 8 have names in the protocol and are served by no known server."""

    HELLO = 1
    CREATE_CONTEXT = 2
    FORK_CONTEXT = 3
    GET_HEAD = 4
    APPEND_TURN = 5
    GET_LAST = 6
    GET_BEFORE = 7
    GET_RANGE_BY_DEPTH = 8
    GET_BLOB = 9
    ATTACH_FS = 10
    PUT_BLOB = 11
    ERROR = 255


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One whole frame; `message_type` is the raw code, which need not be a known one."""

    message_type: int
    flags: int
    request_id: int
    payload: bytes


def encode_frame(message_type: int, request_id: int, payload: bytes, flags: int = 0) -> bytes:
    """One frame ready to send. The caller keeps `payload` within the limit."""
    return _HEADER.pack(len(payload), message_type, flags, request_id) + payload


class FrameReader:
    """Cuts a byte stream into frames, however it was chopped up on its way.

    Invariant: `_data[_at:]` followed by `_tail` is what was fed and not yet returned. Arriving bytes
    are only joined once the frame they belong to is complete, so a 64 MiB frame that trickles in
    costs one copy, not one copy per piece.
    """

    def __init__(self, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self._max_payload_bytes = max_payload_bytes
        self._data = b""
        self._at = 0
        self._tail = bytearray()
        self._needed = HEADER_BYTES  # bytes that must be there before another look is worthwhile

    @property
    def buffered_bytes(self) -> int:
        """Bytes fed and not yet returned; not 0 at the end of a stream means a torn frame."""
        return len(self._data) - self._at + len(self._tail)

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream, of any length."""
        if self._at == len(self._data) and not self._tail:
            self._data, self._at = data, 0
        else:
            self._tail += data

    def maybe_frame(self) -> Frame | None:
        """The next whole frame, or None when more bytes are needed.

        Raises OversizedFrame as soon as a header announces too much, without waiting for it.
        """
        available = len(self._data) - self._at
        if self._tail and available < self._needed:
            if available + len(self._tail) < self._needed:
                return None
            self._data = self._data[self._at :] + bytes(self._tail)
            self._at = 0
            self._tail.clear()
            available = len(self._data)
        if available < HEADER_BYTES:
            return None
        size, message_type, flags, request_id = _HEADER.unpack_from(self._data, self._at)
        if size > self._max_payload_bytes:
            raise OversizedFrame(size, self._max_payload_bytes)
        if available < HEADER_BYTES + size:
            self._needed = HEADER_BYTES + size
            # the tail may hold the rest already
            return self.maybe_frame() if available + len(self._tail) >= self._needed else None
        self._needed = HEADER_BYTES
        start = self._at + HEADER_BYTES
        self._at = start + size
        return Frame(message_type, flags, request_id, self._data[start : self._at])
