"""The page of a context's turns: paging, views, and which type a payload is read as. Pure reading.

Parameters, all optional: `limit` (64), `before_turn_id`, `view` (typed | raw | both), `type_hint_mode`
(inherit | latest | explicit with `as_type_id` and `as_type_version`), and those of RenderOptions. A value
that is not understood counts as absent. One turn that cannot be shown refuses the whole page, as the real
server does.
"""

from __future__ import annotations

from typing import Any

from harness.cxdb.errors import InvalidInput, NotFound
from harness.cxdb.projection import RenderOptions, project, render_bytes
from harness.cxdb.registry import U32_MAX, U64_MAX, Registry, maybe_unsigned
from harness.cxdb.store import Store, Turn
from harness.cxdb.targets import Target

__all__ = ["turns_page"]

_DEFAULT_TURNS = 64
_BYTES_KEYS = {"base64": "bytes_b64", "hex": "bytes_hex", "len_only": "bytes_len"}


def turns_page(store: Store, registry: Registry, context_id: int, target: Target) -> dict[str, Any]:
    """Raises NotFound or InvalidInput. `next_before_turn_id` is null only when no turn is shown."""
    context = store.context(context_id)
    limit = target.number("limit", U32_MAX, _DEFAULT_TURNS)
    before = target.number("before_turn_id", U64_MAX, 0)
    turns = store.turns_before(context_id, before, limit)
    page = _TurnPage(store, registry, target)
    return {
        "meta": {
            "context_id": str(context_id),
            "head_turn_id": str(context.head_turn_id),
            "head_depth": context.head_depth,
            "registry_bundle_id": registry.last_bundle_id,
        },
        "turns": [page.turn_json(turn) for turn in turns],
        "next_before_turn_id": str(turns[0].turn_id) if turns else None,
    }


def _one_of(target: Target, name: str, default: str, *others: str) -> str:
    value = target.query.get(name, default)
    return value if value in others else default


class _TurnPage:
    def __init__(self, store: Store, registry: Registry, target: Target) -> None:
        self._store = store
        self._registry = registry
        self._target = target
        self._view = target.query.get("view", "typed")
        self._options = RenderOptions(
            bytes_render=_one_of(target, "bytes_render", "base64", "hex", "len_only"),
            u64_format=_one_of(target, "u64_format", "string", "number"),
            enum_render=_one_of(target, "enum_render", "label", "number", "both"),
            time_render=_one_of(target, "time_render", "iso", "unix_ms"),
            include_unknown=target.query.get("include_unknown") == "1",
        )

    def turn_json(self, turn: Turn) -> dict[str, Any]:
        type_id, version = self._read_as(turn)
        payload = self._store.blob(turn.content_hash)
        page: dict[str, Any] = {
            "turn_id": str(turn.turn_id),
            "parent_turn_id": str(turn.parent_turn_id),
            "depth": turn.depth,
            "declared_type": {"type_id": turn.type_id, "type_version": turn.type_version},
        }
        if self._view in ("typed", "both"):
            page |= self._typed(payload, type_id, version)
        if self._view in ("raw", "both"):
            page |= self._raw(payload, turn)
        return page

    def _read_as(self, turn: Turn) -> tuple[str, int]:
        mode = self._target.query.get("type_hint_mode", "inherit")
        if mode == "explicit":
            return self._explicit_type()
        if mode == "latest":
            latest = self._registry.maybe_latest(turn.type_id)
            if latest is None:
                raise NotFound("type descriptor")
            return turn.type_id, latest.version
        return turn.type_id, turn.type_version

    def _explicit_type(self) -> tuple[str, int]:
        type_id = self._target.query.get("as_type_id")
        if type_id is None:
            raise InvalidInput("as_type_id required")
        version = maybe_unsigned(self._target.query.get("as_type_version", ""), U32_MAX)
        if version is None:
            raise InvalidInput("as_type_version required")
        return type_id, version

    def _typed(self, payload: bytes, type_id: str, version: int) -> dict[str, Any]:
        spec = self._registry.maybe_version(type_id, version)
        if spec is None:
            raise NotFound("type descriptor")
        projection = project(payload, spec, self._registry, self._options)
        page = {"decoded_as": {"type_id": type_id, "type_version": version}, "data": projection.data}
        if projection.unknown is not None:
            page["unknown"] = projection.unknown
        return page

    def _raw(self, payload: bytes, turn: Turn) -> dict[str, Any]:
        how = self._options.bytes_render
        return {
            "content_hash_b3": turn.content_hash.hex(),
            "encoding": turn.encoding,
            "compression": 0,  # whatever was sent in: the bytes shown are the uncompressed ones
            "uncompressed_len": len(payload),
            _BYTES_KEYS[how]: render_bytes(payload, how),
        }
