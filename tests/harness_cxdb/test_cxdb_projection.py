"""How payload values are shown. Every expected value was read off a real CXDB given the same bytes."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cxdb.errors import InvalidInput
from harness.cxdb.json_problem import describe_problem
from harness.cxdb.msgpack_values import MsgpackInvalid, decode
from harness.cxdb.projection import RenderOptions, project
from harness.cxdb.registry import Registry, etag_of

REGISTRY = Registry()
REGISTRY.publish(
    json.dumps(
        {
            "registry_version": 1,
            "bundle_id": "b",
            "types": {
                "Inner": {"versions": {"1": {"fields": {"1": {"name": "a", "type": "string"}}}}},
                "T": {
                    "versions": {
                        "1": {
                            "fields": {
                                "1": {"name": "s", "type": "string"},
                                "2": {"name": "u64", "type": "u64"},
                                "3": {"name": "u32", "type": "u32"},
                                "4": {"name": "b", "type": "bool"},
                                "5": {"name": "by", "type": "bytes"},
                                "6": {"name": "t", "type": "unix_ms"},
                                "7": {"name": "any", "type": "f64"},
                                "8": {"name": "e", "type": "u8", "enum": "E"},
                                "9": {"name": "r", "type": "ref", "ref": "Inner"},
                                "10": {
                                    "name": "rs",
                                    "type": "array",
                                    "items": {"type": "ref", "ref": "Inner"},
                                },
                                "11": {"name": "us", "type": "array", "items": "u64"},
                            }
                        }
                    }
                },
            },
            "enums": {"E": {"1": "one"}},
        }
    ).encode()
)
HEX = RenderOptions(bytes_render="hex")


def shown(tag: int, value: bytes, options: RenderOptions = RenderOptions()) -> Any:  # noqa: B008 - frozen
    spec = REGISTRY.maybe_version("T", 1)
    assert spec is not None
    (result,) = project(b"\x81" + bytes([tag]) + value, spec, REGISTRY, options).data.values()
    return msgspec.json.encode(result).decode()


@pytest.mark.parametrize(
    ("tag", "value", "options", "expected"),
    [
        (1, b"\xa2hi", RenderOptions(), '"hi"'),
        (1, b"\xa2\xff\xfe", RenderOptions(), '""'),
        (1, b"\x05", RenderOptions(), "null"),
        (2, b"\xcf" + b"\xff" * 8, RenderOptions(), '"18446744073709551615"'),
        (2, b"\x07", RenderOptions(u64_format="number"), "7"),
        (2, b"\xff", RenderOptions(), "null"),
        (3, b"\xff", RenderOptions(), "-1"),
        (3, b"\xcf" + b"\xff" * 8, RenderOptions(), "null"),
        (4, b"\xc3", RenderOptions(), "true"),
        (4, b"\x01", RenderOptions(), "null"),
        (5, b"\xc4\x02\x00\xff", RenderOptions(), '"AP8="'),
        (5, b"\xc4\x02\x00\xff", HEX, '"00ff"'),
        (5, b"\xc4\x02\x00\xff", RenderOptions(bytes_render="len_only"), "2"),
        (5, b"\xa1x", RenderOptions(), "null"),
        (6, b"\x00", RenderOptions(), '"1970-01-01T00:00:00+00:00"'),
        (6, b"\xcd\x05\xdc", RenderOptions(), '"1970-01-01T00:00:01.500+00:00"'),
        (6, b"\xff", RenderOptions(), '"1969-12-31T23:59:59.999+00:00"'),
        (6, b"\xcd\x05\xdc", RenderOptions(time_render="unix_ms"), "1500"),
        (6, b"\xcf" + struct.pack(">Q", 253402300800000), RenderOptions(), '"+10000-01-01T00:00:00+00:00"'),
        (
            6,
            b"\xd3" + struct.pack(">q", -62167219200001),
            RenderOptions(),
            '"-0001-12-31T23:59:59.999+00:00"',
        ),
        (6, b"\xcf" + struct.pack(">Q", 9 * 10**15), RenderOptions(), "null"),
        (7, b"\xcb" + struct.pack(">d", 1e16), RenderOptions(), "1e+16"),
        (7, b"\xcb" + struct.pack(">d", 1e-7), RenderOptions(), "1e-7"),
        (7, b"\xcb" + struct.pack(">d", 1.0), RenderOptions(), "1.0"),
        (7, b"\xcb" + struct.pack(">d", float("nan")), RenderOptions(), "0"),
        (7, b"\xca" + struct.pack(">f", 0.1), RenderOptions(), "0.10000000149011612"),
        (7, b"\x82\xa1k\x01\x05\xc0", RenderOptions(), '{"k":"1","5":null}'),
        (7, b"\xd4\x01\x00", RenderOptions(), "null"),
        (8, b"\x01", RenderOptions(), '"one"'),
        (8, b"\x01", RenderOptions(enum_render="number"), "1"),
        (8, b"\x01", RenderOptions(enum_render="both"), '{"label":"one","value":1}'),
        (8, b"\x09", RenderOptions(), "9"),
        (9, b"\x81\x01\xa1x", RenderOptions(), '{"a":"x"}'),
        (9, b"\xa1x", RenderOptions(), '"x"'),
        (10, b"\x92\x81\xa11\xa1x\x05", RenderOptions(), '[{"a":"x"},"5"]'),
        (11, b"\x92\x01\xa1x", RenderOptions(), '["1",null]'),
        (11, b"\x81\x01\x02", RenderOptions(), "null"),
    ],
)
def test_a_value_is_shown_as_the_real_server_shows_it(
    tag: int, value: bytes, options: RenderOptions, expected: str
) -> None:
    assert shown(tag, value, options) == expected


def test_unknown_tags_are_shown_only_when_asked_for() -> None:
    spec = REGISTRY.maybe_version("Inner", 1)
    assert spec is not None
    payload = b"\x83\x01\xa1x\xa299\x05\xc0\x01"
    assert project(payload, spec, REGISTRY, RenderOptions()).unknown is None
    assert project(payload, spec, REGISTRY, RenderOptions(include_unknown=True)).unknown == {"99": "5"}


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "msgpack decode error: I/O error while reading marker byte: failed to fill whole buffer"),
        (
            b"\x81\x01\xa5ab",
            "msgpack decode error: I/O error while reading non-marker bytes: Expected 5 bytes, read 2 bytes",
        ),
        (
            b"\xd9",
            "msgpack decode error: I/O error while reading non-marker bytes: failed to fill whole buffer",
        ),
        (b"\x90", "payload is not a map"),
        (b"\xc1", "payload is not a map"),
    ],
)
def test_a_payload_that_cannot_be_read_is_refused_in_the_real_server_s_words(payload: bytes, message: str) -> None:
    spec = REGISTRY.maybe_version("T", 1)
    assert spec is not None
    with pytest.raises(InvalidInput) as caught:
        project(payload, spec, REGISTRY, RenderOptions())
    assert caught.value.detail == message


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    with suppress(MsgpackInvalid):
        decode(data)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.text()
        | st.binary()
        | st.floats(allow_nan=False),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=10,
    )
)
def test_what_another_library_encodes_is_read_back(value: Any) -> None:
    assert decode(msgspec.msgpack.encode(value)) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "EOF while parsing a value at line 1 column 0"),
        (b"{nope", "key must be a string at line 1 column 2"),
        (b'{"a"', "EOF while parsing an object at line 1 column 4"),
        (b'{"a" 1}', "expected `:` at line 1 column 6"),
        (b'{"a":1 2}', "expected `,` or `}` at line 1 column 8"),
        (b'{"a":1,}', "trailing comma at line 1 column 8"),
        (b'{"a":[1,]}', "expected value at line 1 column 9"),
        (b'{"a":[1 2]}', "expected `,` or `]` at line 1 column 9"),
        (
            b'{"a":"\x01"}',
            "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 6",
        ),
        (b'{"a":1.}', "invalid number at line 1 column 8"),
        (b'{"a":-}', "invalid number at line 1 column 7"),
        (b'{"a":01}', "invalid number at line 1 column 7"),
        (b'{\n "a": tru }', "expected ident at line 2 column 10"),
        (b"{}", "what the decoder said"),
    ],
)
def test_broken_json_is_described_in_the_real_server_s_words(text: bytes, problem: str) -> None:
    assert describe_problem(text, "what the decoder said") == problem


def bundle(bundle_id: str, fields: dict[str, Any], **more: Any) -> bytes:
    types = {"T": {"versions": {more.pop("version", "1"): {"fields": fields}}}}
    return json.dumps({"registry_version": 1, "bundle_id": bundle_id, "types": types, **more}).encode()


TEXT = {"name": "a", "type": "string"}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (bundle("x", {"1": TEXT, "2": TEXT}), "bundle_id already exists with different content"),
        (bundle("y", {"1": {"name": "b", "type": "string"}}), "type T version 1 differs from existing"),
        (
            bundle("y", {"1": {"name": "a", "type": "u64"}}, version="2"),
            "tag reuse conflict for type T tag 1",
        ),
        (bundle("y", {"z": TEXT}, version="2"), "invalid field tag"),
        (bundle("y", {}, version="v2"), "invalid type version"),
        (bundle("y", {}, registry_version=0), "registry_version must be > 0"),
        (bundle("y", {}, enums={"E": {"1": "uno"}}), "enum E already exists with different mapping"),
        (bundle("y", {"2": TEXT | {"enum": "F"}}, version="2"), "missing enum F for type T version 2 tag 2"),
    ],
)
def test_a_conflicting_bundle_is_refused_and_changes_nothing(second: bytes, message: str) -> None:
    registry = Registry()
    first = bundle("x", {"1": TEXT}, enums={"E": {"1": "one"}})
    assert registry.publish(first) == ("x", True)
    assert registry.publish(first) == ("x", False)
    with pytest.raises(InvalidInput) as caught:
        registry.publish(second)
    assert caught.value.detail == message
    assert registry.counts() == (1, 1)
    assert registry.maybe_version("T", 2) is None
    assert registry.last_bundle_id == "x"


def test_the_etag_is_the_hash_of_the_bytes_as_published() -> None:
    assert etag_of(b"{}") != etag_of(b"{ }")
