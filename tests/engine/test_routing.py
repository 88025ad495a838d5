"""Which way a run goes after a node: spec 3.3, 3.4, 3.7."""

import pytest

from attractor.contracts import FailureClass, Outcome, Status
from attractor.engine import Rule, check_goal_gates, choose_route, normalize_label
from tests.engine.graphs import graph_of

SUCCESS = Outcome(Status.SUCCESS)
FAIL = Outcome(Status.FAIL, failure_reason="no", failure_class=FailureClass.DETERMINISTIC)


def route(body: str, outcome: Outcome = SUCCESS, context: dict[str, object] | None = None) -> tuple[str, Rule] | None:
    """Where a run goes from node `a`."""
    graph = graph_of(body)
    found = choose_route(graph, graph.nodes["a"], outcome, context or {})
    return (found.target_id, found.rule) if found else None


def test_the_only_edge_is_taken() -> None:
    assert route("a b a -> b") == ("b", Rule.ONLY_EDGE)


@pytest.mark.spec("11.3.5", "11.12.13")
def test_a_matching_condition_beats_any_weight() -> None:
    body = 'a b c a -> b [weight=100] a -> c [condition="outcome=success"]'
    assert route(body) == ("c", Rule.CONDITION)


@pytest.mark.spec("11.3.5")
def test_a_matching_condition_beats_the_preferred_label_and_suggestions() -> None:
    body = 'a b c d a -> b [condition="outcome=success"] a -> c [label=Go] a -> d'
    assert route(body, Outcome(Status.SUCCESS, preferred_label="Go")) == ("b", Rule.CONDITION)
    assert route(body, Outcome(Status.SUCCESS, suggested_next_ids=("d",))) == ("b", Rule.CONDITION)


@pytest.mark.spec("11.9.7")
def test_an_empty_condition_is_no_obstacle() -> None:
    assert route('a b a -> b [condition=""]') == ("b", Rule.ONLY_EDGE)


def test_a_condition_that_does_not_match_leaves_its_edge_out() -> None:
    body = 'a b c a -> c [condition="outcome=fail", weight=9] a -> b'
    assert route(body) == ("b", Rule.ONLY_EDGE)


def test_among_matching_conditions_weight_decides_then_the_target_id() -> None:
    conditions = 'a b c d a -> d [condition="outcome=success"] a -> c [condition="outcome=success"] a -> b'
    assert route(conditions) == ("c", Rule.CONDITION)
    assert route(conditions.replace("a -> d [", "a -> d [weight=1, ")) == ("d", Rule.CONDITION)


@pytest.mark.spec("11.3.5")
def test_the_preferred_label_beats_suggestions_and_weight() -> None:
    body = 'a b c d a -> b [label="[Y] Yes"] a -> c [weight=5] a -> d'
    outcome = Outcome(Status.SUCCESS, preferred_label="yes", suggested_next_ids=("d",))
    assert route(body, outcome) == ("b", Rule.PREFERRED_LABEL)


@pytest.mark.spec("11.3.5")
def test_a_suggested_node_beats_weight_and_the_first_suggestion_counts() -> None:
    body = "a b c d a -> b [weight=5] a -> c a -> d"
    outcome = Outcome(Status.SUCCESS, suggested_next_ids=("nowhere", "d", "c"))
    assert route(body, outcome) == ("d", Rule.SUGGESTED_ID)


@pytest.mark.spec("11.3.5", "11.12.14", "11.12.15")
def test_then_the_highest_weight_then_the_target_id_in_order() -> None:
    assert route("a b c a -> b a -> c [weight=1]") == ("c", Rule.WEIGHT)
    assert route("a c b a -> c a -> b") == ("b", Rule.LEXICAL)
    assert route("a c b a -> b a -> c") == ("b", Rule.LEXICAL)


def test_conditions_see_the_context() -> None:
    body = 'a b c a -> b [condition="context.color=red"] a -> c'
    assert route(body, context={"color": "red"}) == ("b", Rule.CONDITION)
    assert route(body, context={"color": "blue"}) == ("c", Rule.ONLY_EDGE)


def test_a_failure_takes_its_fail_edge() -> None:
    body = 'a b c a -> b a -> c [condition="outcome=fail"]'
    assert route(body, FAIL) == ("c", Rule.CONDITION)


def test_a_failure_never_follows_an_unconditional_edge_to_work_or_to_the_exit() -> None:
    assert route("a b a -> b", FAIL) is None
    assert route("a a -> exit", FAIL) is None


def test_a_failure_without_a_fail_edge_takes_the_retry_target_then_the_fallback() -> None:
    assert route("a [retry_target=b] b a -> exit", FAIL) == ("b", Rule.RETRY_TARGET)
    assert route("a [retry_target=gone, fallback_retry_target=b] b a -> exit", FAIL) == (
        "b",
        Rule.FALLBACK_RETRY_TARGET,
    )


def test_a_failure_goes_on_into_a_conditional_node_which_exists_to_look_at_it() -> None:
    body = 'a gate [shape=diamond] b a -> gate gate -> b [condition="outcome=fail"]'
    assert route(body, FAIL) == ("gate", Rule.ONLY_EDGE)


def test_no_edge_is_no_route() -> None:
    assert route("a") is None


@pytest.mark.parametrize("label", ["Yes, go", "[Y] Yes, go", "y) yes, GO", "Y - Yes, go ", "  yes, go"])
def test_labels_are_compared_without_case_space_and_accelerator(label: str) -> None:
    assert normalize_label(label) == "yes, go"


def test_a_hyphenated_word_is_not_an_accelerator() -> None:
    assert normalize_label("x-ray") == "x-ray"


@pytest.mark.spec("11.4.2", "11.12.11")
def test_the_exit_opens_when_all_visited_gates_succeeded() -> None:
    graph = graph_of("a [goal_gate=true] b [goal_gate=true]")
    partial = Outcome(Status.PARTIAL_SUCCESS)
    assert check_goal_gates(graph, {"a": SUCCESS, "b": partial}).failed_gate is None
    assert check_goal_gates(graph, {"a": SUCCESS}).failed_gate is None, "a gate never visited does not count"


@pytest.mark.spec("11.4.3")
@pytest.mark.parametrize(
    ("body", "target"),
    [
        ("graph [retry_target=d] a [goal_gate=true, retry_target=b, fallback_retry_target=c] b c d", "b"),
        ("graph [retry_target=d] a [goal_gate=true, fallback_retry_target=c] b c d", "c"),
        ("graph [retry_target=d, fallback_retry_target=b] a [goal_gate=true] b c d", "d"),
        ("graph [fallback_retry_target=b] a [goal_gate=true] b c d", "b"),
    ],
)
def test_an_unsatisfied_gate_sends_the_run_back(body: str, target: str) -> None:
    verdict = check_goal_gates(graph_of(body), {"a": FAIL})
    assert verdict.failed_gate == "a"
    assert verdict.route is not None
    assert verdict.route.target_id == target


@pytest.mark.spec("11.4.4")
def test_an_unsatisfied_gate_without_a_way_back_has_no_route() -> None:
    verdict = check_goal_gates(graph_of("a [goal_gate=true]"), {"a": FAIL})
    assert (verdict.failed_gate, verdict.route) == ("a", None)
