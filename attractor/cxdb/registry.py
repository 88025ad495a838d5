"""CXDB's HTTP port: is it there, and does it know our types. Nothing else is asked of it by the engine."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit

from attractor.contracts import NotReadable, read_json
from attractor.cxdb.bundle import registry_bundle
from attractor.cxdb.connection import is_host
from attractor.errors import ConfigError, CxdbProtocolError, CxdbUnreachable

TIMEOUT_SECONDS = 5.0
MAX_ANSWER_BYTES = 1 << 20
MOST_CONTEXTS = 1000


def publish_bundle(http_base_url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> str:
    """Make the server know our types; the bundle's id. Publishing the same bundle again is harmless."""
    bundle_id, content = registry_bundle()
    path = f"/v1/registry/bundles/{bundle_id}"
    status, body = _request(http_base_url, "PUT", path, content, timeout_seconds)
    if status not in (200, 201, 204):
        raise CxdbProtocolError(
            f"CXDB at {http_base_url} refused the type bundle {bundle_id}: {status} {body[:200]!r}",
            address=http_base_url,
        )
    return bundle_id


def newest_contexts(http_base_url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> list[int]:
    """The newest contexts that the server lists, newest first; 1,000 at most."""
    status, body = _request(http_base_url, "GET", f"/v1/contexts?limit={MOST_CONTEXTS}", b"", timeout_seconds)
    try:
        if status == 200:
            return sorted((int(entry["context_id"]) for entry in read_json(body)["contexts"]), reverse=True)
    except (NotReadable, KeyError, TypeError, ValueError) as error:
        raise CxdbProtocolError(f"CXDB at {http_base_url} listed contexts unreadably: {error!r}") from error
    raise CxdbProtocolError(f"CXDB at {http_base_url} does not list contexts: {status} {body[:200]!r}")


def _request(base_url: str, method: str, path: str, body: bytes, timeout_seconds: float) -> tuple[int, str]:
    connection, prefix = _connection_to(base_url, timeout_seconds)
    late = threading.Event()

    def give_up() -> None:
        late.set()
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    # A socket's own timeout starts again with every byte: a server that drips would hold a run up for ever.
    watch = threading.Timer(timeout_seconds, give_up)
    watch.daemon = True
    try:
        connection.connect()
        watch.start()
        connection.request(method, prefix + path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.status, response.read(MAX_ANSWER_BYTES).decode(errors="replace")
        if late.is_set():
            raise TimeoutError
        return answer
    except (OSError, http.client.HTTPException) as error:
        why = f"no complete answer within {timeout_seconds:g} s" if late.is_set() else error
        raise CxdbUnreachable(f"no CXDB at {base_url}: {why}", address=base_url) from error
    finally:
        watch.cancel()
        connection.close()


def check_base_url(base_url: str) -> None:
    """Raise ConfigError for what can be no server's address."""
    _connection_to(base_url, TIMEOUT_SECONDS)


def _connection_to(base_url: str, timeout_seconds: float) -> tuple[http.client.HTTPConnection, str]:
    """A connection not yet opened, and the path all requests begin with."""
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or not is_host(host) or parts.scheme not in ("http", "https"):
        raise ConfigError(f"{base_url!r} is not a base URL", place="cxdb.http_base_url", hint="write http://host:port")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(host, port, timeout=timeout_seconds), parts.path.rstrip("/")
