"""From evidence to verdict: precedence, and the cases no recording shows."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from attractor.backends import PROFILES, AgentEnding, FailureKind, Judgement, judge
from attractor.contracts import FailureClass

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MESSAGE = {"type": "item.completed", "item": {"id": "i1", "type": "agent_message", "text": "working"}}
STARTED = {"type": "turn.started"}
INIT = {"type": "init", "session_id": "s", "model": "m"}


def verdict(
    provider: str,
    records: list[dict[str, Any]],
    exit_code: int | None = 1,
    stderr: str = "",
    *,
    timed_out: bool = False,
    stalled: bool = False,
) -> Judgement:
    reader = PROFILES[provider].new_reader()
    for record in records:
        reader.feed(json.dumps(record).encode())
    return judge(PROFILES[provider], AgentEnding(exit_code, timed_out, stalled), reader, stderr, NOW)


def codex_failed(message: str) -> list[dict[str, Any]]:
    return [STARTED, {"type": "turn.failed", "error": {"message": message}}]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("The model `gpt-9` does not exist or you do not have access to it.", FailureKind.MODEL_NOT_FOUND),
        ('{"detail":"The \'gpt-9\' model is not supported when using Codex with a ChatGPT account."}',
         FailureKind.MODEL_NOT_FOUND),
        ('{"error":{"message":"too big","type":"invalid_request_error","code":"context_length_exceeded"}}',
         FailureKind.CONTEXT_OVERFLOW),
        ('{"error":{"message":"Unsupported value","type":"invalid_request_error","code":null}}',
         FailureKind.BAD_REQUEST),
        ("Codex ran out of room in the model’s context window.", FailureKind.CONTEXT_OVERFLOW),
        ("Quota exceeded. Check your plan and billing details.", FailureKind.BILLING),
        ("Your access token could not be refreshed because your refresh token has expired.", FailureKind.AUTH_EXPIRED),
        ("Selected model is at capacity. Please try a different model.", FailureKind.OVERLOADED),
        ("unexpected status 401 Unauthorized: Your refresh token has expired", FailureKind.AUTH_EXPIRED),
        ("unexpected status 502 Bad Gateway: nginx", FailureKind.SERVER_ERROR),
        ("This request has been flagged for possible cybersecurity risk.", FailureKind.CONTENT_REFUSED),
        ("something nobody has seen before", FailureKind.UNKNOWN),
    ],
)  # fmt: skip
def test_codexs_failed_turns(message: str, kind: FailureKind) -> None:
    assert verdict("openai", codex_failed(message)).kind is kind


@pytest.mark.parametrize(
    ("exit_code", "kind", "failure_class"),
    [
        (41, FailureKind.AUTH, FailureClass.DETERMINISTIC),
        (42, FailureKind.BAD_REQUEST, FailureClass.DETERMINISTIC),
        (53, FailureKind.TURN_LIMIT, FailureClass.BUDGET_EXHAUSTED),
        (54, FailureKind.NO_SPACE, FailureClass.DETERMINISTIC),
        (55, FailureKind.SANDBOX_REFUSAL, FailureClass.DETERMINISTIC),
        (173, FailureKind.RATE_LIMIT, FailureClass.TRANSIENT_INFRA),
    ],
)
def test_geminis_exit_codes(exit_code: int, kind: FailureKind, failure_class: FailureClass) -> None:
    result = verdict("google", [INIT], exit_code)
    assert (result.kind, result.failure_class) == (kind, failure_class)


@pytest.mark.parametrize(
    ("error_type", "message", "kind"),
    [
        ("TerminalQuotaError", "You have exhausted your capacity on this model.", FailureKind.QUOTA),
        ("unknown", '[API Error: {"error":{"code":400,"message":"API key not valid. Please pass a valid API key."}}]',
         FailureKind.AUTH),
        ("unknown", "[API Error: Quota exceeded (Status: RESOURCE_EXHAUSTED)]", FailureKind.RATE_LIMIT),
        ("FatalTurnLimitedError", "Reached max session turns", FailureKind.TURN_LIMIT),
    ],
)  # fmt: skip
def test_geminis_result_errors(error_type: str, message: str, kind: FailureKind) -> None:
    result = {"type": "result", "status": "error", "error": {"type": error_type, "message": message}}
    assert verdict("google", [INIT, result]).kind is kind


@pytest.mark.parametrize(
    ("severity", "message", "kind"),
    [
        ("warning", "Loop detected, stopping execution", FailureKind.LOOP),
        ("error", "Maximum session turns exceeded", FailureKind.TURN_LIMIT),
        ("error", "The model response was blocked due to safety settings.", FailureKind.CONTENT_REFUSED),
    ],
)
def test_geminis_success_after_it_stopped_in_the_middle_is_none(severity: str, message: str, kind: FailureKind) -> None:
    records = [
        INIT,
        {"type": "error", "severity": severity, "message": message},
        {"type": "result", "status": "success"},
    ]
    assert verdict("google", records, 0).kind is kind


def test_exit_zero_without_the_programs_word_is_no_success() -> None:
    assert verdict("openai", [STARTED, MESSAGE], 0).kind is FailureKind.NO_RESULT
    assert verdict("openai", [], 0).kind is FailureKind.WRONG_OUTPUT


def test_the_programs_word_without_exit_zero_is_no_success() -> None:
    assert verdict("openai", [STARTED, {"type": "turn.completed"}], 1).kind is FailureKind.UNKNOWN


@pytest.mark.parametrize(
    ("exit_code", "kind"),
    [
        (-9, FailureKind.KILLED),
        (-15, FailureKind.KILLED),
        (137, FailureKind.KILLED),
        (143, FailureKind.KILLED),
        (-10, FailureKind.KILLED),
        (-11, FailureKind.CRASHED),
        (134, FailureKind.CRASHED),
        (101, FailureKind.CRASHED),
        (127, FailureKind.CANNOT_RUN),
        (2, FailureKind.BAD_REQUEST),
        (1, FailureKind.UNKNOWN),
        (None, FailureKind.UNKNOWN),
    ],
)
def test_exit_codes_and_signals_of_codex(exit_code: int | None, kind: FailureKind) -> None:
    assert verdict("openai", [STARTED], exit_code).kind is kind


def test_a_watchdogs_verdict_names_the_cause_where_there_is_one() -> None:
    waiting = {
        "type": "error",
        "message": "Reconnecting... waiting for network (Connection failed: error sending request)",
    }
    assert verdict("openai", [STARTED, waiting], -15, stalled=True).kind is FailureKind.NETWORK
    assert verdict("openai", [STARTED, MESSAGE], -15, stalled=True).kind is FailureKind.STALLED


def test_an_error_that_was_overcome_explains_nothing() -> None:
    hiccup = {"type": "error", "message": "Reconnecting... 1/5 (unexpected status 503 Service Unavailable: x)"}
    assert verdict("openai", [STARTED, hiccup, MESSAGE], -15, timed_out=True).kind is FailureKind.TIMEOUT


def test_what_a_program_retried_does_not_explain_how_it_ended() -> None:
    """codex over HTTP tells of WebSockets that failed, then of what the provider refused."""
    retried = {"type": "error", "message": "Reconnecting... 5/5 (stream disconnected before completion: WebSocket)"}
    body = '{"error": {"message": "no", "type": "invalid_request_error", "code": "unsupported_parameter"}}'
    assert verdict("openai", [retried, *codex_failed(body)]).kind is FailureKind.BAD_REQUEST
    assert verdict("openai", [retried, *codex_failed("odd")]).kind is FailureKind.UNKNOWN


def test_old_lines_on_standard_error_do_not_explain_a_run_that_got_somewhere() -> None:
    answer = {"type": "message", "role": "assistant", "content": "working", "delta": True}
    assert verdict("google", [INIT, answer], 0, "  status: 429\n}", timed_out=True).kind is FailureKind.TIMEOUT
    assert verdict("google", [INIT], 0, "  status: 429\n}", timed_out=True).kind is FailureKind.RATE_LIMIT


def test_what_tools_print_is_no_evidence() -> None:
    item = {"id": "i", "type": "command_execution", "command": "x", "aggregated_output": "429 Too Many Requests"}
    records: list[dict[str, Any]] = [STARTED, {"type": "item.completed", "item": {**item, "status": "failed"}}]
    assert verdict("openai", records).kind is FailureKind.UNKNOWN


def test_a_quotas_reset_time_is_the_delay() -> None:
    result = verdict("openai", codex_failed("You've hit your usage limit. Try again at 3:30 PM."))
    assert (result.kind, result.retry_after_seconds) == (FailureKind.QUOTA, 3.5 * 3600 + 60)
    assert result.failure_class is FailureClass.TRANSIENT_INFRA


def test_geminis_daily_quota_is_a_quota_although_the_provider_speaks_of_billing() -> None:
    told = "[API Error: You have exhausted your daily quota on this model.]\nPlease wait and try again later."
    result = {"type": "result", "status": "error", "error": {"type": "unknown", "message": told}}
    stderr = (
        "  cause: {\n    message: 'You exceeded your current quota, please check your plan and billing details.',\n"
        "  retryDelayMs: 90000,\n  status: 429\n}"
    )
    found = verdict("google", [INIT, result], 173, stderr)
    assert (found.kind, found.retry_after_seconds) == (FailureKind.QUOTA, 90.0)


def test_only_what_waiting_helps_has_a_delay() -> None:
    assert (
        verdict("openai", codex_failed("Your workspace is out of credits. Retry-After: 30")).retry_after_seconds is None
    )


def test_ids_that_change_each_time_are_not_in_the_reason() -> None:
    reasons = {
        verdict("openai", codex_failed(f"unexpected status 500 X: y, cf-ray: {ray}-FRA, request id: {ray}-b2")).reason
        for ray in ("9a1cdef", "77ce")
    }
    assert len(reasons) == 1


def test_a_programs_usage_error_on_standard_error() -> None:
    result = verdict("anthropic", [], 1, "error: unknown option '--effort'")
    assert result.kind is FailureKind.BAD_REQUEST
    assert "unknown option '--effort'" in result.reason
