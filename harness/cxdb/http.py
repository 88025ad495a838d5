"""HTTP/1.1 as values: bytes in, requests out; responses in, bytes out. No sockets, no routes.

A small strict parser of its own, because the standard library's server costs more to import than this
whole program takes to start, and gives every client a thread.

Rules:
- Anything doubtful is refused with a status and a sentence, and the connection is closed: after a
  misread request there is no telling where the next one begins.
- Chunked bodies are refused (411): no CXDB client sends them. Headers end at 100 KB, bodies at 64 MiB.
- Requests on one connection are answered in order; HTTP/1.0 and `Connection: close` end it after one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import msgspec

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_HEADER_BYTES",
    "HttpConnection",
    "HttpProblem",
    "Request",
    "RequestReader",
    "Response",
    "json_error",
]

MAX_HEADER_BYTES = 100 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024

_HEAD_END = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"([A-Za-z]{1,20}) ([!-~]+) HTTP/1\.([01])")
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\x00]*?)[ \t]*")
_CONTENT_LENGTH = re.compile(rb"[0-9]{1,18}")
_REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    304: "Not Modified",
    400: "Bad Request",
    404: "Not Found",
    411: "Length Required",
    413: "Content Too Large",
    422: "Unprocessable Entity",
    424: "Failed Dependency",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
}
_WITHOUT_BODY = (204, 304)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class HttpProblem(Exception):
    """The bytes are no request we take; `status` and `message` are for the peer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message


class Request(msgspec.Struct, frozen=True):
    """One whole request. Header names are in lower case; values as sent, as Latin-1 text."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    keeps_alive: bool


class Response(msgspec.Struct, frozen=True):
    """What to answer. Length and date are added on the wire."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


def json_error(status: int, message: str) -> Response:
    """An error in CXDB's form."""
    body = msgspec.json.encode({"error": {"code": status, "message": message}})
    return Response(status, body, "application/json")


class RequestReader:
    """Cuts a byte stream into requests."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # no end of the header begins before here
        self._maybe_head: tuple[Request, int] | None = None  # its body is still coming
        self.must_say_continue = False  # the peer waits for leave to send its body

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def maybe_request(self) -> Request | None:
        """The next whole request, None when more bytes are needed. Raises HttpProblem."""
        if self._maybe_head is None:
            self._maybe_head = self._read_head()
        if self._maybe_head is None:
            return None
        head, length = self._maybe_head
        if len(self._buffer) < length:
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._maybe_head = None
        self.must_say_continue = False
        return msgspec.structs.replace(head, body=body)

    def _read_head(self) -> tuple[Request, int] | None:
        while self._buffer[:2] == b"\r\n":  # an empty line before a request is allowed
            del self._buffer[:2]
        end = self._buffer.find(_HEAD_END, self._searched)
        if end > MAX_HEADER_BYTES or (end < 0 and len(self._buffer) > MAX_HEADER_BYTES):
            raise HttpProblem(431, f"headers are limited to {MAX_HEADER_BYTES} bytes")
        if end < 0:
            if b"\n\n" in self._buffer or b"\x00" in self._buffer:
                raise HttpProblem(400, "not an HTTP request: lines end with CR LF")
            self._searched = max(0, len(self._buffer) - len(_HEAD_END) + 1)
            return None
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + len(_HEAD_END)]
        self._searched = 0
        return self._parse_head(lines)

    def _parse_head(self, lines: list[bytes]) -> tuple[Request, int]:
        match = _REQUEST_LINE.fullmatch(lines[0])
        if match is None:
            raise HttpProblem(400, f"not an HTTP/1.1 request line: {lines[0][:80]!r}")
        method, target, minor = match.groups()
        headers = _parse_headers(lines[1:])
        length = _body_length(headers)
        self.must_say_continue = bool(length) and headers.get("expect", "").lower() == "100-continue"
        options = headers.get("connection", "").lower()
        keeps_alive = "keep-alive" in options if minor == b"0" else "close" not in options
        return Request(method.decode(), target.decode(), headers, b"", keeps_alive), length


def _parse_headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        match = _HEADER_LINE.fullmatch(line)
        if match is None:
            raise HttpProblem(400, f"not a header line: {line[:80]!r}")
        name = match[1].decode().lower()
        value = match[2].decode("latin-1")
        if name == "content-length" and headers.get(name, value) != value:
            raise HttpProblem(400, "two different Content-Length headers")
        headers[name] = value
    return headers


def _body_length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise HttpProblem(411, "Transfer-Encoding is not accepted: send a Content-Length")
    text = headers.get("content-length", "0")
    if not _CONTENT_LENGTH.fullmatch(text.encode("latin-1")):
        raise HttpProblem(400, f"Content-Length is not a number: {text[:80]!r}")
    if int(text) > MAX_BODY_BYTES:
        raise HttpProblem(413, f"bodies are limited to {MAX_BODY_BYTES} bytes, {text} were announced")
    return int(text)


def _date(now: float) -> str:
    t = time.gmtime(now)
    day, month = _DAYS[t.tm_wday], _MONTHS[t.tm_mon - 1]
    return f"{day}, {t.tm_mday:02} {month} {t.tm_year} {t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"


def encode_response(response: Response, *, closes: bool, is_head: bool, now: float) -> bytes:
    """The bytes of a response; `now` in seconds since 1970."""
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS[response.status]}",
        "Server: cxdb-embedded",
        f"Date: {_date(now)}",
    ]
    if response.content_type is not None:
        lines.append(f"Content-Type: {response.content_type}")
    lines += [f"{name}: {value}" for name, value in response.headers]
    if response.status not in _WITHOUT_BODY:
        lines.append(f"Content-Length: {len(response.body)}")
    if closes:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode("latin-1") + _HEAD_END
    return head if is_head or response.status in _WITHOUT_BODY else head + response.body


class HttpConnection:
    """One client of the HTTP port. `answer` maps a request to its response and never raises."""

    lingers = True  # a refusal must be readable although the refused body is still on its way

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self._answer = answer
        self._reader = RequestReader()
        self.is_finished = False

    def receive(self, data: bytes) -> None:
        self._reader.feed(data)

    def work(self, enough_bytes: int) -> bytes:
        output = b""
        while len(output) < enough_bytes and not self.is_finished:
            try:
                request = self._reader.maybe_request()
            except HttpProblem as problem:
                output += self._encode(json_error(problem.status, problem.message), None)
                break
            if request is None:
                break
            output += self._encode(self._answer(request), request)
        if self._reader.must_say_continue:
            self._reader.must_say_continue = False
            output += b"HTTP/1.1 100 Continue\r\n\r\n"
        return output

    def _encode(self, response: Response, request: Request | None) -> bytes:
        self.is_finished = request is None or not request.keeps_alive
        is_head = request is not None and request.method == "HEAD"
        return encode_response(response, closes=self.is_finished, is_head=is_head, now=time.time())

    def peer_closed(self) -> None:
        self.is_finished = True

    def lost(self) -> None:
        self.is_finished = True
