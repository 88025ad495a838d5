"""Readers take whatever a program prints."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.backends import PROFILES, AgentEvent

WORDS = st.sampled_from(
    [
        "type", "item", "message", "content", "usage", "result", "error", "status", "delta", "role", "assistant", "id",
        "system", "user", "init", "turn.failed", "turn.completed", "item.completed", "item.started", "rate_limit_event",
        "rate_limit_info", "rejected", "resetsAt", "stats", "total_cost_usd", "tool_result", "tool_use", "text",
        "errors", "input_tokens", "agent_message", "command_execution", "file_change", "changes", "arguments",
        "is_error",
        '{"error": {"message": "x", "code": 5}}', "[API Error: {}]", "Reconnecting... 1/1 (", "API Error: 5",
    ]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | WORDS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5), max_leaves=12
)
PROVIDERS = sorted(PROFILES)


@pytest.mark.parametrize("provider", PROVIDERS)
@given(lines=st.lists(st.binary(max_size=200), max_size=5))
def test_no_bytes_make_a_reader_raise(provider: str, lines: list[bytes]) -> None:
    reader = PROFILES[provider].new_reader()
    for line in lines:
        assert all(isinstance(event, AgentEvent) for event in reader.feed(line))


@pytest.mark.parametrize("provider", PROVIDERS)
@given(
    kind=WORDS,
    records=st.lists(st.dictionaries(WORDS, JSON, max_size=6), max_size=4),
)
def test_no_json_makes_a_reader_raise(provider: str, kind: str, records: list[dict[str, Any]]) -> None:
    reader = PROFILES[provider].new_reader()
    for record in records:
        reader.feed(json.dumps({**record, "type": kind}).encode())
    assert reader.usage.input_tokens >= 0
    assert all(isinstance(error.message, str) for error in reader.recent_errors)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("line", [b"garbage", b'{"type":', b"[1]", b"{}", b'{"type": 1}', b"\xff\xfe", b"[" * 100_000])
def test_garbage_is_counted_and_is_no_progress(provider: str, line: bytes) -> None:
    reader = PROFILES[provider].new_reader()
    assert [event.kind for event in reader.feed(line)] == ["unknown"]
    assert (reader.malformed_lines, reader.last_line_malformed, reader.progress) == (1, True, 0)


def test_a_record_of_another_program_is_unknown_but_not_malformed() -> None:
    reader = PROFILES["openai"].new_reader()
    assert reader.feed(b'{"type": "assistant"}')[0].kind == "unknown"
    assert (reader.malformed_lines, reader.recognised_lines) == (0, 0)


def test_empty_lines_are_nothing() -> None:
    reader = PROFILES["openai"].new_reader()
    assert reader.feed(b"\r\n") == ()
    assert reader.malformed_lines == 0


def message(text: str) -> bytes:
    return json.dumps({"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": text}}).encode()


def test_one_bad_byte_does_not_hide_a_record() -> None:
    reader = PROFILES["openai"].new_reader()
    assert reader.feed(message("good").replace(b"good", b"g\xffd"))[0].kind == "message"


def test_a_huge_line_is_cut_and_not_parsed() -> None:
    reader = PROFILES["openai"].new_reader()
    events = reader.feed(message("x" * (9 << 20)))
    assert [event.kind for event in events] == ["unknown"]
    assert len(events[0].text) < 10_000
    assert reader.malformed_lines == 1


def test_event_texts_are_cut() -> None:
    assert len(PROFILES["openai"].new_reader().feed(message("x" * 100_000))[0].text) < 10_000


def test_the_same_text_again_and_again_is_no_progress() -> None:
    reader = PROFILES["openai"].new_reader()
    for _ in range(3):
        reader.feed(message("I am still at it"))
        reader.feed(message("nearly there"))
    assert reader.progress == 2


def test_errors_are_forgotten_as_causes_once_something_gets_done() -> None:
    reader = PROFILES["openai"].new_reader()
    reader.feed(b'{"type": "error", "message": "Reconnecting... 1/5 (x)"}')
    before = len(reader.recent_errors)
    reader.feed(message("done"))
    assert (before, len(reader.recent_errors), len(reader.errors)) == (1, 0, 1)


def test_the_same_error_for_ever_is_kept_once() -> None:
    reader = PROFILES["openai"].new_reader()
    for _ in range(1_000):
        reader.feed(b'{"type": "error", "message": "Reconnecting... waiting for network (x)"}')
    assert len(reader.recent_errors) == 1


def test_geminis_pieces_of_one_answer_are_joined() -> None:
    reader = PROFILES["google"].new_reader()
    for text in ("Hel", "lo"):
        reader.feed(json.dumps({"type": "message", "role": "assistant", "content": text, "delta": True}).encode())
    assert reader.final_text == "Hello"
    reader.feed(b'{"type": "tool_use", "tool_name": "x", "tool_id": "1", "parameters": {}}')
    reader.feed(b'{"type": "message", "role": "assistant", "content": "Bye", "delta": true}')
    assert reader.final_text == "Bye"


def test_geminis_thoughts_are_part_of_the_output() -> None:
    reader = PROFILES["google"].new_reader()
    stats = {"total_tokens": 100, "input_tokens": 60, "output_tokens": 10, "cached": 20}
    reader.feed(json.dumps({"type": "result", "status": "success", "stats": stats}).encode())
    assert (reader.usage.output_tokens, reader.usage.reasoning_tokens, reader.usage.cached_input_tokens) == (40, 30, 20)
