"""Failure classes, what they permit, and signatures: DESIGN 2.5."""

import pytest

from attractor.contracts import FailureClass, Outcome, Status
from attractor.engine import POLICY, TEXT_HINTS, classify, signature


def failed(reason: str = "", failure_class: FailureClass | None = None, status: Status = Status.FAIL) -> Outcome:
    return Outcome(status, failure_reason=reason, failure_class=failure_class)


def test_every_class_has_a_policy() -> None:
    assert set(POLICY) == set(FailureClass)


@pytest.mark.parametrize(
    ("failure_class", "stage_retry", "loop_restart"),
    [
        (FailureClass.TRANSIENT_INFRA, True, True),
        (FailureClass.BUDGET_EXHAUSTED, True, False),
        (FailureClass.COMPILATION_LOOP, True, False),
        (FailureClass.DETERMINISTIC, False, False),
        (FailureClass.STRUCTURAL, False, False),
        (FailureClass.CANCELED, False, False),
    ],
)
def test_the_policy_is_the_designs_table(failure_class: FailureClass, stage_retry: bool, loop_restart: bool) -> None:
    policy = POLICY[failure_class]
    assert (policy.stage_retry, policy.loop_restart) == (stage_retry, loop_restart)


def test_a_success_has_no_class() -> None:
    assert classify(Outcome(Status.SUCCESS, failure_reason="connection refused")) is None


def test_the_handlers_word_beats_the_text() -> None:
    outcome = failed("connection refused", FailureClass.STRUCTURAL)
    assert classify(outcome) is FailureClass.STRUCTURAL


def test_what_nobody_can_explain_is_deterministic() -> None:
    assert classify(failed("tool_command ended with exit status 1")) is FailureClass.DETERMINISTIC
    assert classify(failed()) is FailureClass.DETERMINISTIC


def test_a_stage_that_asks_for_a_retry_gets_one() -> None:
    assert classify(failed(status=Status.RETRY)) is FailureClass.TRANSIENT_INFRA


MATCHING = [
    ("curl: (7) Failed to connect: Connection refused", FailureClass.TRANSIENT_INFRA),
    ("read tcp: connection reset by peer", FailureClass.TRANSIENT_INFRA),
    ("Error: connect ECONNREFUSED 127.0.0.1:80", FailureClass.TRANSIENT_INFRA),
    ("fatal: Could not resolve host: example.com", FailureClass.TRANSIENT_INFRA),
    ("Temporary failure in name resolution", FailureClass.TRANSIENT_INFRA),
    ("connect: network is unreachable", FailureClass.TRANSIENT_INFRA),
    ("net/http: TLS handshake timeout", FailureClass.TRANSIENT_INFRA),
    ("HTTP 429 Too Many Requests", FailureClass.TRANSIENT_INFRA),
    ("<h1>502 Bad Gateway</h1>", FailureClass.TRANSIENT_INFRA),
    ("504 Gateway Time-out", FailureClass.TRANSIENT_INFRA),
    ("context length exceeded: 200001 tokens", FailureClass.BUDGET_EXHAUSTED),
    ("max_turns reached", FailureClass.BUDGET_EXHAUSTED),
    ("write_scope_violation: /etc/passwd", FailureClass.STRUCTURAL),
]


@pytest.mark.parametrize(("text", "failure_class"), MATCHING)
def test_known_texts_are_recognized(text: str, failure_class: FailureClass) -> None:
    assert classify(failed(text)) is failure_class


def test_every_hint_has_a_text_that_it_recognizes() -> None:
    assert [p.pattern for p, _ in TEXT_HINTS if not any(p.search(text) for text, _ in MATCHING)] == []


@pytest.mark.parametrize(
    "text",
    [
        "FAILED test_session_timeout - assert 3 == 4",
        "src/errors/502.html: no such file",
        "expected 503, got 200",
        "timeout must be positive",
        "AssertionError: rate limiter let 5 requests through",
        "connection pool has 3 refused tickets",
    ],
)
def test_a_products_own_output_is_not_taken_for_infrastructure(text: str) -> None:
    assert classify(failed(text)) is FailureClass.DETERMINISTIC


def test_a_signature_is_the_same_although_numbers_and_hashes_vary() -> None:
    one = signature("work", FailureClass.TRANSIENT_INFRA, "Timed out  after 3 s\nat 0xdeadbeef12 in build 4711ab9c")
    two = signature("work", FailureClass.TRANSIENT_INFRA, "timed out after 17 s at 0xcafebabe99 in build 99f00e1d")
    assert one == two == "work|transient_infra|timed out after <n> s at <hex> in build <hex>"


def test_signatures_of_different_nodes_or_classes_differ() -> None:
    texts = {
        signature("a", FailureClass.TRANSIENT_INFRA, "x"),
        signature("b", FailureClass.TRANSIENT_INFRA, "x"),
        signature("a", FailureClass.DETERMINISTIC, "x"),
    }
    assert len(texts) == 3


def test_a_signature_is_bounded() -> None:
    assert len(signature("n", FailureClass.DETERMINISTIC, "word " * 1000)) <= len("n|deterministic|") + 240
