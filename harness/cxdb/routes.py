"""The HTTP pages: which address shows what. Requests in, responses out; no sockets.

Every text, parameter and default is the real server's. It has no page that writes turns: only bundles
are written over HTTP. Two of its pages are not here, and say so with 501: the search language
(`/v1/contexts/search`) and the event stream (`/v1/events`).
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import msgspec

from harness.cxdb.errors import InvalidInput, NotFound, RequestRefused
from harness.cxdb.fs_trees import TreeEntry, list_entries, read_file
from harness.cxdb.http import Request, Response, json_error
from harness.cxdb.media_types import media_type_of
from harness.cxdb.metadata import ContextMetadata, maybe_metadata
from harness.cxdb.metrics import Metrics
from harness.cxdb.registry import U32_MAX, U64_MAX, Field, Registry, Renderer, etag_of, maybe_unsigned
from harness.cxdb.sessions import Session, Sessions
from harness.cxdb.store import Context, Store
from harness.cxdb.targets import Target, parse_target
from harness.cxdb.turn_pages import turns_page

__all__ = ["Routes"]

_JSON = "application/json"
_SORTED = msgspec.json.Encoder(order="sorted")  # the real server's objects have their keys in order
_DEFAULT_CONTEXTS = 20


def _json(value: Any, status: int = 200) -> Response:
    return Response(status, _SORTED.encode(value), _JSON)


def _number(text: str, largest: int, what: str) -> int:
    number = maybe_unsigned(text, largest)
    if number is None:
        raise InvalidInput(f"invalid {what}")
    return number


class Routes:
    """Answers requests from one server's data."""

    def __init__(self, store: Store, registry: Registry, sessions: Sessions, metrics: Metrics) -> None:
        self._store = store
        self._registry = registry
        self._sessions = sessions
        self._metrics = metrics
        self._metadata: dict[int, ContextMetadata | None] = {}

    def answer(self, request: Request) -> Response:
        """The response, also when the request is refused; never raises RequestRefused."""
        started = perf_counter()
        try:
            response = self._route(request)
        except RequestRefused as refused:
            self._metrics.record_error("http")
            response = json_error(_status_of(refused), refused.detail)
        self._metrics.record_http(response.status, perf_counter() - started)
        return response

    def _route(self, request: Request) -> Response:
        target = parse_target(request.target)
        for method, pattern, handler in _ROUTES:
            if method == request.method and _matches(pattern, target.segments):
                return handler(self, request, target)
        raise NotFound("route")

    # --- registry ---

    def _health(self, request: Request, target: Target) -> Response:
        return Response(200, b"ok", "text/plain")

    def _put_bundle(self, request: Request, target: Target) -> Response:
        bundle_id, is_new = self._registry.publish(request.body)
        if not is_new:
            return Response(204)
        self._store.keep_bundle(request.body)
        self._metrics.record_bundle()
        return _json({"bundle_id": bundle_id}, 201)

    def _get_bundle(self, request: Request, target: Target) -> Response:
        bundle = self._registry.maybe_bundle(target.segments[3])
        if bundle is None:
            raise NotFound("bundle")
        etag = etag_of(bundle)
        if request.headers.get("if-none-match") == etag:
            return Response(304)
        return Response(200, bundle, _JSON, (("ETag", etag),))

    def _type_version(self, request: Request, target: Target) -> Response:
        version = _number(target.segments[5], U32_MAX, "version")
        spec = self._registry.maybe_version(target.segments[3], version)
        if spec is None:
            raise NotFound("type version")
        page: dict[str, Any] = {"fields": {str(tag): _field_json(f) for tag, f in spec.fields.items()}}
        if spec.renderer is not None:
            page["renderer"] = _renderer_json(spec.renderer)
        return _json(page)

    def _renderers(self, request: Request, target: Target) -> Response:
        return _json({"renderers": {t: _renderer_json(r) for t, r in self._registry.renderers().items()}})

    # --- contexts ---

    def _contexts(self, request: Request, target: Target) -> Response:
        limit = target.number("limit", U32_MAX, _DEFAULT_CONTEXTS)
        tag = target.query.get("tag")
        with_provenance = target.query.get("include_provenance") == "1"
        contexts = []
        for context in self._store.recent_contexts(limit):
            entry = self._context_json(context, with_provenance)
            if tag is None or entry.get("client_tag", "") == tag:
                contexts.append(entry)
        return _json(
            {
                "contexts": contexts,
                "count": len(contexts),
                "active_sessions": [session.as_json() for session in self._sessions.listed()],
                "active_tags": self._sessions.tags(),
            }
        )

    def _context_json(self, context: Context, with_provenance: bool) -> dict[str, Any]:
        maybe_session = self._sessions.maybe_of_context(context.context_id)
        metadata = self._maybe_metadata(context.context_id)
        entry: dict[str, Any] = {
            "context_id": str(context.context_id),
            "head_turn_id": str(context.head_turn_id),
            "head_depth": context.head_depth,
            "created_at_unix_ms": context.created_at_unix_ms,
            "is_live": maybe_session is not None,
        }
        tag = metadata.client_tag if metadata else None
        if maybe_session is not None:
            entry["session_id"] = str(maybe_session.session_id)
            entry["last_activity_at"] = maybe_session.last_activity_at
            tag = maybe_session.client_tag if tag is None else tag
        if tag:
            entry["client_tag"] = tag
        if with_provenance and metadata and metadata.provenance is not None:
            entry["provenance"] = _with_peer(metadata.provenance, maybe_session)
        return entry

    def _maybe_metadata(self, context_id: int) -> ContextMetadata | None:
        """Cached once there is a first turn: it never changes."""
        if context_id in self._metadata:
            return self._metadata[context_id]
        turn = self._store.maybe_first_turn(context_id)
        if turn is None:
            return None
        metadata = self._metadata[context_id] = maybe_metadata(self._store.blob(turn.content_hash))
        return metadata

    def _search(self, request: Request, target: Target) -> Response:
        if not target.query.get("q"):
            return _json({"error": "Missing required 'q' parameter"}, 400)
        return json_error(501, "the embedded server has no search language: list /v1/contexts instead")

    def _events(self, request: Request, target: Target) -> Response:
        return json_error(501, "the embedded server has no event stream: read /v1/contexts/ID/turns instead")

    def _provenance(self, request: Request, target: Target) -> Response:
        context_id = _number(target.segments[2], U64_MAX, "context_id")
        metadata = self._maybe_metadata(context_id)
        provenance = metadata.provenance if metadata else None
        if provenance is not None:
            provenance = _with_peer(provenance, self._sessions.maybe_of_context(context_id))
        return _json({"context_id": str(context_id), "provenance": provenance})

    def _turns(self, request: Request, target: Target) -> Response:
        context_id = _number(target.segments[2], U64_MAX, "context_id")
        started = perf_counter()
        page = turns_page(self._store, self._registry, context_id, target)
        self._metrics.record("get_last", perf_counter() - started)
        return _json(page)

    def _metrics_page(self, request: Request, target: Target) -> Response:
        snapshot = self._metrics.snapshot(self._store, self._registry, self._sessions)
        return Response(200, msgspec.json.encode(snapshot), _JSON)

    # --- filesystem snapshots ---

    def _fs_directory(self, request: Request, target: Target) -> Response:
        turn_id = _number(target.segments[2], U64_MAX, "turn_id")
        return self._fs_listing(turn_id, target.query.get("path", ""))

    def _fs_listing(self, turn_id: int, path: str) -> Response:
        root = self._store.fs_root(turn_id)
        entries = [entry.as_json() for entry in list_entries(self._store.blob, root, path)]
        page = {"turn_id": str(turn_id), "path": path, "fs_root_hash": root.hex(), "entries": entries}
        return _json(page)

    def _fs_file(self, request: Request, target: Target) -> Response:
        turn_id = _number(target.segments[2], U64_MAX, "turn_id")
        path = "/".join(target.segments[4:])
        if not path:
            raise InvalidInput("empty file path")
        try:
            content, entry = read_file(self._store.blob, self._store.fs_root(turn_id), path)
        except InvalidInput as refused:
            if "directory" not in refused.detail:
                raise
            return self._fs_listing(turn_id, path)
        if target.query.get("format") == "json":
            return _json(_file_json(turn_id, path, content, entry))
        mode = (("X-Fs-Hash", entry.content_hash.hex()), ("X-Fs-Mode", f"{entry.mode:o}"))
        return Response(200, content, media_type_of(path), mode)


