"""What events tell about nodes and edges: finished visits, what is running, what was interrupted."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from attractor.cli.trace import EdgeKey, Jump, NodeState, Trace, trace_of
from attractor.errors import RunDirectoryError

NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


def start(node_id: str, attempt: int = 1) -> dict[str, Any]:
    return {"event": "stage_attempt_start", "node_id": node_id, "attempt": attempt}


def end(node_id: str, status: str = "success", *, ms: float = 100.0, **more: Any) -> dict[str, Any]:
    return {"event": "stage_attempt_end", "node_id": node_id, "status": status, "duration_ms": ms, **more}


def saved(node_id: str, status: str = "success") -> dict[str, Any]:
    return {"event": "checkpoint_saved", "node_id": node_id, "status": status}


def visit(node_id: str, status: str = "success", ms: float = 100.0) -> list[dict[str, Any]]:
    return [start(node_id), end(node_id, status, ms=ms), saved(node_id, status)]


def edge(source_id: str, target_id: str, **more: Any) -> dict[str, Any]:
    return {"event": "edge_selected", "from": source_id, "to": target_id, **more}


def told(events: Iterable[dict[str, Any]], *, now: datetime | None = None, log: int = 0) -> Trace:
    stamped = ({"seq": n, "ts": f"2026-01-01T00:00:{n:02}.000000Z", **event} for n, event in enumerate(events, 1))
    return trace_of(((event.pop("log", log), event) for event in stamped), now=now)


def test_a_node_stands_as_its_last_finished_visit_ended() -> None:
    node = told([*visit("a", "fail"), *visit("a", "success", ms=250)]).nodes["a"]
    assert (node.state, node.visits, node.duration_ms) == (NodeState.SUCCESS, 2, 250)


def test_attempts_of_one_visit_add_up() -> None:
    events = [start("a"), end("a", "fail", will_retry=True), start("a", 2), end("a"), saved("a")]
    node = told(events).nodes["a"]
    assert (node.state, node.visits, node.attempts, node.duration_ms) == (NodeState.SUCCESS, 1, 2, 200)


def test_the_reason_is_the_last_visit_s() -> None:
    events = [start("a"), end("a", "fail", failure_reason="broken"), saved("a", "fail")]
    assert told(events).nodes["a"].reason == "broken"
    assert told([*events, *visit("a")]).nodes["a"].reason == ""


def test_what_has_begun_is_running_while_an_engine_works() -> None:
    node = told([*visit("a"), start("a")], now=NOW).nodes["a"]
    assert (node.state, node.visits, node.duration_ms) == (NodeState.RUNNING, 1, 56_000)


def test_waiting_for_the_next_attempt_is_running() -> None:
    assert told([start("a"), end("a", "fail", will_retry=True)], now=NOW).nodes["a"].state is NodeState.RUNNING


def test_a_question_without_an_answer_is_waited_for() -> None:
    asked = [start("a"), {"event": "interview_started", "node_id": "a"}]
    assert told(asked, now=NOW).nodes["a"].state is NodeState.WAITING
    assert told(asked).nodes["a"].state is NodeState.INTERRUPTED
    for answer in ("interview_completed", "interview_timeout"):
        assert told([*asked, {"event": answer, "node_id": "a"}], now=NOW).nodes["a"].state is NodeState.RUNNING
    assert told([*asked, start("a", 2)], now=NOW).nodes["a"].state is NodeState.RUNNING


def test_what_has_begun_is_interrupted_when_none_does() -> None:
    assert told([start("a")]).nodes["a"].state is NodeState.INTERRUPTED


def test_an_end_without_a_checkpoint_shows_and_counts_as_no_visit() -> None:
    node = told([start("a"), end("a", "canceled")]).nodes["a"]
    assert (node.state, node.visits) == (NodeState.CANCELED, 0)


def test_a_resume_forgets_what_was_not_finished() -> None:
    events = [*visit("a", "fail"), start("a"), {"event": "run_resumed"}, start("b")]
    nodes = told(events, now=NOW).nodes
    assert (nodes["a"].state, nodes["b"].state) == (NodeState.FAIL, NodeState.RUNNING)


def test_a_resume_forgets_an_end_that_was_never_saved() -> None:
    nodes = told([start("a"), end("a"), {"event": "run_resumed"}], now=NOW).nodes
    assert nodes["a"].state is NodeState.NOT_REACHED


def test_a_branch_s_resume_leaves_other_branches_alone() -> None:
    events = [{**start("a"), "log": 1}, {**start("b"), "log": 2}, {"event": "run_resumed", "log": 1}]
    nodes = told(events, now=NOW).nodes
    assert (nodes["a"].state, nodes["b"].state) == (NodeState.NOT_REACHED, NodeState.RUNNING)


def test_edges_are_counted_and_told_apart_by_label_and_condition() -> None:
    yes = edge("a", "b", label="Yes", condition="outcome=success")
    trace = told([yes, yes, edge("a", "b")])
    assert trace.edges == {EdgeKey("a", "b", "Yes", "outcome=success"): 2, EdgeKey("a", "b"): 1}


def test_jumps_are_no_edges() -> None:
    trace = told([edge("a", "b", rule="retry_target"), edge("x", "g", rule="goal_gate"), edge("f", "j", rule="join")])
    assert trace.jumps == {Jump("a", "b", "retry_target"): 1, Jump("x", "g", "goal_gate"): 1}
    assert trace.edges == {}


def test_branches_take_their_edge_whatever_their_number() -> None:
    begun = [{"event": "parallel_branch_started", "node_id": "fan", "branch": name} for name in ("a", "b", "b-2")]
    assert told(begun).edges == {EdgeKey("fan", "a"): 1, EdgeKey("fan", "b"): 2}


def test_restarts_and_times_are_the_run_s() -> None:
    trace = told([start("a"), {"event": "loop_restart"}, {"event": "something_new"}])
    assert (trace.restarts, trace.started[17:19], trace.newest[17:19]) == (1, "01", "03")


@pytest.mark.parametrize(
    "event",
    [
        {"event": "stage_attempt_start"},
        {"event": "stage_attempt_end", "node_id": "a", "duration_ms": "x"},
        {"event": "checkpoint_saved", "node_id": "a", "status": "well"},
        {"event": "edge_selected", "from": "a"},
        {**start("a"), "ts": "yesterday"},
    ],
)
def test_an_event_that_lacks_what_it_must_have_is_named(event: dict[str, Any]) -> None:
    with pytest.raises(RunDirectoryError, match=r"event 2 .* of the run cannot be used"):
        told([start("a"), event])


def test_no_events_are_no_trace() -> None:
    trace = told([])
    assert (trace.nodes, trace.edges, trace.started) == ({}, {}, "")
