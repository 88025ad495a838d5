"""claude's stream as its reference documents it: `-p --output-format stream-json --verbose`."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from attractor.backends import PROFILES, AgentEnding, AgentEvent, FailureKind, Judgement, StreamReader, judge

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SESSION = "7f0e2c1a-9d2f-4c53-8a1e-000000000001"


def assistant(
    message_id: str, *content: dict[str, Any], tokens: tuple[int, int] = (0, 0), **more: Any
) -> dict[str, Any]:
    usage = {"input_tokens": tokens[0], "cache_read_input_tokens": 100, "output_tokens": tokens[1]}
    message = {"id": message_id, "role": "assistant", "content": list(content), "usage": usage}
    return {"type": "assistant", "message": message, "session_id": SESSION, **more}


INIT = {"type": "system", "subtype": "init", "session_id": SESSION, "model": "claude-sonnet-4-6", "tools": ["Bash"]}
ALLOWED = {"type": "rate_limit_event", "rate_limit_info": {"status": "allowed", "resetsAt": 1795460400}}
TOOL_USE = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "printf made > made.txt"}}
TOOL_RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "", "is_error": False}
RESULT = {
    "type": "result", "subtype": "success", "is_error": False, "num_turns": 2, "result": "Done.",
    "session_id": SESSION, "total_cost_usd": 0.0125,
    "usage": {"input_tokens": 10, "cache_creation_input_tokens": 50, "cache_read_input_tokens": 200,
              "output_tokens": 30},
}  # fmt: skip
TRANSCRIPT: list[dict[str, Any]] = [
    INIT,
    ALLOWED,
    assistant("m1", {"type": "thinking", "thinking": "A file is wanted."}, tokens=(4, 8)),
    assistant("m1", {"type": "text", "text": "I write the file."}, tokens=(4, 8)),
    assistant("m1", TOOL_USE, tokens=(4, 20)),
    {"type": "user", "message": {"role": "user", "content": [TOOL_RESULT]}, "session_id": SESSION},
    assistant("m2", {"type": "text", "text": "Done."}, tokens=(6, 10)),
    RESULT,
]


def read(records: list[dict[str, Any]]) -> tuple[StreamReader, list[AgentEvent]]:
    reader = PROFILES["anthropic"].new_reader()
    return reader, [event for record in records for event in reader.feed(json.dumps(record).encode())]


def verdict(records: list[dict[str, Any]], exit_code: int = 1) -> Judgement:
    return judge(PROFILES["anthropic"], AgentEnding(exit_code), read(records)[0], "", NOW)


def failed(text: str, subtype: str = "success", **more: Any) -> list[dict[str, Any]]:
    return [INIT, {"type": "result", "subtype": subtype, "is_error": True, "result": text, **more}]


def test_a_whole_session() -> None:
    reader, events = read(TRANSCRIPT)
    assert [event.kind for event in events] == [
        "session", "notice", "thinking", "message", "tool_call", "tool_result", "message", "usage", "result",
    ]  # fmt: skip
    assert (reader.result, reader.final_text, reader.session_id) == ("ok", "Done.", SESSION)
    assert reader.progress == 4
    assert verdict(TRANSCRIPT, 0).ok


def test_the_result_has_the_last_word_on_tokens_and_cost() -> None:
    usage = read(TRANSCRIPT)[0].usage
    assert (usage.input_tokens, usage.cached_input_tokens, usage.cache_write_input_tokens) == (260, 200, 50)
    assert (usage.output_tokens, usage.cost_usd) == (30, 0.0125)


def test_tokens_are_counted_while_it_runs_each_message_once() -> None:
    usage = read(TRANSCRIPT[:-1])[0].usage
    assert (usage.input_tokens, usage.output_tokens, usage.cost_usd) == (4 + 6 + 200, 20 + 10, None)


def test_is_error_decides_not_the_subtype() -> None:
    result = verdict(failed("Invalid API key · Fix external API key"))
    assert (result.ok, result.kind) == (False, FailureKind.AUTH)


@pytest.mark.parametrize(
    ("records", "kind"),
    [
        (failed("", "error_max_turns"), FailureKind.TURN_LIMIT),
        (failed("", "error_max_budget_usd"), FailureKind.TURN_LIMIT),
        (failed("", "error_during_execution", errors=["odd"]), FailureKind.UNKNOWN),
        (failed("API Error: Connection error."), FailureKind.NETWORK),
        (failed("Prompt is too long"), FailureKind.CONTEXT_OVERFLOW),
        (failed("Credit balance is too low", api_error_status=400), FailureKind.BILLING),
        (failed('API Error: 401 {"type":"error","error":{"type":"authentication_error","message":'
                '"OAuth token has expired."}} · Please run /login'), FailureKind.AUTH_EXPIRED),
        (failed('API Error: 529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'),
         FailureKind.OVERLOADED),
        (failed("API Error: 500 Internal server error"), FailureKind.SERVER_ERROR),
        (failed("There's an issue with the selected model (claude-x). It may not exist."), FailureKind.MODEL_NOT_FOUND),
        (failed("x", api_error_status=429), FailureKind.RATE_LIMIT),
    ],
)  # fmt: skip
def test_failed_results(records: list[dict[str, Any]], kind: FailureKind) -> None:
    assert verdict(records).kind is kind


def test_a_rejected_usage_window_is_a_quota_with_its_reset_time() -> None:
    info = {"status": "rejected", "resetsAt": int(NOW.timestamp()) + 900, "rateLimitType": "five_hour"}
    told = assistant("m1", {"type": "text", "text": "You've hit your limit · resets 12:15pm (UTC)"}, error="rate_limit")
    result = verdict(
        [INIT, {"type": "rate_limit_event", "rate_limit_info": info}, told, *failed("You've hit your limit")]
    )
    assert (result.kind, result.retry_after_seconds) == (FailureKind.QUOTA, 900.0)


def test_an_error_of_a_sub_agent_is_not_the_sessions() -> None:
    told = assistant("m1", {"type": "text", "text": "x"}, error="invalid_request", parent_tool_use_id="t9")
    assert read([INIT, told])[0].errors == ()


def test_its_own_retries_are_no_progress() -> None:
    retry = {"type": "system", "subtype": "api_retry", "attempt": 1, "error_status": 529, "error": "overloaded"}
    reader, _ = read([INIT, retry, {**retry, "attempt": 2}])
    assert reader.progress == 0
    assert [error.http_status for error in reader.errors] == [529]
