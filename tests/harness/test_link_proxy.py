"""The link to CXDB against a server that answers each frame with the same frame, over real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from harness.cxdb.frames import FrameReader, encode_frame
from harness.link import Cut, LinkSpec, Unit, Way
from harness.link.frame_ends import Meter
from harness.link.pacing import Pacer
from harness.link.proxy import LinkProxy
from harness.processes import until

SECONDS = 5.0
FRAMES = [encode_frame(5, number, b"x" * size) for number, size in enumerate((0, 7, 300, 1, 70_000), start=1)]
STREAM = b"".join(FRAMES)


class EchoServer:
    """Keeps what each connection has sent, in the order in which they came."""

    def __init__(self) -> None:
        self.received: list[bytearray] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.received.append(bytearray())
                serving = threading.Thread(target=self._serve, args=(connection, self.received[-1]), daemon=True)
                self._threads.append(serving)
                serving.start()

    def _serve(self, connection: socket.socket, received: bytearray) -> None:
        reader = FrameReader()
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                received += data
                reader.feed(data)
                while (frame := reader.maybe_frame()) is not None:
                    connection.sendall(encode_frame(frame.message_type, frame.request_id, frame.payload))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(SECONDS)


@pytest.fixture
def server() -> Iterator[EchoServer]:
    echo = EchoServer()
    yield echo
    echo.close()


@pytest.fixture
def linked(server: EchoServer) -> Iterator[Callable[..., LinkProxy]]:
    with contextlib.ExitStack() as stack:
        yield lambda **spec: stack.enter_context(
            LinkProxy(server.address, f"http://{server.address}", LinkSpec(**spec))
        )


def connected(link: LinkProxy) -> socket.socket:
    host, _, port = link.binary_addr.rpartition(":")
    return socket.create_connection((host, int(port)), SECONDS)


def all_of(connection: socket.socket) -> bytes:
    """What comes until the connection ends, in order or by a reset."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            received += piece
    return received


def exactly(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count and (piece := connection.recv(count - len(received))):
        received += piece
    return received


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(400)] + [data[400:]]


def in_odd_pieces(data: bytes) -> list[bytes]:
    return [data[at : at + 23] for at in range(0, len(data), 23)]


CHOPPED = pytest.mark.parametrize("chopped", [whole, byte_by_byte, in_odd_pieces])


# Deciding


@CHOPPED
@pytest.mark.parametrize("stop", range(1, 6))
def test_a_frame_s_end_is_found_however_the_stream_was_chopped(
    chopped: Callable[[bytes], list[bytes]], stop: int
) -> None:
    meter = Meter(stop_after=stop)
    taken = [piece[: meter.take(piece)] for piece in chopped(STREAM)]
    assert b"".join(taken) == b"".join(FRAMES[:stop])
    assert (meter.frames, meter.has_stopped) == (stop, True)


@CHOPPED
def test_a_number_of_bytes_ends_in_the_middle_of_a_frame(chopped: Callable[[bytes], list[bytes]]) -> None:
    meter = Meter(stop_after=101, unit=Unit.BYTES)
    assert b"".join(piece[: meter.take(piece)] for piece in chopped(STREAM)) == STREAM[:101]
    assert (meter.frames, meter.has_stopped) == (2, True)


def test_without_an_end_all_goes_on() -> None:
    meter = Meter()
    assert (meter.take(STREAM), meter.frames, meter.has_stopped) == (len(STREAM), 5, False)


def test_latency_is_on_top_of_each_piece_and_not_of_all_before() -> None:
    pacer = Pacer("")
    dues = [pacer.due(arrived, 10, latency=1.0, jitter=0.0, rate=0) for arrived in (0.0, 0.1, 0.2)]
    assert dues == [1.0, 1.1, 1.2]


def test_jitter_is_the_same_each_time_and_lets_nothing_overtake() -> None:
    def dues(seed: str) -> list[float]:
        pacer = Pacer(seed)
        return [pacer.due(number / 1000, 1, latency=0.1, jitter=0.05, rate=0) for number in range(50)]

    assert dues("1") == dues("1") == sorted(dues("1"))
    assert dues("1") != dues("2")
    assert all(due - number / 1000 >= 0.1 for number, due in enumerate(dues("1")))


