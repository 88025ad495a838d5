"""HTTP/1.1 as far as agent programs use it: one request a connection, one reply, then closed.

Written out rather than taken from http.server, because the wrong replies are the point here (cut in the
middle, garbage, a byte at a time), and because it starts in a third of the time.
"""

from __future__ import annotations

import dataclasses
import socket
import zlib
from collections.abc import Mapping

__all__ = ["BadRequest", "Request", "head", "read_request", "without_secrets"]

MOST_HEAD_BYTES = 64 * 1024
MOST_BODY_BYTES = 64 * 1024 * 1024
_SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "set-cookie"}
)
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    413: "Payload Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    529: "Overloaded",
}


class BadRequest(Exception):
    """What was received is no HTTP request."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str  # path and query, as sent
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


def read_request(connection: socket.socket) -> Request | None:
    """The request of a connection; None when the peer closed without one. Raises BadRequest, OSError."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            if received:
                raise BadRequest("closed in the middle of the headers")
            return None
        received += piece
        if len(received) > MOST_HEAD_BYTES and b"\r\n\r\n" not in received:
            raise BadRequest(f"headers of more than {MOST_HEAD_BYTES} bytes")
    first, _, rest = received.partition(b"\r\n\r\n")
    method, target, headers = _parse_head(first)
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = _Body(connection, rest).read(headers)
    return Request(method, target, headers, _decoded(body, headers.get("content-encoding", "")))


def _parse_head(text: bytes) -> tuple[str, str, dict[str, str]]:
    line, *rest = text.decode("latin-1").split("\r\n")
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(f"no request line: {line[:80]!r}")
    headers = {}
    for field in rest:
        name, colon, value = field.partition(":")
        if not colon:
            raise BadRequest(f"no header: {field[:80]!r}")
        headers[name.strip().lower()] = value.strip()
    return words[0], words[1], headers


class _Body:
    """What follows the headers, by length or in chunks."""

    def __init__(self, connection: socket.socket, received: bytes) -> None:
        self._connection = connection
        self._received = received

    def read(self, headers: Mapping[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunks()
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MOST_BODY_BYTES:
            raise BadRequest(f"content-length {length!r}")
        return self._exactly(int(length))

    def _chunks(self) -> bytes:
        body = b""
        while True:
            size = self._line().partition(b";")[0]
            try:
                length = int(size, 16)
            except ValueError:
                raise BadRequest(f"no chunk size: {size[:80]!r}") from None
            if len(body) + length > MOST_BODY_BYTES:
                raise BadRequest(f"a body of more than {MOST_BODY_BYTES} bytes")
            if length == 0:
                while self._line():
                    pass  # trailers
                return body
            body += self._exactly(length)
            self._line()

    def _line(self) -> bytes:
        while b"\r\n" not in self._received:
            self._more()
        line, _, self._received = self._received.partition(b"\r\n")
        return line

    def _exactly(self, length: int) -> bytes:
        while len(self._received) < length:
            self._more()
        piece, self._received = self._received[:length], self._received[length:]
        return piece

    def _more(self) -> None:
        piece = self._connection.recv(65536)
        if not piece:
            raise BadRequest("closed in the middle of the body")
        self._received += piece


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding in ("gzip", "deflate"):
        return zlib.decompress(body, 47 if encoding == "gzip" else 15)
    if encoding == "zstd":
        import zstandard  # a program may compress its requests; few do

        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return body


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Scripted')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def without_secrets(request: Request) -> tuple[str, dict[str, str]]:
    """Target and headers as they may be kept: that a secret was sent shows, its value does not."""
    path, mark, query = request.target.partition("?")
    pairs = [pair.split("=")[0] + "=(removed)" if "key=" in pair.lower() else pair for pair in query.split("&")]
    headers = {name: "(removed)" if name in _SECRET_HEADERS else value for name, value in request.headers.items()}
    return path + mark + "&".join(pairs), headers
