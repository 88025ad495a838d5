"""The type registry: bundles, their types and enums, and what may not be published.

A bundle once published never changes, nor do a type version's fields; a tag keeps its type and enum
across all versions of its type. The texts of refusals are the real server's, because clients show them.
A refused bundle changes nothing here. (The real server merges as it checks, so a refused bundle may
leave some of its types behind, and one that names a missing enum makes every later one fail too.)

Pure: values in, values out. Storing bundles is the caller's business.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from blake3 import blake3

from harness.cxdb.errors import InvalidInput
from harness.cxdb.json_problem import describe_problem

__all__ = ["Field", "ItemType", "Registry", "Renderer", "TypeVersion", "etag_of", "maybe_unsigned"]

U32_MAX = 2**32 - 1
U64_MAX = 2**64 - 1
_UNSIGNED = re.compile(r"\+?[0-9]+", re.ASCII)


def maybe_unsigned(text: str, largest: int) -> int | None:
    """A decimal number as the real server reads one: an optional plus, digits, in range; else None."""
    if not _UNSIGNED.fullmatch(text) or len(text) > 64:
        return None
    number = int(text)
    return number if number <= largest else None


# --- the published form ---


class Renderer(msgspec.Struct, frozen=True):
    esm_url: str
    component: str | None = None
    integrity: str | None = None


class _FieldDocument(msgspec.Struct, frozen=True):
    name: str
    type: str
    enum: str | None = None
    ref: str | None = None
    optional: bool | None = None
    items: Any = None


class _VersionDocument(msgspec.Struct, frozen=True):
    fields: dict[str, _FieldDocument] = {}
    renderer: Renderer | None = None


class _TypeDocument(msgspec.Struct, frozen=True):
    versions: dict[str, _VersionDocument] = {}


class _BundleDocument(msgspec.Struct, frozen=True):
    registry_version: Annotated[int, msgspec.Meta(ge=0, le=U32_MAX)]
    bundle_id: str
    types: dict[str, _TypeDocument] = {}
    enums: dict[str, dict[str, str]] = {}


_BUNDLE_DECODER = msgspec.json.Decoder(_BundleDocument)


# --- the form used for checking and projecting ---


class ItemType(msgspec.Struct, frozen=True):
    """Type of an array's items: a plain type name, or a reference to a registered type."""

    name: str
    is_reference: bool


class Field(msgspec.Struct, frozen=True):
    name: str
    type: str
    enum: str | None = None
    ref: str | None = None
    optional: bool = False
    items: ItemType | None = None


class TypeVersion(msgspec.Struct, frozen=True):
    """One version of a type: its fields by tag."""

    version: int
    fields: dict[int, Field]
    renderer: Renderer | None = None


class _Type(msgspec.Struct):
    versions: dict[int, TypeVersion]
    signatures: dict[int, tuple[str, str | None]]  # tag -> type and enum, fixed for ever


def _item_type(items: Any) -> ItemType | None:
    if isinstance(items, str):
        return ItemType(items, is_reference=False)
    if not isinstance(items, dict) or not isinstance(items.get("type"), str):
        return None
    if items["type"] != "ref":
        return ItemType(items["type"], is_reference=False)
    return ItemType(items["ref"], is_reference=True) if isinstance(items.get("ref"), str) else None


def _type_version(version: int, document: _VersionDocument) -> TypeVersion:
    fields: dict[int, Field] = {}
    for tag_text, field in document.fields.items():
        tag = maybe_unsigned(tag_text, U64_MAX)
        if tag is None:
            raise InvalidInput("invalid field tag")
        fields[tag] = Field(
            field.name, field.type, field.enum, field.ref, bool(field.optional), _item_type(field.items)
        )
    return TypeVersion(version, fields, document.renderer)


def etag_of(bundle: bytes) -> str:
    """The quoted BLAKE3 of the bundle exactly as published; no canonical form is involved."""
    return f'"{blake3(bundle).hexdigest()}"'


