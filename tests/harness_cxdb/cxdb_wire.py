"""What the CXDB tests share: a plain socket client that knows only frame borders, and payload builders.

Written from the protocol, not from the code under test: frames are cut here by hand.
"""

from __future__ import annotations

import json
import socket
import struct
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from blake3 import blake3

HERE = Path(__file__).parent
REPO = HERE.parent.parent
TIMEOUT_SECONDS = 20.0


def golden(name: str) -> list[dict[str, Any]]:
    """The steps of a recording, from the project's own copy."""
    steps: list[dict[str, Any]] = json.loads((HERE / "golden" / name).read_text())["steps"]
    return steps


class Wire:
    """One connection to a binary port."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.sock = socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def receive(self, count: int) -> bytes:
        """Exactly `count` bytes, fewer when the server closes before."""
        received = b""
        while len(received) < count:
            piece = self.sock.recv(count - len(received))
            if not piece:
                break
            received += piece
        return received

    def frame(self) -> tuple[int, int, bytes]:
        """(code, request id, payload) of the next frame."""
        size, code, _, request_id = struct.unpack("<IHHQ", self.receive(16))
        return code, request_id, self.receive(size)

    def ask(self, code: int, payload: bytes, request_id: int = 1) -> bytes:
        """One request and the payload of its answer."""
        self.send(framed(code, payload, request_id))
        answered, answered_id, answer = self.frame()
        assert (answered, answered_id) == (code, request_id)
        return answer

    def is_closed_by_server(self) -> bool:
        """Waits for it, within the socket's time-out."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def create_context(self, base_turn_id: int = 0) -> int:
        return int.from_bytes(self.ask(2, struct.pack("<Q", base_turn_id))[:8], "little")

    def head(self, context_id: int) -> tuple[int, int]:
        """(head turn, depth)."""
        _, turn_id, depth = struct.unpack("<QQI", self.ask(4, struct.pack("<Q", context_id)))
        return turn_id, depth

    def append(self, context_id: int, payload: bytes) -> int:
        answer = self.ask(5, append_payload(context_id, payload))
        return int.from_bytes(answer[8:16], "little")

    def put_blob(self, data: bytes) -> bytes:
        digest = blake3(data).digest()
        self.ask(11, digest + struct.pack("<I", len(data)) + data)
        return digest


def framed(code: int, payload: bytes, request_id: int = 1, flags: int = 0) -> bytes:
    return struct.pack("<IHHQ", len(payload), code, flags, request_id) + payload


def append_payload(context_id: int, payload: bytes, *, parent: int = 0, type_id: str = "com.example.Note") -> bytes:
    name = type_id.encode()
    return b"".join(
        (
            struct.pack("<QQI", context_id, parent, len(name)),
            name,
            struct.pack("<IIII", 1, 1, 0, len(payload)),
            blake3(payload).digest(),
            struct.pack("<I", len(payload)),
            payload,
            struct.pack("<I", 0),
        )
    )


def note(text: str, number: int = 1) -> bytes:
    """A payload of com.example.Note, for texts under 32 bytes and numbers under 128."""
    raw = text.encode()
    return b"\x82\x01" + bytes([0xA0 | len(raw)]) + raw + b"\x02" + bytes([number])


def http(
    base_url: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[HTTPResponse, bytes]:
    """One request with the standard library's client: an implementation that is not ours."""
    connection = HTTPConnection(base_url.removeprefix("http://"), timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


NOTE_BUNDLE = json.dumps(
    {
        "registry_version": 1,
        "bundle_id": "example-v1",
        "types": {
            "com.example.Note": {
                "versions": {
                    "1": {
                        "fields": {
                            "1": {"name": "text", "type": "string"},
                            "2": {"name": "number", "type": "u64"},
                        }
                    }
                }
            }
        },
        "enums": {},
    }
).encode()


def publish_notes(base_url: str) -> None:
    response, _ = http(base_url, "PUT", "/v1/registry/bundles/example-v1", NOTE_BUNDLE)
    assert response.status in (201, 204)
