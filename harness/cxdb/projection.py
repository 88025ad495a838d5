"""A turn's MessagePack payload as JSON values, by the fields of a registered type.

How each type is shown is the real server's choice, kept to the letter: 64-bit numbers as strings (a
JavaScript reader would lose digits), a value of the wrong kind as null, text that is not UTF-8 as "",
a float that is no number as 0. A field that is absent from the payload is absent from the result.

Pure. Knows the registry only as a lookup.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from harness.cxdb.errors import InvalidInput
from harness.cxdb.msgpack_values import Map, MsgpackInvalid, UnreadableText, decode
from harness.cxdb.registry import U64_MAX, Field, Registry, TypeVersion, maybe_unsigned

__all__ = ["Projection", "RenderOptions", "project", "render_bytes"]

_I64_MAX = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CYCLE_MS = 146_097 * 86_400_000  # 400 years of the Gregorian calendar
_FIRST_MS, _LAST_MS = -8_334_601_228_800_000, 8_210_266_876_799_999  # years -262143 to 262142


class RenderOptions(msgspec.Struct, frozen=True):
    """How values are shown; the names are the query parameters of the turns page."""

    bytes_render: str = "base64"  # base64 | hex | len_only
    u64_format: str = "string"  # string | number
    enum_render: str = "label"  # label | number | both
    time_render: str = "iso"  # iso | unix_ms
    include_unknown: bool = False


class Projection(msgspec.Struct, frozen=True):
    """`data` by field name; `unknown` by tag, None unless asked for."""

    data: dict[str, Any]
    unknown: dict[str, Any] | None


def project(payload: bytes, spec: TypeVersion, registry: Registry, options: RenderOptions) -> Projection:
    """Raises InvalidInput when the payload is no MessagePack map."""
    try:
        value = decode(payload)
    except MsgpackInvalid as error:
        raise InvalidInput(f"msgpack decode error: {error}") from error
    if not isinstance(value, Map):
        raise InvalidInput("payload is not a map")
    by_tag = _by_tag(value)
    renderer = _Renderer(registry, options)
    unknown = None
    if options.include_unknown:
        unknown = {str(tag): renderer.any(v) for tag, v in by_tag.items() if tag not in spec.fields}
    return Projection(renderer.fields(by_tag, spec), unknown)


def render_bytes(data: bytes, how: str) -> str | int:
    """Bytes as base64 text, hexadecimal text or their number."""
    if how == "hex":
        return data.hex()
    if how == "len_only":
        return len(data)
    return b64encode(data).decode()


def _by_tag(pairs: Map) -> dict[int, Any]:
    """The entries whose key is a tag: a number, or text that reads as one. The last of equals wins."""
    found: dict[int, Any] = {}
    for key, value in pairs:
        tag = _maybe_unsigned(key) if not isinstance(key, str) else maybe_unsigned(key, U64_MAX)
        if tag is not None:
            found[tag] = value
    return found


def _maybe_unsigned(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _maybe_signed(value: Any) -> int | None:
    return value if type(value) is int and value <= _I64_MAX else None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return "" if isinstance(value, UnreadableText) else None


def _float(value: float) -> float | int | msgspec.Raw:
    if not math.isfinite(value):
        return 0
    # from here on Python writes 1e+16 as the real server does, msgspec 1e16
    return msgspec.Raw(repr(value).encode()) if abs(value) >= 1e16 else value


class _Renderer:
    """One projection's registry and options, so that every method takes just the value."""

    def __init__(self, registry: Registry, options: RenderOptions) -> None:
        self._registry = registry
        self._options = options

    def fields(self, by_tag: dict[int, Any], spec: TypeVersion) -> dict[str, Any]:
        return {field.name: self.field(by_tag[tag], field) for tag, field in spec.fields.items() if tag in by_tag}

    def field(self, value: Any, field: Field) -> Any:
        if field.enum is not None:
            number = _maybe_unsigned(value)
            label = None if number is None else self._registry.maybe_label(field.enum, number)
            if label is not None:
                return self._enum(label, value)
        if field.type == "ref" and field.ref is not None:
            return self._reference(value, field.ref)
        if field.type == "array":
            return self._array(value, field)
        return _BY_TYPE.get(field.type, _Renderer.any)(self, value)

    def _enum(self, label: str, number: int) -> Any:
        how = self._options.enum_render
        if how == "both":
            return {"label": label, "value": number}
        return number if how == "number" else label

    def _reference(self, value: Any, type_id: str) -> Any:
        spec = self._registry.maybe_latest(type_id)
        if spec is None or not isinstance(value, Map):
            return self.any(value)
        return self.fields(_by_tag(value), spec)

    def _array(self, value: Any, field: Field) -> Any:
        if not isinstance(value, list) or isinstance(value, Map):
            return None
        items = field.items
        if items is None:
            return [self.any(item) for item in value]
        if items.is_reference:
            return [self._reference(item, items.name) for item in value]
        item_field = Field("", items.name)
        return [self.field(item, item_field) for item in value]

    def unsigned(self, value: Any) -> Any:
        number = _maybe_unsigned(value)
        if number is None:
            return None
        return number if self._options.u64_format == "number" else str(number)

    def bytes(self, value: Any) -> Any:
        is_binary = isinstance(value, bytes) and not isinstance(value, UnreadableText)
        return render_bytes(value, self._options.bytes_render) if is_binary else None

    def time(self, value: Any) -> Any:
        ms = _maybe_signed(value)
        if ms is None or self._options.time_render == "unix_ms":
            return ms
        return _iso(ms)

    def any(self, value: Any) -> Any:
        """A value without a declared type."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if value < 0 else self.unsigned(value)
        if isinstance(value, float):
            return _float(value)
        if isinstance(value, str | UnreadableText):
            return _text(value)
        if isinstance(value, bytes):
            return self.bytes(value)
        if isinstance(value, Map):
            return {_key(key): self.any(item) for key, item in value}
        return [self.any(item) for item in value] if isinstance(value, list) else None


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    number = _maybe_unsigned(key)
    return "" if number is None else str(number)


def _iso(ms: int) -> str | None:
    """RFC 3339 in UTC, milliseconds when there are any; years outside 0-9999 with a sign.

    Python's calendar knows years 1-9999 only, so others are shifted there by whole cycles of 400 years,
    after which the calendar repeats. None outside the real server's calendar.
    """
    if not _FIRST_MS <= ms <= _LAST_MS:
        return None
    cycles = ms // _CYCLE_MS
    moment = _EPOCH + timedelta(milliseconds=ms - cycles * _CYCLE_MS)
    year = moment.year + 400 * cycles
    text = moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds")[4:]
    return f"{year:04}{text}" if 0 <= year <= 9999 else f"{year:+05}{text}"


_BY_TYPE: dict[str, Callable[[_Renderer, Any], Any]] = {
    **dict.fromkeys(("u64", "uint64", "int64"), _Renderer.unsigned),
    **dict.fromkeys(("u32", "uint32", "u8", "uint8", "int32"), lambda _, value: _maybe_signed(value)),
    "string": lambda _, value: _text(value),
    "bool": lambda _, value: value if isinstance(value, bool) else None,
    **dict.fromkeys(("bytes", "typed_blob"), _Renderer.bytes),
    **dict.fromkeys(("unix_ms", "time_ms", "timestamp_ms"), _Renderer.time),
}
