"""The recordings of a real CXDB, played over real sockets against the embedded one, as a process and in a container,
equal byte for byte.

The binary steps are played first and their connections stay open, then the HTTP steps: as recorded. What
the recording itself calls volatile (session ids, times, addresses) is compared by presence and kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cxdb_wire import REPO, Wire, golden, http

from harness.cxdb import EmbeddedCxdb
from harness.cxdb.container import ContainerCxdb

BINARY_STEPS = golden("binary.json")
HTTP_STEPS = golden("http.json")
VOLATILE = {"created_at_unix_ms", "connected_at", "last_activity_at", "session_id", "peer_addr"}


@pytest.fixture(scope="module", params=["process", "container"])
def played(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Step name -> what the server answered."""
    answers: dict[str, Any] = {}
    connections: dict[int, Wire] = {}
    in_container = request.param == "container"
    with ContainerCxdb(request.getfixturevalue("container_image")) if in_container else EmbeddedCxdb() as server:
        try:
            for step in BINARY_STEPS:
                number = step["connection"]
                if number not in connections:
                    connections[number] = Wire(server.binary_addr)
                answers[step["name"]] = _play_binary(connections[number], step)
            for step in HTTP_STEPS:
                answers[step["name"]] = _play_http(server.http_base_url, step)
        finally:
            for connection in connections.values():
                connection.sock.close()
        yield answers


def _play_binary(connection: Wire, step: dict[str, Any]) -> bytes | str:
    connection.send(bytes.fromhex(step["send"]))
    if step.get("closes_connection"):
        return "closed" if connection.is_closed_by_server() else "answered"
    return connection.receive(len(bytes.fromhex(step["recv"])))


def _play_http(base_url: str, step: dict[str, Any]) -> dict[str, Any]:
    body = step.get("body")
    raw = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
    response, answer = http(base_url, step["method"], step["path"], raw, step.get("request_headers"))
    return {
        "status": response.status,
        "content_type": response.getheader("Content-Type"),
        "etag": response.getheader("ETag"),
        "body": answer,
    }


@pytest.mark.parametrize("step", BINARY_STEPS, ids=[step["name"] for step in BINARY_STEPS])
def test_a_binary_step_is_answered_as_recorded(played: dict[str, Any], step: dict[str, Any]) -> None:
    got = played[step["name"]]
    if step.get("closes_connection"):
        assert got == "closed"
        return
    expected = bytes.fromhex(step["recv"])
    if "mask" in step:
        assert got[:16] + got[24:] == expected[:16] + expected[24:]
        assert got[16:24] != bytes(8)
    else:
        assert got.hex() == expected.hex()


@pytest.mark.parametrize("step", HTTP_STEPS, ids=[step["name"] for step in HTTP_STEPS])
def test_an_http_step_is_answered_as_recorded(played: dict[str, Any], step: dict[str, Any]) -> None:
    got = played[step["name"]]
    assert (got["status"], got["content_type"]) == (step["status"], step["content_type"])
    if "etag" in step:
        assert got["etag"] == step["etag"]
    if "text" in step:
        assert got["body"] == step["text"].encode()
    elif "json_shape" in step:
        assert _fits(json.loads(got["body"]), step["json_shape"])
    elif step["name"] == "read a bundle":
        assert got["body"] == json.dumps(step["json"]).encode()  # as published, not as the pages are written
    else:
        assert _masked_bytes(json.loads(got["body"])) == _masked_bytes(step["json"])
        assert got["body"] == _as_written(json.loads(got["body"]))


def _as_written(value: Any) -> bytes:
    """How the real server writes JSON: keys in order, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _masked_bytes(value: Any) -> bytes:
    return _as_written(_masked(value))


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: type(v).__name__ if k in VOLATILE else _masked(v) for k, v in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


def _fits(value: Any, shape: Any) -> bool:
    """Same keys, same kinds. The recorded shape of a list is that of its items."""
    if isinstance(shape, dict):
        assert set(value) == set(shape)
        return all(_fits(value[key], shape[key]) for key in shape)
    if isinstance(shape, list):
        return all(_fits(item, shape[0]) for item in value)
    assert type(value).__name__ == shape, (value, shape)
    return True


@pytest.mark.parametrize("name", ["binary.json", "http.json"])
def test_the_project_s_copy_of_a_recording_is_the_shared_one(name: str) -> None:
    shared = REPO.parent / "shared" / "cxdb-golden" / name
    if not shared.exists():
        pytest.skip("no shared recordings beside this checkout")
    assert json.loads(shared.read_text())["steps"] == golden(name)
