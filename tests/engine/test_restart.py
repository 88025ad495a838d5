"""Loop restart: allowed, blocked by class, stopped by the breaker or by the limit. DESIGN 2.5."""

from attractor.contracts import FailureClass, Outcome, RunState, Status
from attractor.engine import RestartRuling, decide_restart, restarted_state
from tests.engine.graphs import graph_of

TIMEOUT = Outcome(Status.FAIL, failure_reason="timed out after 1 s", failure_class=FailureClass.TRANSIENT_INFRA)
BROKEN = Outcome(Status.FAIL, failure_reason="exit status 1", failure_class=FailureClass.DETERMINISTIC)


def state(**fields: object) -> RunState:
    made = RunState(run_id="r", base_logs_root="/logs", next_node="")
    made.context["internal.failed_node"] = "work"
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def test_a_transient_failure_may_restart() -> None:
    decision = decide_restart(graph_of("work"), state(), "check", TIMEOUT)
    assert decision.ruling is RestartRuling.ALLOWED
    assert (decision.signature, decision.count, decision.limit) == (
        "work|transient_infra|timed out after <n> s",
        1,
        3,
    )


def test_a_deterministic_failure_is_blocked_at_once() -> None:
    decision = decide_restart(graph_of("work"), state(), "check", BROKEN)
    assert decision.ruling is RestartRuling.BLOCKED_BY_CLASS
    assert "failure_class=deterministic" in decision.reason
    assert "exit status 1" in decision.reason


def test_the_breaker_opens_when_a_signature_comes_the_limits_time() -> None:
    graph = graph_of("graph [loop_restart_signature_limit=2] work")
    seen = state(restart_signatures={"work|transient_infra|timed out after <n> s": 1})
    assert decide_restart(graph, seen, "check", TIMEOUT).ruling is RestartRuling.CIRCUIT_BREAKER


def test_another_failure_has_its_own_count() -> None:
    graph = graph_of("graph [loop_restart_signature_limit=2] work")
    seen = state(restart_signatures={"work|transient_infra|connection refused": 1})
    assert decide_restart(graph, seen, "check", TIMEOUT).ruling is RestartRuling.ALLOWED


def test_messages_that_vary_on_an_unchanged_tree_open_the_breaker_too() -> None:
    graph = graph_of("graph [max_restarts=99] work")
    now = state(tree_sha="abc")
    for reason in ("connection refused by one", "too many requests, says two"):
        outcome = Outcome(Status.FAIL, failure_reason=reason, failure_class=FailureClass.TRANSIENT_INFRA)
        decision = decide_restart(graph, now, "check", outcome)
        assert decision.ruling is RestartRuling.ALLOWED
        now = state(tree_sha="abc", restart_signatures=dict(decision.counts) | now.restart_signatures | decision.counts)
    decision = decide_restart(graph, now, "check", TIMEOUT)
    assert decision.ruling is RestartRuling.CIRCUIT_BREAKER
    assert "unchanged tree abc" in decision.reason
    assert decide_restart(graph, state(tree_sha="new"), "check", TIMEOUT).ruling is RestartRuling.ALLOWED


def test_max_restarts_ends_what_the_breaker_does_not() -> None:
    graph = graph_of("graph [max_restarts=2, loop_restart_signature_limit=99] work")
    assert decide_restart(graph, state(restart_count=1), "check", TIMEOUT).ruling is RestartRuling.ALLOWED
    decision = decide_restart(graph, state(restart_count=2), "check", TIMEOUT)
    assert decision.ruling is RestartRuling.MAX_RESTARTS
    assert "max_restarts=2" in decision.reason


def test_a_success_may_restart_without_a_signature_but_not_for_ever() -> None:
    graph = graph_of("graph [max_restarts=1] work")
    assert decide_restart(graph, state(), "check", Outcome(Status.SUCCESS)).signature == ""
    limited = decide_restart(graph, state(restart_count=1), "check", Outcome(Status.SUCCESS))
    assert limited.ruling is RestartRuling.MAX_RESTARTS


def test_the_restarted_state_begins_anew_and_remembers_what_it_must() -> None:
    graph = graph_of('graph [loop_restart_persist_keys="plan, absent"] work')
    before = state(sequence=7, commit_sha="abc", completed_nodes=["start", "work"], restart_count=1)
    before.context |= {"plan": "B", "scratch": "x"}
    decision = decide_restart(graph, before, "check", TIMEOUT)
    after = restarted_state(graph, before, "work", decision, {"graph.goal": "g"})
    assert (after.sequence, after.commit_sha, after.restart_count, after.next_node) == (7, "abc", 2, "work")
    assert after.completed_nodes == []
    assert after.context == {"graph.goal": "g", "plan": "B"}
    assert after.restart_signatures == {decision.signature: 1}