def test_a_rate_is_for_all_pieces_together() -> None:
    pacer = Pacer("")
    dues = [pacer.due(0.0, 500, latency=0.2, jitter=0.0, rate=1000) for _ in range(3)]
    assert dues == [0.7, 1.2, 1.7]
    assert pacer.due(10.0, 500, latency=0.2, jitter=0.0, rate=1000) == 10.7
    assert Pacer.slice_bytes(1000, 1 << 16) == 50


# Passing on


@CHOPPED
def test_what_is_sent_arrives_and_is_answered(
    linked: Callable[..., LinkProxy], server: EchoServer, chopped: Callable[[bytes], list[bytes]]
) -> None:
    link = linked()
    with connected(link) as client:
        for piece in chopped(STREAM):
            client.sendall(piece)
        assert exactly(client, len(STREAM)) == STREAM
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert server.received == [STREAM]
    counts = link.counts()
    assert (counts.frames[Way.REQUEST], counts.sizes[Way.REPLY], counts.cuts) == (5, len(STREAM), 0)


@CHOPPED
@pytest.mark.parametrize("stop", range(1, 6))
def test_a_cut_after_a_request_leaves_the_server_with_exactly_that_many(
    linked: Callable[..., LinkProxy], server: EchoServer, chopped: Callable[[bytes], list[bytes]], stop: int
) -> None:
    link = linked(cut=Cut(Way.REQUEST, stop))
    with connected(link) as client:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for piece in chopped(STREAM):
                client.sendall(piece)
        assert STREAM.startswith(all_of(client))
    assert server.received == [b"".join(FRAMES[:stop])]
    assert link.counts().places == [f"connection 1 after request {stop}"]


@pytest.mark.parametrize("stop", range(1, 6))
def test_a_cut_after_a_reply_leaves_the_client_with_exactly_that_many(
    linked: Callable[..., LinkProxy], stop: int
) -> None:
    link = linked(cut=Cut(Way.REPLY, stop))
    with connected(link) as client:
        client.sendall(STREAM)
        assert all_of(client) == b"".join(FRAMES[:stop])
    assert link.counts().places == [f"connection 1 after reply {stop}"]


def test_a_cut_may_tear_a_frame(linked: Callable[..., LinkProxy], server: EchoServer) -> None:
    link = linked(cut=Cut(Way.REQUEST, 30, Unit.BYTES))
    with connected(link) as client:
        client.sendall(STREAM[:100])
        all_of(client)
    assert server.received == [STREAM[:30]]
    assert link.counts().places == ["connection 1 after request byte 30"]


def test_only_the_first_connections_are_cut(linked: Callable[..., LinkProxy]) -> None:
    link = linked(cut=Cut(Way.REPLY, 1, times=2))
    found = []
    for _ in range(3):
        with connected(link) as client:
            client.sendall(FRAMES[0] + FRAMES[1])
            client.shutdown(socket.SHUT_WR)
            found.append(all_of(client))
    assert found == [FRAMES[0], FRAMES[0], FRAMES[0] + FRAMES[1]]
    assert link.counts().cuts == 2


def test_latency_keeps_the_order_and_costs_no_throughput(linked: Callable[..., LinkProxy]) -> None:
    link = linked(latency_seconds=0.2, jitter_seconds=0.02)
    sent = [encode_frame(5, number, b"x" * 40) for number in range(200)]
    with connected(link) as client:
        began = time.monotonic()
        for frame in sent:
            client.sendall(frame)
        assert exactly(client, sum(map(len, sent))) == b"".join(sent)
        took = time.monotonic() - began
    assert 0.2 <= took < 2.0  # one after the other they would take forty seconds
    assert link.counts().delayed > 0


