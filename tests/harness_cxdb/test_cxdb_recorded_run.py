"""A run that the engine has recorded on the real server, told to ours: it reads back turn for turn, file for file.

`record_run` has made the recording. Turns, blobs and the trees that turns show are stored in their order on a fresh
server, so that it gives the same numbers; then every page and every answer has to be the same, byte for byte.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from blake3 import blake3
from cxdb_wire import HERE, Wire, framed, http

from attractor.cxdb import registry_bundle
from attractor.cxdb.frames import decode_turns
from harness.cxdb import EmbeddedCxdb
from harness.cxdb.container import ContainerCxdb

RECORDED: dict[str, Any] = json.loads((HERE / "golden" / "run.json").read_text())
TURNS = decode_turns(bytes.fromhex(RECORDED["last_turns"]), with_payload=True)


@pytest.fixture(scope="module", params=["process", "container"])
def told(request: pytest.FixtureRequest) -> Iterator[EmbeddedCxdb | ContainerCxdb]:
    in_container = request.param == "container"
    with ContainerCxdb(request.getfixturevalue("container_image")) if in_container else EmbeddedCxdb() as server:
        (bundle,) = (path for path in RECORDED["pages"] if path.startswith("/v1/registry/bundles/"))
        body = RECORDED["pages"][bundle]["body"].encode()
        assert http(server.http_base_url, "PUT", bundle, body)[0].status == 201
        with Wire(server.binary_addr) as wire:
            context = wire.create_context()
            for blob in RECORDED["blobs"]:
                wire.put_blob(zlib.decompress(base64.b64decode(blob)))
            for turn in TURNS:
                root = RECORDED["attached"].get(str(turn.turn_id), "")
                wire.send(
                    framed(5, _append(context, turn.type_id, turn.type_version, turn.payload, root), 1, bool(root))
                )
                assert wire.frame()[2][8:16] == struct.pack("<Q", turn.turn_id)
        yield server


def _append(context: int, type_id: str, version: int, payload: bytes, root: str) -> bytes:
    name = type_id.encode()
    return b"".join(
        (
            struct.pack("<QQI", context, 0, len(name)),
            name,
            struct.pack("<IIII", version, 1, 0, len(payload)),
            blake3(payload).digest(),
            struct.pack("<I", len(payload)),
            payload,
            struct.pack("<I", 0),
            bytes.fromhex(root),
        )
    )


def test_the_recording_is_of_the_turn_types_that_the_engine_publishes_now() -> None:
    """Once they are others, the run has to be recorded again."""
    (path,) = (path for path in RECORDED["pages"] if path.startswith("/v1/registry/bundles/"))
    assert path.rpartition("/")[2] == registry_bundle()[0]


def test_all_turns_are_read_back_at_once(told: EmbeddedCxdb | ContainerCxdb) -> None:
    with Wire(told.binary_addr) as wire:
        assert wire.ask(6, struct.pack("<QII", 1, 1000, 1)).hex() == RECORDED["last_turns"]
        assert wire.ask(4, struct.pack("<Q", 1)).hex() == RECORDED["head"]


@pytest.mark.parametrize("path", RECORDED["pages"])
def test_a_page_is_as_the_real_server_wrote_it(told: EmbeddedCxdb | ContainerCxdb, path: str) -> None:
    response, body = http(told.http_base_url, "GET", path)
    recorded = RECORDED["pages"][path]
    assert response.status == recorded["status"]
    assert body.decode() == recorded["body"]
