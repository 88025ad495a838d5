"""What codex 0.169.0 and gemini-cli 0.61.0 print for each answer of a provider, and what is made of it.

`golden/*.json` was recorded from the real programs against a scripted provider on loopback. Each recorded case
stands in the table below; a case without a row fails the first test.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attractor.backends import PROFILES, AgentEnding, FailureKind, Judgement, StreamReader, judge
from attractor.contracts import FailureClass

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TRANSIENT, DETERMINISTIC = FailureClass.TRANSIENT_INFRA, FailureClass.DETERMINISTIC

# (provider, the provider's answer) -> kind and class; None where the run is good.
EXPECTED: dict[tuple[str, str], tuple[FailureKind, FailureClass] | None] = {
    ("openai", "ok"): None,
    ("openai", "tool"): None,
    ("openai", "401"): (FailureKind.AUTH, DETERMINISTIC),
    # codex keeps neither the status nor the code of a 404, only the provider's words, which are synthetic here.
    ("openai", "404"): (FailureKind.UNKNOWN, DETERMINISTIC),
    ("openai", "429"): (FailureKind.RATE_LIMIT, TRANSIENT),
    ("openai", "500"): (FailureKind.SERVER_ERROR, TRANSIENT),
    ("openai", "503"): (FailureKind.OVERLOADED, TRANSIENT),
    ("openai", "cut"): (FailureKind.STREAM_CUT, TRANSIENT),
    ("openai", "hang"): (FailureKind.TIMEOUT, TRANSIENT),
    ("openai", "refused"): (FailureKind.NETWORK, TRANSIENT),
    ("google", "ok"): None,
    ("google", "tool"): None,
    ("google", "401"): (FailureKind.AUTH, DETERMINISTIC),
    ("google", "404"): (FailureKind.MODEL_NOT_FOUND, DETERMINISTIC),
    ("google", "429"): (FailureKind.RATE_LIMIT, TRANSIENT),
    ("google", "500"): (FailureKind.SERVER_ERROR, TRANSIENT),
    ("google", "503"): (FailureKind.OVERLOADED, TRANSIENT),
    ("google", "hang"): (FailureKind.TIMEOUT, TRANSIENT),
    ("google", "refused"): (FailureKind.NETWORK, TRANSIENT),
}

CASES: dict[tuple[str, str], dict[str, Any]] = {
    (provider, case["provider_answers"]): case
    for provider, file in (("openai", "codex.json"), ("google", "gemini.json"))
    for case in json.loads((GOLDEN / file).read_text(encoding="utf-8"))["cases"]
}


def read(provider: str, case: dict[str, Any]) -> StreamReader:
    reader = PROFILES[provider].new_reader()
    for line in case["stdout"]:
        reader.feed(line.encode() + b"\n")
    return reader


def judged(provider: str, case: dict[str, Any], *, watchdog: bool) -> Judgement:
    """`watchdog`: whether it was us who ended the program in the recorded cases that were ended by a signal."""
    ended = AgentEnding(case["exit_code"], timed_out=watchdog and case["note"] is not None)
    return judge(PROFILES[provider], ended, read(provider, case), "\n".join(case["stderr"]), NOW)


def test_every_recorded_case_has_a_row() -> None:
    assert set(EXPECTED) == set(CASES)


@pytest.mark.parametrize("name", CASES, ids="-".join)
def test_a_recorded_case_is_what_the_table_says(name: tuple[str, str]) -> None:
    result = judged(name[0], CASES[name], watchdog=True)
    expected = EXPECTED[name]
    assert result.ok is (expected is None)
    assert (result.kind, result.failure_class) == (expected or (None, None))


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if case["note"]], ids="-".join)
def test_a_program_somebody_else_ended_is_no_success_and_may_be_tried_again(name: tuple[str, str]) -> None:
    """gemini exits 0 when SIGTERM ends it."""
    result = judged(name[0], CASES[name], watchdog=False)
    assert not result.ok
    assert result.failure_class is TRANSIENT


def test_gemini_ended_in_mid_answer_has_no_result() -> None:
    assert judged("google", CASES["google", "hang"], watchdog=False).kind is FailureKind.NO_RESULT


@pytest.mark.parametrize("provider", ["openai", "google"])
def test_a_run_with_a_tool_gives_text_tokens_progress_and_session(provider: str) -> None:
    reader = read(provider, CASES[provider, "tool"])
    assert reader.final_text == "Hello from the fake."
    assert (reader.usage.input_tokens, reader.usage.output_tokens, reader.usage.total_tokens) == (22, 14, 36)
    assert reader.progress == 2  # the tool and the answer
    assert reader.session_id
    assert reader.malformed_lines == 0


@pytest.mark.parametrize("provider", ["openai", "google"])
def test_tool_calls_and_results_are_events(provider: str) -> None:
    reader = PROFILES[provider].new_reader()
    events = [event for line in CASES[provider, "tool"]["stdout"] for event in reader.feed(line.encode())]
    call = next(event for event in events if event.kind == "tool_call")
    result = next(event for event in events if event.kind == "tool_result")
    assert call.tool
    assert "made" in call.arguments
    assert (result.ok, result.tool_id) == (True, call.tool_id)
    assert [event.kind for event in events][-2:] == ["usage", "result"]


@pytest.mark.parametrize("name", [("openai", "refused"), ("openai", "hang"), ("google", "refused")], ids="-".join)
def test_waiting_for_a_provider_is_no_progress(name: tuple[str, str]) -> None:
    assert read(name[0], CASES[name]).progress == 0


def test_codex_warnings_are_not_errors() -> None:
    """`Model metadata not found` is an item of type error, and the turn goes on."""
    assert read("openai", CASES["openai", "ok"]).errors == ()


def test_the_http_status_is_read_from_codexs_own_words() -> None:
    errors = read("openai", CASES["openai", "503"]).errors
    assert [(error.http_status, error.retrying) for error in errors] == [(503, True), (503, False)]


def test_reasons_name_program_ending_and_cause() -> None:
    reason = judged("openai", CASES["openai", "401"], watchdog=True).reason
    assert reason.startswith("codex ended with exit status 1 (auth): unexpected status 401 Unauthorized")
    assert judged("google", CASES["google", "401"], watchdog=True).reason == (
        "gemini ended with exit status 145 (auth): synthetic 401"
    )