def _status_of(refused: RequestRefused) -> int:
    """404 for a missing type is 424 on the pages: the turn is there, what would explain it is not."""
    if isinstance(refused, NotFound) and "type descriptor" in refused.detail:
        return 424
    return refused.status


def _matches(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    if pattern[-1] == "**":
        return len(segments) >= len(pattern) and _matches(pattern[:-1], segments[: len(pattern) - 1])
    return len(pattern) == len(segments) and all(p in ("*", s) for p, s in zip(pattern, segments, strict=True))


def _with_peer(provenance: dict[str, Any], maybe_session: Session | None) -> dict[str, Any]:
    """Fills in where the client connects from, unless it said so itself."""
    if provenance["client_address"] is not None or maybe_session is None:
        return provenance
    return {**provenance, "client_address": maybe_session.peer_addr}


def _renderer_json(renderer: Renderer) -> dict[str, str]:
    pairs = (
        ("esm_url", renderer.esm_url),
        ("component", renderer.component),
        ("integrity", renderer.integrity),
    )
    return {name: value for name, value in pairs if value is not None}


def _field_json(field: Field) -> dict[str, Any]:
    page: dict[str, Any] = {"name": field.name, "type": field.type}
    if field.enum is not None:
        page["enum"] = field.enum
    if field.ref is not None:
        page["ref"] = field.ref
    if field.items is not None:
        name = field.items.name
        page["items"] = {"type": "ref", "ref": name} if field.items.is_reference else name
    if field.optional:
        page["optional"] = True
    return page


def _file_json(turn_id: int, path: str, content: bytes, entry: TreeEntry) -> dict[str, Any]:
    # msgspec writes bytes as base64, which is what the field holds
    return {"turn_id": str(turn_id), "path": path, "content_base64": content, **entry.as_json()}


_Handler = Callable[[Routes, Request, Target], Response]

# "*" is any one segment, "**" at the end any number but none
_ROUTES: tuple[tuple[str, tuple[str, ...], _Handler], ...] = (
    ("GET", ("healthz",), Routes._health),
    ("PUT", ("v1", "registry", "bundles", "*"), Routes._put_bundle),
    ("GET", ("v1", "registry", "bundles", "*"), Routes._get_bundle),
    ("GET", ("v1", "registry", "types", "*", "versions", "*"), Routes._type_version),
    ("GET", ("v1", "registry", "renderers"), Routes._renderers),
    ("GET", ("v1", "contexts"), Routes._contexts),
    ("GET", ("v1", "contexts", "search"), Routes._search),
    ("GET", ("v1", "contexts", "*", "provenance"), Routes._provenance),
    ("GET", ("v1", "contexts", "*", "turns"), Routes._turns),
    ("GET", ("v1", "events"), Routes._events),
    ("GET", ("v1", "metrics"), Routes._metrics_page),
    ("GET", ("v1", "turns", "*", "fs"), Routes._fs_directory),
    ("GET", ("v1", "turns", "*", "fs", "**"), Routes._fs_file),
)
