"""What is read from a run's log: the time it took, and that it did what it was given."""

from __future__ import annotations

import pytest

from harness.bench.timeline import TimelineError, check_branches, event_lines, moment, run_seconds


def line(second: str, event: str, **fields: str) -> bytes:
    rest = "".join(f',"{name}":"{value}"' for name, value in fields.items())
    return f'{{"seq":1,"ts":"2026-03-01T10:00:{second}Z","run_id":"r","event":"{event}"{rest}}}\n'.encode()


STARTED = line("01.250000", "run_started")
SAVED = line("02.000000", "checkpoint_saved", node_id="n1")
COMPLETED = line("03.500000", "run_completed")


def test_a_run_lasts_from_run_started_to_run_completed() -> None:
    assert run_seconds([STARTED, SAVED, SAVED, COMPLETED], nodes_saved=2) == pytest.approx(2.25)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "found None ... None"),
        ([STARTED, SAVED], "found run_started ... checkpoint_saved"),
        ([STARTED, SAVED, line("03.000000", "run_failed")], "found run_started ... run_failed"),
        ([STARTED, SAVED, SAVED, COMPLETED], "expected 1 nodes saved, found 2"),
        ([STARTED, line("02.000000", "cxdb_degraded"), SAVED, COMPLETED], "lost its CXDB"),
    ],
)
def test_a_run_that_did_not_do_all_gives_no_time(lines: list[bytes], complaint: str) -> None:
    with pytest.raises(TimelineError, match=complaint):
        run_seconds(lines, nodes_saved=1)


def test_events_are_found_by_name_and_have_their_moment() -> None:
    found = event_lines([STARTED, SAVED, COMPLETED], "run_completed")
    assert [event["event"] for event in found] == ["run_completed"]
    assert moment(found[0]) - moment(event_lines([STARTED], "run_started")[0]) == pytest.approx(2.25)


def fan_out(succeeded: int, failed: int) -> bytes:
    counts = f'"succeeded":{succeeded},"failed":{failed},"canceled":0'
    return f'{{"seq":2,"event":"parallel_completed","node_id":"fan",{counts}}}\n'.encode()


def test_a_fan_out_whose_branches_all_succeeded_is_measured() -> None:
    check_branches([STARTED, fan_out(3, 0), COMPLETED], branches=3)


@pytest.mark.parametrize("lines", [[], [fan_out(2, 1)], [fan_out(2, 0)], [fan_out(3, 0), fan_out(3, 0)]])
def test_a_fan_out_that_lacks_a_success_gives_no_time(lines: list[bytes]) -> None:
    with pytest.raises(TimelineError, match="with 3 branches succeeded"):
        check_branches(lines, branches=3)