def test_a_rate_is_kept_and_counted(linked: Callable[..., LinkProxy], server: EchoServer) -> None:
    link = linked(bytes_per_second=20_000)
    frame = encode_frame(5, 1, b"x" * 4_000)
    with connected(link) as client:
        began = time.monotonic()
        client.sendall(frame)
        assert exactly(client, len(frame)) == frame
        assert time.monotonic() - began >= 0.2
    assert link.counts().slowed > 0


# Being told


def test_a_delay_holds_for_connections_that_are_there_until_it_is_taken_back(linked: Callable[..., LinkProxy]) -> None:
    link = linked()
    with connected(link) as client:
        for latency, least in ((0.0, 0.0), (0.15, 0.15)):
            link.delay(latency)
            began = time.monotonic()
            client.sendall(FRAMES[1])
            assert exactly(client, len(FRAMES[1])) == FRAMES[1]
            assert time.monotonic() - began >= least
        assert link.restore() == 0
        client.sendall(FRAMES[1])
        assert exactly(client, len(FRAMES[1])) == FRAMES[1]
    assert link.counts().delayed == 1


def test_a_link_that_is_cut_takes_new_connections(linked: Callable[..., LinkProxy]) -> None:
    link = linked()
    with connected(link) as client:
        client.sendall(FRAMES[1])
        exactly(client, len(FRAMES[1]))
        assert link.cut() == 1
        assert all_of(client) == b""
    with connected(link) as client:
        client.sendall(FRAMES[1])
        assert exactly(client, len(FRAMES[1])) == FRAMES[1]


def test_a_link_that_refuses_is_there_again_at_the_same_ports(linked: Callable[..., LinkProxy]) -> None:
    link = linked()
    with connected(link) as client:
        client.sendall(FRAMES[1])
        exactly(client, len(FRAMES[1]))
        assert link.refuse() == 1
        assert all_of(client) == b""
    with pytest.raises(ConnectionRefusedError):
        connected(link)
    with pytest.raises(OSError, match="in use"), socket.socket() as other:  # nobody else can be given it meanwhile
        other.bind(("127.0.0.1", int(link.binary_addr.rpartition(":")[2])))
    link.restore()
    with connected(link) as client:
        client.sendall(FRAMES[1])
        assert exactly(client, len(FRAMES[1])) == FRAMES[1]


def test_a_half_open_link_reads_and_answers_nothing(linked: Callable[..., LinkProxy], server: EchoServer) -> None:
    link = linked()
    with connected(link) as old:
        old.sendall(FRAMES[1])
        exactly(old, len(FRAMES[1]))
        assert link.half_open() == 1
        with connected(link) as new:
            for client in (old, new):
                client.sendall(FRAMES[2])
            assert until(lambda: link.counts().swallowed == 2 * len(FRAMES[2]), SECONDS)
            assert link.restore() == 2
            assert (all_of(old), all_of(new)) == (b"", b"")
    assert server.received == [FRAMES[1]]


def test_a_server_that_is_gone_ends_its_clients(linked: Callable[..., LinkProxy], server: EchoServer) -> None:
    link = linked()
    server.close()
    # Whether the end comes as a reset depends on who was first; it comes.
    with contextlib.suppress(ConnectionResetError), connected(link) as client:
        assert all_of(client) == b""


def test_many_connections_at_once_are_kept_apart(linked: Callable[..., LinkProxy]) -> None:
    link = linked()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(link)) for _ in range(50)]
        for number, client in enumerate(clients):
            client.sendall(encode_frame(5, number, b""))
        answers = [exactly(client, 16) for client in clients]
    assert answers == [encode_frame(5, number, b"") for number in range(50)]


def test_closing_ends_every_connection_and_the_thread(server: EchoServer) -> None:
    before = set(threading.enumerate())
    with LinkProxy(server.address, f"http://{server.address}", LinkSpec(latency_seconds=60)) as link:
        client = connected(link)
        client.sendall(FRAMES[1])
        assert until(lambda: link.counts().delayed == 1, SECONDS)
    assert {thread.name for thread in set(threading.enumerate()) - before} & {"link to CXDB"} == set()
    with client:
        assert all_of(client) == b""
    with pytest.raises(ConnectionRefusedError):
        connected(link)
    link.close()
