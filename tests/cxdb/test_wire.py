"""The client's codec against what a real server sent and received, byte for byte."""

import json
from pathlib import Path

import pytest

from attractor.cxdb import frames
from attractor.cxdb.frames import FrameReader, Message
from attractor.errors import CxdbProtocolError

GOLDEN = json.loads((Path(__file__).parents[1] / "harness_cxdb" / "golden" / "binary.json").read_text())
STEPS = {step["name"]: step for step in GOLDEN["steps"]}


def sent(name: str) -> bytes:
    return bytes.fromhex(STEPS[name]["send"])


def received(name: str) -> frames.Frame:
    (frame,) = FrameReader().feed(bytes.fromhex(STEPS[name]["recv"]))
    return frame


def test_requests_are_encoded_as_the_real_server_took_them() -> None:
    assert frames.encode_frame(Message.HELLO, 1, frames.hello("golden")) == sent(
        "hello with tag (u16 protocol_version, u16 tag_len, tag, u32 meta_len)"
    )
    assert frames.encode_frame(Message.CTX_CREATE, 3, frames.create_context()) == sent("create empty context")
    assert frames.encode_frame(Message.GET_HEAD, 4, frames.get_head(1)) == sent("head of an empty context")
    append = frames.append_turn(1, b"com.example.Note", 1, b"\x82\x01\xa5hello\x02\x07")
    assert frames.encode_frame(Message.APPEND_TURN, 5, append) == sent("append first turn, parent 0 means current head")
    last = frames.get_last(1, 2, with_payload=True)
    assert frames.encode_frame(Message.GET_LAST, 13, last) == sent("get last 2 with payload")


def test_answers_are_decoded_as_the_real_server_gave_them() -> None:
    assert frames.decode_head(received("head after appends").payload) == frames.Head(1, 3, 1)
    ack = frames.decode_ack(received("append second turn").payload)
    assert (ack.context_id, ack.turn_id, ack.depth) == (1, 2, 1)
    code, text = frames.decode_error(received("unknown message type").payload)
    assert (code, text) == (422, "unknown msg_type")


@pytest.mark.parametrize("name", ["get last 2 with payload", "get last 100", "get last 0"])
def test_turns_are_decoded_oldest_first_with_their_payload(name: str) -> None:
    turns = frames.decode_turns(received(name).payload, with_payload=True)
    assert [turn.depth for turn in turns] == sorted(turn.depth for turn in turns)
    assert all(turn.type_id == "com.example.Note" and turn.payload for turn in turns)


def test_turns_without_payload_are_decoded_too() -> None:
    turns = frames.decode_turns(received("get last 2 without payload").payload, with_payload=False)
    assert [(turn.turn_id, turn.payload) for turn in turns] == [(5, b""), (6, b"")]


@pytest.mark.parametrize("size", [1, 3, 16, 17, 1 << 20])
def test_a_stream_is_cut_into_frames_whatever_the_pieces(size: int) -> None:
    replies = [bytes.fromhex(step["recv"]) for step in GOLDEN["steps"] if step["recv"]]
    stream = b"".join(replies)
    reader = FrameReader()
    found = [frame for begin in range(0, len(stream), size) for frame in reader.feed(stream[begin : begin + size])]
    assert b"".join(frames.encode_frame(f.kind, f.request_id, f.payload) for f in found) == stream


def test_a_frame_that_announces_too_much_is_refused_before_it_is_read() -> None:
    with pytest.raises(CxdbProtocolError, match="64 MiB"):
        FrameReader().feed(frames.HEADER.pack(64 * 1024 * 1024 + 1, 5, 0, 1))


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_cut_off_answer_is_a_protocol_error(cut: int) -> None:
    payload = received("get last 2 with payload").payload
    assert cut < len(payload)
    with pytest.raises(CxdbProtocolError):
        frames.decode_turns(payload[:cut], with_payload=True)
