"""Peers that are slow, stuck, wrong or many: each costs at most its own connection."""

from __future__ import annotations

import select
import socket
import struct
from contextlib import ExitStack, suppress

import pytest
from cxdb_wire import TIMEOUT_SECONDS, Wire, append_payload, framed, http, note

from harness.cxdb import EmbeddedCxdb


def serves_others(cxdb: EmbeddedCxdb) -> bool:
    with Wire(cxdb.binary_addr) as wire:
        wire.append(wire.create_context(), note("fine"))
    return http(cxdb.http_base_url, "GET", "/healthz")[1] == b"ok"


def http_socket(cxdb: EmbeddedCxdb) -> socket.socket:
    host, _, port = cxdb.http_base_url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS)


def read_all(sock: socket.socket) -> bytes:
    received = b""
    while piece := sock.recv(65536):
        received += piece
    return received


def test_one_byte_over_64_mib_is_hung_up_on_at_once(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        wire.send(struct.pack("<IHHQ", 64 * 1024 * 1024 + 1, 5, 0, 1))
        assert wire.is_closed_by_server()
    assert serves_others(cxdb)


def test_half_a_frame_and_then_silence_holds_up_nobody(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as silent, Wire(cxdb.binary_addr) as barely:
        silent.send(framed(5, append_payload(1, note("half")))[:40])
        barely.send(b"\x08")
        assert serves_others(cxdb)


def test_a_client_that_sends_byte_by_byte_is_served(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in framed(2, bytes(8)):
            wire.send(bytes([byte]))
        assert wire.frame()[2] == struct.pack("<QQI", 1, 0, 0)


def test_a_client_that_ends_its_side_still_gets_its_answers(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        wire.send(framed(2, bytes(8)) * 3 + b"\x01")
        wire.sock.shutdown(socket.SHUT_WR)
        assert len(wire.receive(1000)) == 3 * 36


def test_answers_before_a_bad_request_arrive_before_the_hanging_up(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        wire.send(framed(2, bytes(8)) + framed(4, struct.pack("<Q", 77)))
        assert len(wire.receive(1000)) == 36


def test_two_hundred_connections_at_once_are_served(cxdb: EmbeddedCxdb) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(cxdb.binary_addr)) for _ in range(200)]
        for wire in wires:
            wire.send(framed(2, bytes(8)))
        contexts = {struct.unpack("<Q", wire.frame()[2][:8])[0] for wire in wires}
    assert contexts == set(range(1, 201))


@pytest.mark.parametrize("garbage", [b"\xff" * 64, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 10_000])
def test_garbage_on_the_binary_port_closes_that_connection_only(cxdb: EmbeddedCxdb, garbage: bytes) -> None:
    with Wire(cxdb.binary_addr) as wire:
        wire.send(garbage)
        wire.sock.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            read_all(wire.sock)
        assert serves_others(cxdb)


def test_a_peer_that_asks_much_and_reads_nothing_holds_up_nobody(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as greedy:
        blob = bytes(32 * 1024 * 1024)
        digest = greedy.put_blob(blob)
        greedy.send(framed(9, digest) * 500)  # 16 GB of answers, were they all made
        assert serves_others(cxdb)
        for _ in range(5):
            assert greedy.frame()[2][4:] == blob
    assert serves_others(cxdb)
    with open(f"/proc/{cxdb.pid}/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert peak < 400 * 1024


def test_a_peer_that_never_reads_is_not_read_from_either(cxdb: EmbeddedCxdb) -> None:
    """Its own sending stalls, within what the kernel's buffers hold, instead of our memory growing."""
    with Wire(cxdb.binary_addr) as greedy:
        digest = greedy.put_blob(bytes(1024 * 1024))
        piece = framed(9, digest) * 2000
        sent = 0
        while sent < 64 * 1024 * 1024 and select.select([], [greedy.sock], [], 0.3)[1]:
            sent += greedy.sock.send(piece)
        assert sent < 64 * 1024 * 1024
        assert serves_others(cxdb)


def test_two_thousand_pipelined_appends_are_answered_in_order(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        context_id = wire.create_context()
        payload = append_payload(context_id, note("one of many"))
        wire.send(b"".join(framed(5, payload, request_id) for request_id in range(2000)))
        for request_id in range(2000):
            code, answered_id, answer = wire.frame()
            assert (code, answered_id) == (5, request_id)
            assert struct.unpack("<QQI", answer[:20]) == (context_id, request_id + 1, request_id)
        assert wire.head(context_id) == (2000, 1999)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
        (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"PUT / HTTP/1.1\r\nContent-Length: 67108865\r\n\r\n" + b"x" * 100_000, 413),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 110_000 + b"\r\n\r\n", 431),
        (b"y" * 110_000, 431),
    ],
)
def test_a_doubtful_http_request_is_refused_with_a_reason(
    cxdb: EmbeddedCxdb, request_bytes: bytes, status: int
) -> None:
    with http_socket(cxdb) as sock:
        sock.sendall(request_bytes)
        sock.shutdown(socket.SHUT_WR)
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in answer
    assert b'{"error":{"code":%d,"message":"' % status in answer
    assert serves_others(cxdb)


def test_a_refused_peer_that_keeps_sending_still_gets_to_read_why(cxdb: EmbeddedCxdb) -> None:
    with http_socket(cxdb) as sock:
        sock.sendall(b"PUT / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 413"
        for _ in range(20):
            sock.sendall(bytes(100_000))
        assert b'"code":413' in sock.recv(65536)


def test_http_byte_by_byte_pipelined_and_kept_alive(cxdb: EmbeddedCxdb) -> None:
    with http_socket(cxdb) as sock:
        for byte in b"\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n":
            sock.sendall(bytes([byte]))
        sock.sendall(b"GET /nope HTTP/1.1\r\n\r\nPUT /nope HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
        sock.sendall(b"GET /healthz HTTP/1.0\r\n\r\nGET /not/answered HTTP/1.1\r\n\r\n")
        answers = read_all(sock)
    statuses = [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 404, 404, 200]


def test_a_body_that_waits_for_leave_is_invited(cxdb: EmbeddedCxdb) -> None:
    with http_socket(cxdb) as sock:
        sock.sendall(b"PUT /nope HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"ok")
        assert sock.recv(12) == b"HTTP/1.1 404"
