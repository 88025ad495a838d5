"""Files as blobs: streamed between turns, stored once under their hash, and only while they are what they were."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from blake3 import blake3

from attractor.cxdb import CxdbConnection
from attractor.cxdb.blobs import blob_of
from attractor.cxdb.connection import PIECE_BYTES, PIECES_A_PUSH
from attractor.errors import CxdbOutcomeUnknown
from harness.cxdb.embedded import EmbeddedCxdb

SIZES = [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 6 * PIECE_BYTES * PIECES_A_PUSH + 7]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedCxdb]:
    with EmbeddedCxdb(tmp_path / "cxdb") as running:
        yield running


@pytest.fixture
def connection(server: EmbeddedCxdb) -> Iterator[CxdbConnection]:
    opened = CxdbConnection(server.binary_addr, client_tag="test")
    yield opened
    opened.close()


def content_of(size: int) -> bytes:
    return bytes(number % 251 for number in range(1000)) * (size // 1000) + b"." * (size % 1000)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_any_size_is_stored_between_the_turns_around_it(connection: CxdbConnection, size: int) -> None:
    content = content_of(size)
    name = blake3(content).digest()
    context = connection.create_context().context_id
    connection.append(context, b"t", 1, b"\x81\x01\x01")
    connection.put_blob(name, io.BytesIO(content), size)
    connection.append(context, b"t", 1, b"\x81\x01\x02")
    connection.barrier(30)
    assert connection.get_blob(name, 30) == content
    assert [turn.payload[-1] for turn in connection.last_turns(context, 9)] == [1, 2]


def test_a_large_file_is_not_held_in_memory_and_not_sent_in_one_go(connection: CxdbConnection) -> None:
    size = SIZES[-1]
    file = io.BytesIO(content_of(size))
    connection.put_blob(blake3(file.getvalue()).digest(), file, size)
    connection.push()
    assert file.tell() <= PIECE_BYTES * (PIECES_A_PUSH + 1)
    assert connection.unsent_bytes <= 2 * PIECE_BYTES
    connection.barrier(30)
    assert file.closed


def test_the_same_file_again_is_no_trouble(connection: CxdbConnection) -> None:
    name = blake3(b"same").digest()
    for _ in range(3):
        connection.put_blob(name, io.BytesIO(b"same"), 4)
    connection.barrier(30)
    assert connection.get_blob(name) == b"same"


def test_a_file_that_ends_early_is_a_broken_connection(connection: CxdbConnection) -> None:
    connection.put_blob(blake3(b"short").digest(), io.BytesIO(b"short"), 6)
    with pytest.raises(CxdbOutcomeUnknown, match="ended 1 bytes early"):
        connection.barrier(30)


def test_a_blob_that_nobody_knows_ends_the_connection(connection: CxdbConnection) -> None:
    with pytest.raises(CxdbOutcomeUnknown):
        connection.get_blob(b"\1" * 32)
    assert connection.ended_by_peer


def named(path: Path, **fields: Any) -> dict[str, Any]:
    return {"content_hash": blake3(b"it").hexdigest(), "bytes_len": 2, "local_path": str(path)} | fields


def test_only_what_the_turn_says_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    assert blob_of(named(path)) is None, "it is gone"
    path.write_bytes(b"it")
    found = blob_of(named(path))
    assert found is not None
    with found.file as file:
        assert (found.content_hash, found.size, file.read()) == (blake3(b"it").digest(), 2, b"it")
    assert blob_of(named(path, content_hash="sha256, of an older run")) is None
    path.write_bytes(b"at")
    assert blob_of(named(path)) is None
    path.write_bytes(b"it, and more")
    assert blob_of(named(path)) is None


def test_what_the_next_attempt_has_put_aside_is_found_there(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    path.write_bytes(b"at")
    for number, content in enumerate((b"no", b"it"), start=1):
        (tmp_path / "attempts" / str(number)).mkdir(parents=True)
        (tmp_path / "attempts" / str(number) / "stdout.log").write_bytes(content)
    found = blob_of(named(path))
    assert found is not None
    with found.file as file:
        assert file.read() == b"it"


@pytest.mark.parametrize("name", ["a**b.log", "[x].log", "?.log"])
def test_a_name_is_no_pattern(tmp_path: Path, name: str) -> None:
    (tmp_path / "attempts" / "1").mkdir(parents=True)
    (tmp_path / "attempts" / "1" / name).write_bytes(b"it")
    found = blob_of(named(tmp_path / name))
    assert found is not None
    found.file.close()


@pytest.mark.parametrize("place", ["folder", "nul\0", "x" * 300])
def test_anything_may_be_in_a_file_s_place(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    assert blob_of(named(tmp_path / place)) is None
    assert blob_of(named(tmp_path / place, bytes_len=(tmp_path / "folder").stat().st_size)) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_link_or_a_pipe_in_a_file_s_place_is_neither_followed_nor_waited_for(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"it")
    (tmp_path / "link").symlink_to("it")
    os.mkfifo(tmp_path / "pipe")
    assert blob_of(named(tmp_path / "link")) is None
    assert blob_of(named(tmp_path / "pipe")) is None


@pytest.mark.parametrize("megabytes", [70, 1], ids=["more than a frame may have", "less"])
def test_a_history_is_read_back_however_large_it_is(connection: CxdbConnection, megabytes: int) -> None:
    context_id = connection.create_context().context_id
    size = (megabytes << 20) // 70
    payloads = [msgspec.msgpack.encode({1: str(number), 2: "x" * size}) for number in range(70)]
    for payload in payloads:
        connection.append(context_id, b"test", 3, payload)
    connection.barrier(30.0)
    turns = connection.last_turns(context_id, 70, 30.0)
    assert [turn.payload for turn in turns] == payloads
    assert [(turn.depth, turn.type_id, turn.type_version) for turn in turns] == [(n, "test", 3) for n in range(70)]


def test_blobs_come_in_the_order_in_which_they_were_asked_for(connection: CxdbConnection) -> None:
    contents = [bytes([number]) * 10 for number in range(200)]
    hashes = [blake3(content).digest() for content in contents]
    for content, content_hash in zip(contents, hashes, strict=True):
        connection.put_blob(content_hash, io.BytesIO(content), len(content))
    assert connection.get_blobs(hashes) == contents
    assert connection.get_blobs([]) == []
    with pytest.raises(CxdbOutcomeUnknown):
        connection.get_blobs([hashes[0], bytes(32)])
