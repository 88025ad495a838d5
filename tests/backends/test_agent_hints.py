"""The tables behind a judgement: complete, and every text row with what it matches and what it leaves alone."""

import signal

import pytest

from attractor.backends import (
    CODE_KINDS,
    HTTP_KINDS,
    KIND_CLASS,
    PROFILES,
    REFINES,
    SIGNAL_KINDS,
    TEXT_HINTS,
    FailureKind,
    kind_of_text,
)
from attractor.contracts import FailureClass

POSITIVE = [(text, hint.kind) for hint in TEXT_HINTS for text in hint.matches]
NEGATIVE = [text for hint in TEXT_HINTS for text in hint.leaves]


def test_every_kind_has_a_class() -> None:
    assert set(KIND_CLASS) == set(FailureKind)


def test_only_the_engine_says_canceled_or_structural() -> None:
    assert not {FailureClass.CANCELED, FailureClass.STRUCTURAL} & set(KIND_CLASS.values())


def test_every_row_has_texts_for_and_against() -> None:
    assert all(hint.matches and len(hint.leaves) >= 2 for hint in TEXT_HINTS)


@pytest.mark.parametrize(("text", "kind"), POSITIVE)
def test_a_text_of_the_failure_is_recognised(text: str, kind: FailureKind) -> None:
    assert kind_of_text(text) is kind


@pytest.mark.parametrize("text", NEGATIVE)
def test_a_text_that_only_looks_like_one_is_left_alone(text: str) -> None:
    assert kind_of_text(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "FAILED tests/test_net.py::test_timeout - TimeoutError: timeout",
        "reading /srv/data/502/page.html",
        "assert response.status == 503",
        "line 429: unexpected indent",
        "test_connection_refused ... ok",
        "12 passed, 1 failed in 504.00s",
        "error: 401 lines changed",
        "quota.py:404: warning: unused variable",
        "the prompt was killed",
    ],
)
def test_a_products_own_output_is_no_hint(text: str) -> None:
    assert kind_of_text(text) is None


def test_every_kind_is_reached_by_some_table() -> None:
    by_judge_alone = {
        FailureKind.TIMEOUT,
        FailureKind.STALLED,
        FailureKind.NO_RESULT,
        FailureKind.WRONG_OUTPUT,
        FailureKind.CANNOT_RUN,
        FailureKind.UNKNOWN,
    }
    tables = {
        *CODE_KINDS.values(),
        *HTTP_KINDS.values(),
        *SIGNAL_KINDS.values(),
        *(hint.kind for hint in TEXT_HINTS),
        *(kind for profile in PROFILES.values() for kind in profile.exit_kinds.values()),
    }
    assert tables == set(FailureKind) - by_judge_alone


def test_no_kind_refines_itself() -> None:
    assert all(kind not in finer for kind, finer in REFINES.items())


@pytest.mark.parametrize(("exit_code", "status"), [(145, 401), (148, 404), (173, 429), (244, 500), (247, 503)])
def test_geminis_exit_code_is_the_http_status_by_256(exit_code: int, status: int) -> None:
    assert PROFILES["google"].exit_kinds[exit_code] is HTTP_KINDS[status]


def test_geminis_exit_codes_do_not_hide_signals() -> None:
    told_by_shell = {128 + number for number in SIGNAL_KINDS}
    clashing = told_by_shell & set(PROFILES["google"].exit_kinds)
    assert clashing == {128 + signal.SIGINT}
    assert PROFILES["google"].exit_kinds[130] is SIGNAL_KINDS[signal.SIGINT]
