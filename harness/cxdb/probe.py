"""What a CXDB does, seen from outside: whether it answers a hello on its binary port and `/healthz` on its HTTP port,
and whether it knows a context.

A connection alone proves nothing: the kernel takes one for a process that stands still, and a container engine's proxy
for a server that does not listen yet. Every question has a bound.
"""

from __future__ import annotations

import socket
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from harness.cxdb.frames import HEADER_BYTES, MessageType, encode_frame
from harness.cxdb.requests import CreateContext, GetBlob, GetHead, Hello

__all__ = ["health_problem", "hello_problem", "holds_blob", "knows_context", "new_context", "split_address"]

_REQUEST_ID = 1
_CLIENT_TAG = "harness-probe"
_MOST_BYTES = 4096  # of a payload: what these questions are answered with is shorter


def split_address(address: str) -> tuple[str, int]:
    """`"[::1]:9009"` is ("::1", 9009)."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def hello_problem(address: str, seconds: float) -> str:
    """Why a hello to `address` was not answered; empty when it was."""
    try:
        with socket.create_connection(split_address(address), seconds) as connection:
            header, _ = _asked(connection, Hello(client_tag=_CLIENT_TAG))
    except ConnectionRefusedError:
        return f"nobody listens at {address}"
    except TimeoutError:
        return f"what listens at {address} did not answer a CXDB hello within {seconds:g} s"
    except OSError as error:
        return f"{address}: {error.strerror or error}"
    if len(header) < HEADER_BYTES:
        return f"what listens at {address} closes the connection at a CXDB hello"
    code, request_id = int.from_bytes(header[4:6], "little"), int.from_bytes(header[8:16], "little")
    if (code, request_id) != (MessageType.HELLO, _REQUEST_ID):
        return f"what listens at {address} is no CXDB: it answers a hello with {header[:16]!r}"
    return ""


def health_problem(base_url: str, seconds: float) -> str:
    """Why `/healthz` does not say that all is well; empty when it does."""
    url = urlsplit(base_url)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=seconds)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except ConnectionRefusedError:
        return f"nobody listens at {base_url}"
    except TimeoutError:
        return f"{base_url}/healthz did not answer within {seconds:g} s"
    except (OSError, HTTPException) as error:
        return f"{base_url}/healthz gives no HTTP answer: {error}"
    finally:
        connection.close()
    return "" if status == 200 else f"{base_url}/healthz answers HTTP {status}, where a CXDB answers 200"


def new_context(address: str, seconds: float) -> int:
    """The id of a context made for this; OSError when it cannot be made."""
    with socket.create_connection(split_address(address), seconds) as connection:
        _asked(connection, Hello(client_tag=_CLIENT_TAG))
        _, answer = _asked(connection, CreateContext())
    if len(answer) < 8:
        raise ConnectionError(f"what listens at {address} makes no context")
    return int.from_bytes(answer[:8], "little")


def knows_context(address: str, context_id: int, seconds: float) -> bool:
    """Whether that context is there; a server says no by closing the connection."""
    with socket.create_connection(split_address(address), seconds) as connection:
        _asked(connection, Hello(client_tag=_CLIENT_TAG))
        _, answer = _asked(connection, GetHead(context_id))
    return answer[:8] == context_id.to_bytes(8, "little")


def holds_blob(address: str, content_hash: bytes, seconds: float) -> bool:
    """Whether a blob is stored; a server says no by closing the connection."""
    with socket.create_connection(split_address(address), seconds) as connection:
        _asked(connection, Hello(client_tag=_CLIENT_TAG))
        header, _ = _asked(connection, GetBlob(content_hash))
    return int.from_bytes(header[4:6], "little") == MessageType.GET_BLOB


def _asked(connection: socket.socket, request: Hello | CreateContext | GetHead | GetBlob) -> tuple[bytes, bytes]:
    """(header, payload) of the answer, as much as comes before the peer closes."""
    connection.sendall(encode_frame(request.type, _REQUEST_ID, request.encode()))
    header = _received(connection, HEADER_BYTES)
    is_answer = len(header) == HEADER_BYTES and int.from_bytes(header[4:6], "little") == request.type
    return header, _received(connection, min(int.from_bytes(header[:4], "little"), _MOST_BYTES)) if is_answer else b""


def _received(connection: socket.socket, count: int) -> bytes:
    """Exactly `count` bytes, fewer when the peer closes before."""
    received = b""
    while len(received) < count:
        try:
            piece = connection.recv(count - len(received))
        except ConnectionResetError:
            break
        if not piece:
            break
        received += piece
    return received
