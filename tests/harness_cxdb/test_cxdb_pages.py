"""Pages the recordings do not cover. The expected answers were read off a real CXDB given the same input."""

from __future__ import annotations

import json
import struct
from typing import Any

import msgspec
import pytest
from cxdb_wire import Wire, append_payload, framed, http, note, publish_notes

from harness.cxdb import EmbeddedCxdb


def page(cxdb: EmbeddedCxdb, path: str) -> tuple[int, Any]:
    response, body = http(cxdb.http_base_url, "GET", path)
    return response.status, json.loads(body)


def refusal(code: int, message: str) -> tuple[int, dict[str, Any]]:
    return code, {"error": {"code": code, "message": message}}


def test_a_payload_may_nest_510_deep_and_no_deeper(cxdb: EmbeddedCxdb) -> None:
    publish_notes(cxdb.http_base_url)
    with Wire(cxdb.binary_addr) as wire:
        for depth in (510, 511):
            wire.append(wire.create_context(), b"\x81\x09" + b"\x91" * depth + b"\x01")
    path = "/v1/contexts/{}/turns?include_unknown=1"
    assert http(cxdb.http_base_url, "GET", path.format(1))[1].count(b"[") == 511
    assert page(cxdb, path.format(2)) == refusal(422, "msgpack decode error: depth limit exceeded")


def test_an_append_to_an_explicit_parent_makes_the_context(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        turn_id = wire.append(wire.create_context(), note("first"))
        wire.ask(5, append_payload(500, note("second"), parent=turn_id))
        assert wire.head(500) == (2, 1)
        assert wire.create_context() == 2


def test_a_refused_append_leaves_its_blob_and_no_turn(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        wire.send(framed(5, append_payload(9, note("lost"))))
        assert wire.is_closed_by_server()
    _, metrics = page(cxdb, "/v1/metrics")
    assert (metrics["objects"]["blobs_total"], metrics["objects"]["turns_total"]) == (1, 0)


def test_a_context_is_live_until_its_client_says_goodbye(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        wire.create_context()
        assert page(cxdb, "/v1/contexts")[1]["contexts"][0]["is_live"] is True
    with Wire(cxdb.binary_addr) as wire:
        wire.head(1)  # the goodbye before it has been seen once this is answered
        assert page(cxdb, "/v1/contexts")[1]["contexts"][0]["is_live"] is False


def test_a_client_that_was_hung_up_on_stays_listed_as_on_the_real_server(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        wire.create_context()
        wire.send(framed(4, struct.pack("<Q", 99)))
        assert wire.is_closed_by_server()
    assert page(cxdb, "/v1/contexts")[1]["contexts"][0]["is_live"] is True


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["3", "2", "1"]),
        ("?limit=2", ["3", "2"]),
        ("?limit=x", ["3", "2", "1"]),
        ("?tag=own", ["2"]),
        ("?tag=", []),
    ],
)
def test_contexts_are_filtered_by_tag_and_limit(cxdb: EmbeddedCxdb, query: str, found: list[str]) -> None:
    with Wire(cxdb.binary_addr) as wire:
        wire.ask(1, struct.pack("<HH", 1, 3) + b"tag" + bytes(4))
        for payload in (note("x"), msgspec.msgpack.encode({30: {1: "own"}}), note("y")):
            wire.append(wire.create_context(), payload)
        assert [c["context_id"] for c in page(cxdb, f"/v1/contexts{query}")[1]["contexts"]] == found


def test_provenance_comes_from_the_first_turn_with_the_peer_filled_in(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        context_id = wire.create_context()
        wire.append(context_id, msgspec.msgpack.encode({30: {10: {1: 5, 40: "svc", 60: {"A": "b", "n": 3}}}}))
        wire.append(context_id, msgspec.msgpack.encode({30: {10: {40: "later"}}}))
        _, answer = page(cxdb, f"/v1/contexts/{context_id}/provenance")
        peer = "{}:{}".format(*wire.sock.getsockname())
    said = {name: value for name, value in answer["provenance"].items() if value is not None}
    assert said == {"parent_context_id": 5, "service_name": "svc", "env": {"A": "b"}, "client_address": peer}
    assert len(answer["provenance"]) == 25


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/contexts/1/turns?before_turn_id=99", refusal(404, "before turn")),
        ("/v1/contexts/+1/turns?view=none&limit=1", None),
        ("/v1/contexts/18446744073709551616/turns", refusal(422, "invalid context_id")),
        ("/v1/contexts/1/turns?type_hint_mode=explicit", refusal(422, "as_type_id required")),
        (
            "/v1/contexts/1/turns?type_hint_mode=explicit&as_type_id=x",
            refusal(422, "as_type_version required"),
        ),
        ("/v1/contexts/1/turns?type_hint_mode=latest&view=raw", refusal(424, "type descriptor")),
        ("/v1/contexts/search?q=", (400, {"error": "Missing required 'q' parameter"})),
        ("/v1/contexts/", refusal(404, "route")),
        ("/x/../v1/contexts/9/turns", refusal(404, "context")),
        ("//healthz", refusal(404, "route")),
        ("/v1/turns/1/fs", refusal(404, "no fs snapshot for turn")),
        ("/v1/turns/x/fs", refusal(422, "invalid turn_id")),
        ("/v1/turns/1/fs/", refusal(422, "empty file path")),
        ("/v1/registry/types/T/versions/-1", refusal(422, "invalid version")),
    ],
)
def test_odd_addresses_are_answered_as_by_the_real_server(cxdb: EmbeddedCxdb, path: str, expected: Any) -> None:
    with Wire(cxdb.binary_addr) as wire:
        wire.append(wire.create_context(), note("x"))
    status, body = page(cxdb, path)
    if expected is None:
        assert (status, list(body["turns"][0])) == (
            200,
            ["declared_type", "depth", "parent_turn_id", "turn_id"],
        )
    else:
        assert (status, body) == expected


