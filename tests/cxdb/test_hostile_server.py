"""Servers that break the protocol: whatever they answer, a journal and the copies beside it cost a run bounded time."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from attractor.contracts import EventName
from attractor.cxdb import Copies, CxdbConnection, Journal, RunFacts
from attractor.cxdb.frames import Message
from attractor.errors import AttractorError
from attractor.rundir import EventLog, Layout

HEADER = struct.Struct("<IHHQ")
BOUND_SECONDS = 15.0
OUT_OF_ORDER = "answers out of order"


def frame(kind: int, request_id: int, payload: bytes) -> bytes:
    return HEADER.pack(len(payload), kind, 0, request_id) + payload


def head(request_id: int, depth: int = 0) -> bytes:
    return frame(Message.GET_HEAD, request_id, struct.pack("<QQI", 1, 7, depth))


# What is answered to a request that is not the hello: kind and request id -> bytes; None: nothing more is said.
ANSWERS: dict[str, Callable[[int, int], bytes | None]] = {
    "never": lambda kind, number: None,
    "half a frame": lambda kind, number: frame(kind, number, bytes(52))[:30],
    "a frame of 4 GB": lambda kind, number: HEADER.pack(0xFFFFFFFF, kind, 0, number),
    "the answer to another request": lambda kind, number: frame(kind, number + 1, bytes(52)),
    "an answer of another type": lambda kind, number: frame(Message.PUT_BLOB, number, bytes(52)),
    "an error": lambda kind, number: frame(Message.ERROR, number, struct.pack("<II", 500, 3) + b"bad"),
    "an error that is cut off": lambda kind, number: frame(Message.ERROR, number, b"\1\2"),
    "an empty answer": lambda kind, number: frame(kind, number, b""),
    "garbage": lambda kind, number: os.urandom(100),
    "a count of turns that never come": lambda kind, number: frame(kind, number, struct.pack("<I", 0xFFFFFFFF)),
    "a depth without turns": lambda kind, number: (
        head(number, 0xFFFFFFFF) if kind == Message.GET_HEAD else frame(kind, number, bytes(4))
    ),
    "twice": lambda kind, number: 2 * frame(kind, number, struct.pack("<QQI32s", 1, 1, 0, bytes(32))),
}


class Peer:
    """Greets as it should, and then answers each request as it likes."""

    def __init__(self, name: str, answer: Callable[[int, int], bytes | None], *, in_order: bool = True) -> None:
        self.name = name
        self._answer = answer
        self._in_order = in_order
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection), suppress(OSError, EOFError):
            held: list[bytes] = []
            while True:
                kind, number = self._request(connection)
                if kind == Message.HELLO:
                    connection.sendall(frame(kind, number, struct.pack("<QH", 1, 1)))
                elif kind == Message.GET_LAST and not self._in_order:
                    connection.sendall(frame(kind, number, bytes(4)))
                elif (said := self._answer(kind, number)) is not None:
                    held.append(said)
                    if self._in_order or len(held) == 2:
                        connection.sendall(b"".join(reversed(held)))
                        held.clear()

    @staticmethod
    def _request(connection: socket.socket) -> tuple[int, int]:
        def take(count: int) -> bytes:
            data = b""
            while len(data) < count:
                piece = connection.recv(count - len(data))
                if not piece:
                    raise EOFError
                data += piece
            return data

        size, kind, _, number = HEADER.unpack(take(HEADER.size))
        take(size)
        return kind, number

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(params=[*ANSWERS, OUT_OF_ORDER])
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    def ack(kind: int, number: int) -> bytes:
        return frame(kind, number, struct.pack("<QQI32s", 1, number, number, bytes(32)))

    swapped = request.param == OUT_OF_ORDER
    with closing(Peer(request.param, ack if swapped else ANSWERS[request.param], in_order=not swapped)) as made:
        yield made


def connect(peer: Peer, timeout: float = 0.3) -> CxdbConnection:
    return CxdbConnection(peer.address, client_tag="test", timeout_seconds=timeout)


def test_a_journal_goes_on_and_says_what_is_missing(peer: Peer, tmp_path: Path) -> None:
    log = EventLog(Layout(tmp_path), "r")
    reasons: list[str] = []
    journal = Journal(
        lambda timeout: connect(peer, timeout),
        RunFacts("r", "1", "digraph G {}"),
        Layout(tmp_path).progress,
        on_outage=reasons.append,
        on_recovery=lambda seconds, context_id: None,
        publish=lambda timeout: None,
        on_context=lambda context_id: None,
    )
    log.listen(journal.take)
    began = longest = 0.0
    with closing(journal), closing(log):
        for _ in range(6):
            log.emit(EventName.STAGE_RETRY_SLEEP, node_id="a", attempt=1, delay_ms=1)
            began = time.monotonic()
            journal.flush()
            longest = max(longest, time.monotonic() - began)
        began = time.monotonic()
        _, pending = journal.settle(0.3)
        assert time.monotonic() - began < BOUND_SECONDS
    assert pending == 6
    assert longest < 5.0
    assert journal.outage


def test_the_copies_say_that_they_could_not_be_made(peer: Peer, tmp_path: Path) -> None:
    copies = Copies(lambda: connect(peer), None)
    copies.watch("r", "1", tmp_path / "files.json").look()
    began = time.monotonic()
    missing = copies.settle(0.5)
    copies.close()
    assert time.monotonic() - began < BOUND_SECONDS
    # Who is told that there are no turns has nothing to copy; the journal finds out that there should be.
    assert bool(missing) is (peer.name not in ("a depth without turns", OUT_OF_ORDER))
    assert "internal error" not in missing


def test_reading_a_history_back_raises_no_errors_but_ours(peer: Peer) -> None:
    with closing(connect(peer)) as connection, suppress(AttractorError):
        connection.last_turns(1, 100, 0.5)
        connection.head(1, 0.5)
        connection.get_blobs([bytes(32)], 0.5)
