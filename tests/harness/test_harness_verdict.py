"""One precedence, one table of exit codes."""

import itertools

import pytest

from harness.results import (
    CaseResult,
    CheckResult,
    ProgressEvent,
    ProgressKind,
    Verdict,
    from_json,
    progress_from_json,
    to_json,
)
from harness.verdict import EXIT_CODES, PRECEDENCE, exit_code, merge


def test_every_verdict_has_a_place_and_an_exit_code() -> None:
    assert sorted(PRECEDENCE) == sorted(Verdict)
    assert sorted(EXIT_CODES) == sorted(Verdict)


def test_only_green_exits_zero() -> None:
    assert [verdict for verdict, code in EXIT_CODES.items() if code == 0] == [Verdict.GREEN]


def test_merging_is_the_same_in_any_order_and_grouping() -> None:
    for one, two, three in itertools.product(Verdict, repeat=3):
        merged = merge([one, two, three])
        assert merged == merge([three, one, two]) == merge([merge([one, two]), three])


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([], 3),
        (["skipped"], 3),
        (["green", "skipped"], 0),
        (["green", "red"], 1),
        (["green", "flaky"], 1),
        (["red", "invalid"], 3),
        (["red", "error"], 3),
    ],
)
def test_mixed_sessions_exit_by_the_worst(verdicts: list[str], code: int) -> None:
    assert exit_code(map(Verdict, verdicts)) == code


def test_a_result_survives_its_json() -> None:
    check = CheckResult(name="commits", verdict=Verdict.RED, summary="s", expected="a", found="b")
    result = CaseResult(
        case_id="detach/x[a=1]",
        guardrail="detach",
        title="t",
        why="w",
        scenario_path="x.toml",
        verdict=Verdict.RED,
        reason="r",
        checks=(check,),
        axes={"a": "1"},
    )
    assert from_json(to_json(result)) == result


def test_progress_survives_its_json() -> None:
    event = ProgressEvent(kind=ProgressKind.SESSION_STARTED, at="now", case_ids=("a/b",))
    assert progress_from_json(to_json(event)) == event
