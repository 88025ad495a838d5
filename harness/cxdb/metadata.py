"""What a context's first turn says about the context: tag, title, labels, provenance.

It sits under key 30 of the payload, whatever the turn's type. A payload without it, or with it in
another form, simply says nothing. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from harness.cxdb.msgpack_values import Map, MsgpackInvalid, UnreadableText, decode

__all__ = ["ContextMetadata", "maybe_metadata"]

_METADATA_KEY = 30
_TEXT, _UNSIGNED, _SIGNED, _TEXTS = "text", "unsigned", "signed", "texts"

# tag -> name and kind of value, in the order of the published structure
_PROVENANCE: dict[int, tuple[str, str]] = {
    1: ("parent_context_id", _UNSIGNED),
    2: ("spawn_reason", _TEXT),
    3: ("root_context_id", _UNSIGNED),
    10: ("trace_id", _TEXT),
    11: ("span_id", _TEXT),
    12: ("correlation_id", _TEXT),
    20: ("on_behalf_of", _TEXT),
    21: ("on_behalf_of_source", _TEXT),
    22: ("on_behalf_of_email", _TEXT),
    30: ("writer_method", _TEXT),
    31: ("writer_subject", _TEXT),
    32: ("writer_issuer", _TEXT),
    40: ("service_name", _TEXT),
    41: ("service_version", _TEXT),
    42: ("service_instance_id", _TEXT),
    43: ("process_pid", _SIGNED),
    44: ("process_owner", _TEXT),
    45: ("host_name", _TEXT),
    46: ("host_arch", _TEXT),
    50: ("client_address", _TEXT),
    51: ("client_port", _SIGNED),
    60: ("env", _TEXTS),
    70: ("sdk_name", _TEXT),
    71: ("sdk_version", _TEXT),
    80: ("captured_at", _SIGNED),
}


class ContextMetadata(msgspec.Struct, frozen=True):
    """At least one field is set. `provenance` has every published key, null where nothing was said."""

    client_tag: str | None = None
    title: str | None = None
    labels: list[str] | None = None
    provenance: dict[str, Any] | None = None


def maybe_metadata(payload: bytes) -> ContextMetadata | None:
    try:
        value = decode(payload)
    except MsgpackInvalid:
        return None
    if not isinstance(value, Map):
        return None
    found = _first_by_key(value, _METADATA_KEY)
    if not isinstance(found, Map):
        return None
    metadata = _metadata(found)
    return metadata if metadata != ContextMetadata() else None


def _first_by_key(pairs: Map, wanted: int) -> Any:
    """The first value under a number key; a key of another kind before it ends nothing."""
    return next((value for key, value in pairs if type(key) is int and key == wanted), None)


def _metadata(pairs: Map) -> ContextMetadata:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if type(key) is not int:
            continue
        if key in (1, 2) and isinstance(value, str | UnreadableText):
            found["client_tag" if key == 1 else "title"] = _maybe_of_kind(value, _TEXT)
        elif key == 3 and isinstance(value, list) and not isinstance(value, Map):
            labels = [label for label in value if isinstance(label, str)]
            if labels:
                found["labels"] = labels
        elif key == 10 and isinstance(value, Map):
            found["provenance"] = _provenance(value)
    return ContextMetadata(**found)


def _provenance(pairs: Map) -> dict[str, Any]:
    found: dict[str, Any] = {name: None for name, _ in _PROVENANCE.values()}
    for key, value in pairs:
        if type(key) is int and key in _PROVENANCE:
            name, kind = _PROVENANCE[key]
            found[name] = _maybe_of_kind(value, kind)
    return found


def _maybe_of_kind(value: Any, kind: str) -> Any:
    if kind == _TEXT:
        return value if isinstance(value, str) else None
    if kind == _UNSIGNED:
        return value if type(value) is int and value >= 0 else None
    if kind == _SIGNED:
        return value if type(value) is int and value < 2**63 else None
    if not isinstance(value, Map):
        return None
    return {k: v for k, v in value if isinstance(k, str) and isinstance(v, str)} or None
