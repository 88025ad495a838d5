"""The codec, fed three ways: whole, byte by byte, and with bytes behind; and any stream cut anyhow."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from cxdb_wire import framed, golden
from hypothesis import given
from hypothesis import strategies as st

from harness.cxdb.answers import BlobAnswer, ErrorAnswer, TurnItem, TurnList
from harness.cxdb.errors import MalformedPayload, OversizedFrame
from harness.cxdb.frames import MAX_PAYLOAD_BYTES, Frame, FrameReader, MessageType, encode_frame
from harness.cxdb.messages import CODECS
from harness.cxdb.requests import AppendTurn, GetBlob, Hello, PutBlob

ANSWERED = [step for step in golden("binary.json") if step["recv"] and "error" not in step]
WITHOUT_SERVICE = {MessageType.GET_BEFORE, MessageType.GET_RANGE_BY_DEPTH, MessageType.ERROR}


def frames_of(pieces: Iterable[bytes]) -> list[Frame]:
    reader = FrameReader()
    found = []
    for piece in pieces:
        reader.feed(piece)
        while (frame := reader.maybe_frame()) is not None:
            found.append(frame)
    return found


def single_bytes(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize("step", ANSWERED, ids=[step["name"] for step in ANSWERED])
@pytest.mark.parametrize("side", ["send", "recv"])
def test_recorded_frames_are_cut_alike_however_they_arrive(step: dict[str, Any], side: str) -> None:
    data = bytes.fromhex(step[side])
    whole = frames_of([data])
    assert b"".join(encode_frame(f.message_type, f.request_id, f.payload, f.flags) for f in whole) == data
    assert frames_of(single_bytes(data)) == whole
    assert frames_of([data + b"\x07\x00"]) == whole
    assert frames_of([data[:20], data[20:]]) == whole


@pytest.mark.parametrize("step", ANSWERED, ids=[step["name"] for step in ANSWERED])
def test_recorded_messages_survive_decoding_and_encoding(step: dict[str, Any]) -> None:
    (request, *_), (answer, *_) = (
        frames_of([bytes.fromhex(step["send"])]),
        frames_of([bytes.fromhex(step["recv"])]),
    )
    codec = CODECS[request.message_type]
    if request.payload:  # an empty HELLO has no second form
        assert codec.decode_request(request.payload, request.flags).encode() == request.payload
    if request.message_type == MessageType.GET_LAST:
        turns = TurnList.decode(answer.payload, with_payload=request.payload[12:13] == b"\x01")
        assert turns.encode() == answer.payload
    else:
        assert codec.decode_answer(answer.payload, 0).encode() == answer.payload


def test_the_table_serves_every_code_but_those_no_server_serves() -> None:
    assert set(CODECS) == set(MessageType) - WITHOUT_SERVICE


@given(
    st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 2**64 - 1), st.binary(max_size=200), st.integers(0, 9))),
    st.data(),
)
def test_any_stream_cut_anywhere_gives_the_same_frames(
    messages: list[tuple[int, int, bytes, int]], data: st.DataObject
) -> None:
    stream = b"".join(framed(code, payload, request_id, flags) for code, request_id, payload, flags in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert frames_of(pieces) == [Frame(c, f, r, p) for c, r, p, f in messages]


@given(st.integers(1, 11).filter(lambda code: code in CODECS), st.binary(max_size=150), st.integers(0, 3))
def test_any_payload_is_decoded_or_refused_with_the_codec_s_own_error(code: int, payload: bytes, flags: int) -> None:
    for decode in (CODECS[code].decode_request, CODECS[code].decode_answer):
        with suppress(MalformedPayload):
            decode(payload, flags)


@given(
    st.builds(
        AppendTurn,
        *[st.integers(0, 2**64 - 1)] * 2,
        st.text(max_size=20),
        *[st.integers(0, 2**32 - 1)] * 4,
        st.binary(min_size=32, max_size=32),
        st.binary(max_size=50),
        st.binary(max_size=10),
        st.none() | st.binary(min_size=32, max_size=32),
    )
)
def test_any_append_survives_and_no_shortened_one_is_read(append: AppendTurn) -> None:
    payload = append.encode()
    assert AppendTurn.decode(payload, append.flags) == append
    assert AppendTurn.decode(payload + b"ignored", append.flags) == append
    for end in range(len(payload)):
        with pytest.raises(MalformedPayload):
            AppendTurn.decode(payload[:end], append.flags)


def test_an_oversized_frame_is_refused_from_its_header_alone() -> None:
    reader = FrameReader()
    reader.feed(framed(5, b"")[4:].rjust(16, b"\0"))
    assert reader.maybe_frame() is not None
    reader.feed((MAX_PAYLOAD_BYTES + 1).to_bytes(4, "little") + bytes(12))
    with pytest.raises(OversizedFrame) as caught:
        reader.maybe_frame()
    assert (caught.value.length, caught.value.limit) == (MAX_PAYLOAD_BYTES + 1, MAX_PAYLOAD_BYTES)


def test_the_largest_frame_is_not_refused() -> None:
    reader = FrameReader()
    reader.feed(MAX_PAYLOAD_BYTES.to_bytes(4, "little") + bytes(12))
    assert reader.maybe_frame() is None
    assert reader.buffered_bytes == 16


@pytest.mark.parametrize(
    ("decode", "payload"),
    [
        (Hello.decode, b"\x01\x00\x01\x00\xff\x00\x00\x00\x00"),
        (GetBlob.decode, bytes(33)),
        (PutBlob.decode, bytes(32) + b"\x05\x00\x00\x00abcd"),
        (BlobAnswer.decode, b"\x05\x00\x00\x00abcd"),
        (ErrorAnswer.decode, b"\x00\x00\x00\x00\x01\x00\x00\x00\xff"),
        (TurnList.decode, b"\x01\x00\x00\x00"),
    ],
)
def test_what_contradicts_itself_is_malformed(decode: Any, payload: bytes) -> None:
    with pytest.raises(MalformedPayload):
        decode(payload)


def test_a_turn_list_cut_in_its_last_payload_is_malformed() -> None:
    item = TurnItem(1, 0, 0, "t", 1, 1, 0, 3, bytes(32), b"abc")
    payload = TurnList((item,)).encode()
    assert TurnList.decode(payload, with_payload=True).turns == (item,)
    with pytest.raises(MalformedPayload):
        TurnList.decode(payload[:-1], with_payload=True)
