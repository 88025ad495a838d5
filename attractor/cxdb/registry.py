"""CXDB's HTTP port: is it there, and does it know our types. Nothing else is asked of it by the engine."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from attractor.cxdb.bundle import registry_bundle
from attractor.errors import ConfigError, CxdbProtocolError, CxdbUnreachable

TIMEOUT_SECONDS = 5.0


def publish_bundle(http_base_url: str) -> str:
    """Make the server know our types; the bundle's id. Publishing the same bundle again is harmless."""
    bundle_id, content = registry_bundle()
    status, body = _request(http_base_url, "PUT", f"/v1/registry/bundles/{bundle_id}", content)
    if status not in (200, 201, 204):
        raise CxdbProtocolError(
            f"CXDB at {http_base_url} refused the type bundle {bundle_id}: {status} {body[:200]!r}",
            address=http_base_url,
        )
    return bundle_id


def _request(base_url: str, method: str, path: str, body: bytes | None = None) -> tuple[int, str]:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{base_url!r} is not a base URL", place="cxdb.http_base_url", hint="write http://host:port")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, parts.path.rstrip("/") + path, body, headers)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise CxdbUnreachable(f"no CXDB at {base_url}: {error}", address=base_url) from error
    finally:
        connection.close()
