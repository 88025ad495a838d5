"""One connection to CXDB's binary port. The only module that holds a socket to it.

The server writes each reply in small pieces without TCP_NODELAY, so a plain client waits 44 ms for a delayed ACK;
re-arming TCP_QUICKACK before each read makes that 0.06 ms. Appends are pipelined: `send` does not wait, and
acknowledgements are collected whenever they are there.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO

from attractor.cxdb import frames
from attractor.cxdb.frames import Frame, FrameReader, Head, Message, StoredTurn
from attractor.errors import ConfigError, CxdbOutcomeUnknown, CxdbProtocolError, CxdbUnreachable

REPLY_TIMEOUT_SECONDS = 5.0
PIECE_BYTES = 1 << 18
PIECES_A_PUSH = 4  # so that sending a file never holds up a stage
FEW_TURNS = 64
TURNS_BYTES = frames.MAX_PAYLOAD_BYTES // 2  # together, without what is told of each
BLOBS_A_TIME = 256
MAX_BLOB_BYTES = frames.MAX_PAYLOAD_BYTES - 36
_ACKNOWLEDGED = frozenset({Message.APPEND_TURN, Message.PUT_BLOB, Message.ATTACH_FS})
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)


def split_address(address: str, place: str = "cxdb.binary_addr") -> tuple[str, int]:
    """`host:port` (IPv6 hosts in brackets) as a pair. ConfigError for anything else."""
    host, separator, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else 0
    if not separator or not is_host(host) or not 0 < number < 65536:
        raise ConfigError(f"{address!r} is not an address", place=place, hint="write host:port, such as 127.0.0.1:9009")
    return host, number


def is_host(name: str) -> bool:
    """Whether a name can be looked up at all: what IDNA refuses would end the look-up with a UnicodeError."""
    try:
        return bool(name.encode("idna")) and "\0" not in name
    except UnicodeError:
        return False


@dataclass(slots=True)
class _Rest:
    """What of a file is still to be sent."""

    file: BinaryIO
    left: int

    def read(self, most: int) -> bytes:
        """b'' where the file has less than was announced. Raises OSError."""
        data = self.file.read(min(most, self.left))
        self.left -= len(data)
        return data


class CxdbConnection:
    """A greeted connection. Not shared between threads.

    Errors: CxdbUnreachable before anything was sent; CxdbOutcomeUnknown when the connection broke with
    requests unanswered; CxdbProtocolError for answers that make no sense.
    """

    def __init__(
        self,
        address: str,
        *,
        client_tag: str,
        timeout_seconds: float = REPLY_TIMEOUT_SECONDS,
        patient: bool = False,
    ) -> None:
        """Connect and be greeted, both within `timeout_seconds`. `patient`: as long as bytes come or go, every time-out
        begins anew; for what is large and nobody waits for.
        """
        deadline = time.monotonic() + timeout_seconds
        self.address = address
        self.ended_by_peer = False
        self._patience = timeout_seconds if patient else 0.0
        self.moved = 0.0  # when bytes last came or went
        self._reader = FrameReader()
        self._ready: deque[Frame] = deque()
        self._unsent = bytearray()
        self._behind: deque[bytes | _Rest] = deque()  # files being sent, and what is queued behind them
        self._next_request = 1
        self._expected: deque[tuple[int, Message]] = deque()
        self._socket = self._connect(deadline)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        try:
            greeting = self._call(Message.HELLO, frames.hello(client_tag), deadline - time.monotonic())
            self.session_id = frames.decode_hello(greeting)
        except (CxdbOutcomeUnknown, CxdbProtocolError) as error:
            self.close()
            raise CxdbUnreachable(
                f"{address} accepts connections but does not answer as CXDB does: {error.message}", address=address
            ) from error

    def _connect(self, deadline: float) -> socket.socket:
        try:
            sock = socket.create_connection(split_address(self.address), max(0.001, deadline - time.monotonic()))
        except OSError as error:
            raise CxdbUnreachable(
                f"no CXDB at {self.address}: {error.strerror or error}", address=self.address
            ) from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        return sock

    @property
    def outstanding(self) -> int:
        """Requests sent and not yet answered."""
        return len(self._expected)

    def create_context(self, timeout_seconds: float = REPLY_TIMEOUT_SECONDS, *, base_turn_id: int = 0) -> Head:
        """A new context, empty or (CTX_FORK) with the turns up to and with `base_turn_id`."""
        kind = Message.CTX_FORK if base_turn_id else Message.CTX_CREATE
        return frames.decode_head(self._call(kind, frames.create_context(base_turn_id), timeout_seconds))

    def head(self, context_id: int, timeout_seconds: float = REPLY_TIMEOUT_SECONDS) -> Head:
        return frames.decode_head(self._call(Message.GET_HEAD, frames.get_head(context_id), timeout_seconds))

    def last_turns(
        self, context_id: int, limit: int, timeout_seconds: float = REPLY_TIMEOUT_SECONDS
    ) -> list[StoredTurn]:
        """The newest `limit` turns with payload, oldest first, however large they are together.

        CXDB answers with all of them in one frame. So of many it is asked first how large they are; what is too much
        for a frame comes as the blobs that payloads are stored as.
        """
        deadline = time.monotonic() + timeout_seconds
        if limit > FEW_TURNS:
            turns = self.last_turn_facts(context_id, limit, timeout_seconds)
            if sum(turn.size for turn in turns) > TURNS_BYTES:
                return self._with_payloads(turns, deadline)
        return self._last_turns(context_id, limit, deadline, with_payload=True)

    def last_turn_facts(
        self, context_id: int, limit: int, timeout_seconds: float = REPLY_TIMEOUT_SECONDS
    ) -> list[StoredTurn]:
        """The same without payloads."""
        return self._last_turns(context_id, limit, time.monotonic() + timeout_seconds, with_payload=False)

    def _last_turns(self, context_id: int, limit: int, deadline: float, *, with_payload: bool) -> list[StoredTurn]:
        request = frames.get_last(context_id, limit, with_payload=with_payload)
        payload = self._call(Message.GET_LAST, request, deadline - time.monotonic())
        return frames.decode_turns(payload, with_payload=with_payload)

    def _with_payloads(self, turns: list[StoredTurn], deadline: float) -> list[StoredTurn]:
        whole = []
        for at in range(0, len(turns), BLOBS_A_TIME):
            some = turns[at : at + BLOBS_A_TIME]
            payloads = self.get_blobs([turn.content_hash for turn in some], deadline - time.monotonic())
            whole += [replace(turn, payload=payload) for turn, payload in zip(some, payloads, strict=True)]
        return whole

    def append(self, context_id: int, type_id: bytes, type_version: int, payload: bytes) -> None:
        """Queue one append. Nothing is sent before `push`."""
        self._queue(Message.APPEND_TURN, frames.append_turn(context_id, type_id, type_version, payload))

    @property
    def unsent_bytes(self) -> int:
        """What `push` could not hand to the kernel yet, because the server does not read. Files are not held here."""
        return len(self._unsent) + sum(len(piece) for piece in self._behind if isinstance(piece, bytes))

    def put_blob(self, content_hash: bytes, file: BinaryIO, size: int) -> None:
        """Queue a file to be stored under its BLAKE3 hash; it is read as it is sent, and closed then.

        The server ends the connection where content and hash do not agree. At most `MAX_BLOB_BYTES`.
        """
        head = frames.put_blob_head(content_hash, size)
        header = frames.frame_header(Message.PUT_BLOB, self._next_request, len(head) + size)
        self._expected.append((self._next_request, Message.PUT_BLOB))
        self._next_request += 1
        self._write(header + head)
        self._behind.append(_Rest(file, size))

    def attach_fs(self, turn_id: int, root_hash: bytes) -> None:
        """Queue that a stored turn is to show a stored tree of files; the turns behind it show it too, until another.

        The server ends the connection where it knows one of the two not. Again is no harm: the last one counts.
        """
        self._queue(Message.ATTACH_FS, frames.attach_fs(turn_id, root_hash))

    def get_blob(self, content_hash: bytes, timeout_seconds: float = REPLY_TIMEOUT_SECONDS) -> bytes:
        """A blob by its hash. A server that does not know it ends the connection: CxdbOutcomeUnknown."""
        return self.get_blobs([content_hash], timeout_seconds)[0]

    def get_blobs(self, content_hashes: Sequence[bytes], timeout_seconds: float = REPLY_TIMEOUT_SECONDS) -> list[bytes]:
        """Several at once, in that order."""
        deadline = time.monotonic() + timeout_seconds
        self.barrier(timeout_seconds)
        for content_hash in content_hashes:
            self._queue(Message.GET_BLOB, frames.get_blob(content_hash))
        found: list[bytes] = []
        while True:
            self.push()
            found += [frames.decode_blob(self._match(frame)) for frame in self._ready]
            self._ready.clear()
            if len(found) == len(content_hashes):
                return found
            self._wait(deadline)

    def push(self) -> None:
        """Send what is queued and take in what has been answered, without waiting for either."""
        for _ in range(PIECES_A_PUSH):
            self._refill()
            if not self._unsent or not self._send():
                break
        self._receive()
        self._take_acks()

    def _send(self) -> bool:
        """Whether the kernel took all of what there was."""
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return False
        except OSError as error:
            raise self._broken(error) from error
        del self._unsent[:sent]
        self.moved = time.monotonic()
        return not self._unsent

    def _refill(self) -> None:
        """Take the next pieces of what is queued behind a file, and of the file itself, up to a piece's size."""
        while self._behind and len(self._unsent) < PIECE_BYTES:
            piece = self._behind[0]
            if isinstance(piece, _Rest):
                if piece.left:
                    self._unsent += self._read(piece)
                if piece.left:
                    return
                piece.file.close()
            else:
                self._unsent += piece
            self._behind.popleft()

    def _read(self, rest: _Rest) -> bytes:
        try:
            data = rest.read(PIECE_BYTES)
        except OSError as error:
            raise self._given_up(error.strerror or str(error)) from error
        if not data:
            raise self._given_up(f"a file that is being sent ended {rest.left} bytes early")
        return data

    def _given_up(self, why: str) -> CxdbOutcomeUnknown:
        return CxdbOutcomeUnknown(f"connection to CXDB at {self.address} given up: {why}", address=self.address)

    def barrier(self, timeout_seconds: float = REPLY_TIMEOUT_SECONDS) -> None:
        """Wait until everything queued is answered. CxdbOutcomeUnknown when that takes too long."""
        deadline = time.monotonic() + timeout_seconds
        self.push()
        while self._expected:
            self._wait(deadline)
            self.push()

    def await_answer(self, timeout_seconds: float = REPLY_TIMEOUT_SECONDS) -> None:
        """Wait until one more of what is queued is answered. CxdbOutcomeUnknown when that takes too long."""
        deadline = time.monotonic() + timeout_seconds
        before = len(self._expected)
        self.push()
        while self._expected and len(self._expected) == before:
            self._wait(deadline)
            self.push()

    def _call(self, kind: Message, payload: bytes, timeout_seconds: float) -> bytes:
        deadline = time.monotonic() + timeout_seconds
        self.barrier(timeout_seconds)
        self._queue(kind, payload)
        while True:
            self.push()
            if self._ready:
                return self._match(self._ready.popleft())
            self._wait(deadline)

    def _queue(self, kind: Message, payload: bytes) -> None:
        self._expected.append((self._next_request, kind))
        self._write(frames.encode_frame(kind, self._next_request, payload))
        self._next_request += 1

    def _write(self, data: bytes) -> None:
        if self._behind:
            self._behind.append(data)
        else:
            self._unsent += data

    def _wait(self, deadline: float) -> None:
        left = max(deadline, self.moved + self._patience) - time.monotonic()
        mask = select.POLLIN | (select.POLLOUT if self._unsent or self._behind else 0)
        self._poll.modify(self._socket, mask)
        if left <= 0 or not self._poll.poll(left * 1000 + 1):
            raise CxdbOutcomeUnknown(
                f"CXDB at {self.address} left {len(self._expected)} requests unanswered", address=self.address
            )

    def _receive(self) -> None:
        while True:
            try:
                if _QUICKACK is not None:
                    self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                raise self._broken(error) from error
            if not data:
                raise self._broken(None)
            self.moved = time.monotonic()
            self._ready.extend(self._reader.feed(data))
            if len(data) < 1 << 16:
                return

    def _take_acks(self) -> None:
        while self._ready and self._expected and self._expected[0][1] in _ACKNOWLEDGED:
            kind = self._expected[0][1]
            payload = self._match(self._ready.popleft())
            if kind is Message.APPEND_TURN:
                frames.decode_ack(payload)

    def _match(self, frame: Frame) -> bytes:
        request_id, kind = self._expected.popleft()
        if frame.kind == Message.ERROR:
            code, text = frames.decode_error(frame.payload)
            raise CxdbProtocolError(f"CXDB at {self.address} refused {kind.name}: {code} {text}", address=self.address)
        if frame.request_id != request_id or frame.kind != kind:
            raise CxdbProtocolError(
                f"CXDB at {self.address} answered request {frame.request_id} (type {frame.kind}), "
                f"expected {request_id} (type {int(kind)})",
                address=self.address,
            )
        return frame.payload

    def _broken(self, error: OSError | None) -> CxdbOutcomeUnknown:
        self.ended_by_peer = True
        why = (error.strerror or str(error)) if error else "the server closed the connection"
        return CxdbOutcomeUnknown(
            f"connection to CXDB at {self.address} lost with {len(self._expected)} requests unanswered: {why}",
            address=self.address,
        )

    def abort(self) -> None:
        """Let whoever waits on this connection, in another thread, see it ended."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()
        for piece in self._behind:
            if isinstance(piece, _Rest):
                piece.file.close()
        self._behind.clear()