@pytest.mark.parametrize("path", ["/v1/contexts/search?q=tag", "/v1/events"])
def test_what_the_embedded_server_leaves_out_says_so(cxdb: EmbeddedCxdb, path: str) -> None:
    status, body = page(cxdb, path)
    assert status == 501
    assert "the embedded server has no" in body["error"]["message"]


@pytest.fixture
def snapshot(cxdb: EmbeddedCxdb) -> EmbeddedCxdb:
    """Turn 1 carries a tree, turn 2 inherits it: a.txt, d/in.py, a link, and entries that are broken."""
    encode = msgspec.msgpack.encode
    with Wire(cxdb.binary_addr) as wire:
        text, target = wire.put_blob(b"hello"), wire.put_blob(b"a.txt")
        inner = wire.put_blob(encode([{"1": "in.py", "2": 0, "3": 0o755, "4": 5, "5": text}]))
        root = wire.put_blob(
            encode(
                [
                    {1: "a.txt", 2: 0, 3: 0o644, 4: 5, 5: text},
                    {1: "d", 2: 1, 3: 0o755, 4: 0, 5: inner},
                    {1: "l", 2: 2, 3: 0o777, 4: 5, 5: target},
                    {1: "bad", 2: 0, 5: b"x"},
                    {1: "gone", 2: 0, 5: b"z" * 32},
                    {1: "notree", 2: 1, 5: text},
                ]
            )
        )
        context_id = wire.create_context()
        wire.append(context_id, note("x"))
        wire.append(context_id, note("y"))
        wire.ask(10, struct.pack("<Q", 1) + root)
    return cxdb


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("fs/zz", refusal(404, "path component not found: zz")),
        ("fs/a.txt/x", refusal(422, "not a directory: a.txt")),
        ("fs?path=a.txt", refusal(422, "path is not a directory: a.txt")),
        ("fs/bad", refusal(500, "invalid hash length: 1")),
        ("fs/gone", refusal(404, "blob")),
        ("fs/notree", refusal(500, "tree is not an array")),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(snapshot: EmbeddedCxdb, path: str, expected: Any) -> None:
    assert page(snapshot, f"/v1/turns/2/{path}") == expected


def test_files_links_and_directories_of_a_snapshot_are_shown(snapshot: EmbeddedCxdb) -> None:
    response, body = http(snapshot.http_base_url, "GET", "/v1/turns/2/fs/d/in.py")
    assert (body, response.getheader("Content-Type")) == (b"hello", "text/x-python")
    assert response.getheader("X-Fs-Mode") == "755"
    assert http(snapshot.http_base_url, "GET", "/v1/turns/2/fs/l")[1] == b"a.txt"
    _, as_json = page(snapshot, "/v1/turns/2/fs/a.txt?format=json")
    assert as_json["content_base64"] == "aGVsbG8="
    _, listing = page(snapshot, "/v1/turns/2/fs/d")
    assert listing == page(snapshot, "/v1/turns/2/fs?path=d")[1]
    assert [(e["name"], e["kind"], e["mode"], e["size"]) for e in listing["entries"]] == [("in.py", "file", "755", 5)]
    assert [e["kind"] for e in page(snapshot, "/v1/turns/1/fs")[1]["entries"]][:3] == [
        "file",
        "dir",
        "symlink",
    ]
    snapshot.restart()
    assert page(snapshot, "/v1/turns/2/fs/d")[1] == listing