class Registry:
    """All published bundles of one server."""

    def __init__(self) -> None:
        self._bundles: dict[str, bytes] = {}
        self._types: dict[str, _Type] = {}
        self._enums: dict[str, dict[str, str]] = {}
        self.last_bundle_id: str | None = None

    # --- publishing ---

    def publish(self, raw: bytes) -> tuple[str, bool]:
        """(bundle id, whether it is new). Raises InvalidInput, the registry then unchanged.

        The id inside the document counts; the real server ignores the one in the address.
        """
        bundle = _parse_bundle(raw)
        existing = self._bundles.get(bundle.bundle_id)
        if existing is not None:
            if existing != raw:
                raise InvalidInput("bundle_id already exists with different content")
            return bundle.bundle_id, False
        self._enums, self._types = self._merged(bundle)
        self._bundles[bundle.bundle_id] = raw
        self.last_bundle_id = bundle.bundle_id
        return bundle.bundle_id, True

    def _merged(self, bundle: _BundleDocument) -> tuple[dict[str, dict[str, str]], dict[str, _Type]]:
        if bundle.registry_version == 0:
            raise InvalidInput("registry_version must be > 0")
        enums = dict(self._enums)
        for enum_id, labels in bundle.enums.items():
            if enums.setdefault(enum_id, labels) != labels:
                raise InvalidInput(f"enum {enum_id} already exists with different mapping")
        types = dict(self._types)
        for type_id, document in bundle.types.items():
            types[type_id] = _merged_type(type_id, types.get(type_id), document)
        for type_id in bundle.types:
            _check_enums(type_id, types[type_id], enums)
        return enums, types

    # --- reading ---

    def maybe_bundle(self, bundle_id: str) -> bytes | None:
        return self._bundles.get(bundle_id)

    def maybe_version(self, type_id: str, version: int) -> TypeVersion | None:
        known = self._types.get(type_id)
        return known.versions.get(version) if known else None

    def maybe_latest(self, type_id: str) -> TypeVersion | None:
        known = self._types.get(type_id)
        if not known or not known.versions:
            return None
        return known.versions[max(known.versions)]

    def maybe_label(self, enum_id: str, number: int) -> str | None:
        return self._enums.get(enum_id, {}).get(str(number))

    def renderers(self) -> dict[str, Renderer]:
        """Type id -> renderer of its latest version, for types that have one."""
        latest = {type_id: self.maybe_latest(type_id) for type_id in self._types}
        return {t: v.renderer for t, v in latest.items() if v is not None and v.renderer is not None}

    def counts(self) -> tuple[int, int]:
        """(types, bundles)."""
        return len(self._types), len(self._bundles)


def _parse_bundle(raw: bytes) -> _BundleDocument:
    try:
        return _BUNDLE_DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"invalid json: {describe_problem(raw, str(error))}") from error


def _merged_type(type_id: str, known: _Type | None, document: _TypeDocument) -> _Type:
    versions = dict(known.versions) if known else {}
    signatures = dict(known.signatures) if known else {}
    for version_text, version_document in document.versions.items():
        version = maybe_unsigned(version_text, U32_MAX)
        if version is None:
            raise InvalidInput("invalid type version")
        new = _type_version(version, version_document)
        existing = versions.get(version)
        if existing is None:
            _check_tags(type_id, signatures, new)
            versions[version] = new
        elif existing.fields != new.fields:
            raise InvalidInput(f"type {type_id} version {version} differs from existing")
        elif existing.renderer is None and new.renderer is not None:
            versions[version] = new
    return _Type(versions, signatures)


def _check_tags(type_id: str, signatures: dict[int, tuple[str, str | None]], new: TypeVersion) -> None:
    for tag, field in new.fields.items():
        signature = (field.type, field.enum)
        if signatures.setdefault(tag, signature) != signature:
            raise InvalidInput(f"tag reuse conflict for type {type_id} tag {tag}")


def _check_enums(type_id: str, known: _Type, enums: dict[str, dict[str, str]]) -> None:
    for version, spec in known.versions.items():
        for tag, field in spec.fields.items():
            if field.enum is not None and field.enum not in enums:
                raise InvalidInput(f"missing enum {field.enum} for type {type_id} version {version} tag {tag}")
