"""The harness's eyes: all pages, typed data, and a clear error for each way of not getting them."""

from __future__ import annotations

import socket
import struct
import threading

import pytest
from cxdb_wire import Wire, append_payload, framed, note, publish_notes

from harness.cxdb import (
    ContextSummary,
    CxdbAnswerInvalid,
    CxdbRefused,
    CxdbUnreachable,
    EmbeddedCxdb,
    Turn,
    list_contexts,
    read_turns,
)


def test_all_turns_of_many_pages_come_oldest_first(cxdb: EmbeddedCxdb) -> None:
    publish_notes(cxdb.http_base_url)
    with Wire(cxdb.binary_addr) as wire:
        context_id = wire.create_context()
        frame = framed(5, append_payload(context_id, note("n", 3)))
        wire.send(frame * 1300)
        for _ in range(1300):
            wire.frame()
    turns = read_turns(cxdb.http_base_url, context_id)
    assert [turn.turn_id for turn in turns] == list(range(1, 1301))
    assert turns[0] == Turn(1, 0, 0, "com.example.Note", 1, {"text": "n", "number": "3"})
    assert turns[-1].depth == 1299


def test_a_fork_s_line_reaches_back_over_the_fork(cxdb: EmbeddedCxdb) -> None:
    publish_notes(cxdb.http_base_url)
    with Wire(cxdb.binary_addr) as wire:
        trunk = wire.create_context()
        base = wire.append(trunk, note("base"))
        wire.append(trunk, note("trunk"))
        wire.ask(3, struct.pack("<Q", base))
        wire.append(2, note("branch"))
    assert [turn.data["text"] for turn in read_turns(cxdb.http_base_url, 2)] == ["base", "branch"]


def test_an_empty_context_has_no_turns(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        context_id = wire.create_context()
    assert read_turns(cxdb.http_base_url, context_id) == []


def test_contexts_are_listed_with_head_and_tag_the_last_changed_first(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        wire.ask(1, struct.pack("<HH", 1, 3) + b"tag" + bytes(4))
        first, second = wire.create_context(), wire.create_context()
        wire.append(first, note("x"))
        contexts = list_contexts(cxdb.http_base_url)
    assert [c.context_id for c in contexts] == [first, second]
    assert contexts[0] == ContextSummary(first, 1, 0, contexts[0].changed_at_unix_ms, True, "tag")


def test_an_unknown_context_and_an_unpublished_type_are_refusals_with_their_status(
    cxdb: EmbeddedCxdb,
) -> None:
    with pytest.raises(CxdbRefused, match="HTTP 404: context") as caught:
        read_turns(cxdb.http_base_url, 9)
    assert caught.value.status == 404
    with Wire(cxdb.binary_addr) as wire:
        wire.append(wire.create_context(), note("x"))
    with pytest.raises(CxdbRefused, match="HTTP 424: type descriptor"):
        read_turns(cxdb.http_base_url, 1)


def test_a_dead_and_a_stuck_server_are_unreachable(cxdb: EmbeddedCxdb) -> None:
    cxdb.pause()
    with pytest.raises(CxdbUnreachable):
        read_turns(cxdb.http_base_url, 1, timeout_seconds=0.05)
    cxdb.kill()
    with pytest.raises(CxdbUnreachable, match="Connection refused"):
        list_contexts(cxdb.http_base_url)
    with pytest.raises(CxdbUnreachable, match="not an http:// address"):
        list_contexts("ftp://127.0.0.1:1")


@pytest.mark.parametrize(
    "body",
    [
        b"{nope",
        b'{"turns":5}',
        b'{"turns":[{"turn_id":"x","parent_turn_id":"0","depth":0,"declared_type":{"type_id":"t","type_version":1},"data":{}}]}',
    ],
)
def test_an_answer_of_another_shape_is_named_as_such(body: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(CxdbAnswerInvalid):
            read_turns(f"http://127.0.0.1:{listener.getsockname()[1]}", 1)
        thread.join()
