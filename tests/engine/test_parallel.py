"""Fan-outs as decisions: branches, where they meet, when they are done, which is best (spec 4.8, 4.9)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.contracts import BranchResult, FailureClass, Outcome, Status
from attractor.engine import Rule, all_failed, best_of, branches_of, choose_route, decided, join
from attractor.graph import join_of
from tests.engine.graphs import graph_of

FAN = "fan [shape=component] in [shape=tripleoctagon] "
SUCCESS = Outcome(Status.SUCCESS)
FAILURE = Outcome(Status.FAIL, failure_reason="no", failure_class=FailureClass.DETERMINISTIC)


def good(child: str, **fields: object) -> BranchResult:
    return BranchResult(child, Status.SUCCESS, **fields)  # type: ignore[arg-type]


def bad(child: str, failure_class: FailureClass = FailureClass.DETERMINISTIC, **fields: object) -> BranchResult:
    return BranchResult(child, Status.FAIL, "broken", failure_class, **fields)  # type: ignore[arg-type]


CANCELED = bad("z", FailureClass.CANCELED, canceled=True)


def test_every_edge_is_a_branch_in_file_order_but_those_that_ask_for_the_fan_outs_outcome() -> None:
    graph = graph_of(FAN + 'b a c fan -> b fan -> a fan -> c [condition="outcome=fail"]')
    assert [branch.child for branch in branches_of(graph, "fan", {})] == ["b", "a"]


def test_other_conditions_say_whether_a_branch_runs() -> None:
    graph = graph_of(FAN + 'a b fan -> a [condition="context.deep=yes"] fan -> b')
    assert [branch.child for branch in branches_of(graph, "fan", {"deep": "yes"})] == ["a", "b"]
    assert [branch.child for branch in branches_of(graph, "fan", {})] == ["b"]


def test_two_edges_to_one_node_are_two_branches() -> None:
    graph = graph_of(FAN + "a fan -> a fan -> a a -> in")
    assert [branch.child for branch in branches_of(graph, "fan", {})] == ["a", "a-2"]


@pytest.mark.parametrize(
    ("body", "meeting"),
    [
        (FAN + "a b fan -> a -> in fan -> b -> in in -> exit", "in"),
        # A fan-in behind another one: the first is where they meet.
        (FAN + "a b in2 [shape=tripleoctagon] fan -> a -> in fan -> b -> in in -> in2", "in"),
        # Only one branch leads to `in`: they meet further on.
        (FAN + "a b in2 [shape=tripleoctagon] fan -> a -> in -> in2 fan -> b -> in2", "in2"),
        # No fan-in at all: the first node all lead to.
        ("fan [shape=component] a b c fan -> a -> c fan -> b -> c c -> exit", "c"),
        ("fan [shape=component] a b fan -> a fan -> b", None),
        # Branches straight into the fan-in.
        (FAN + "fan -> in -> exit", "in"),
        # A fan-out within a branch takes its fan-in along, also where both branches have one.
        (
            FAN + "f2 [shape=component] i2 [shape=tripleoctagon] a b c fan -> f2 f2 -> a -> i2 f2 -> b -> i2"
            " i2 -> in fan -> c -> in",
            "in",
        ),
        (FAN + "f2 [shape=component] i2 [shape=tripleoctagon] a fan -> f2 -> a -> i2 -> in", "in"),
        # A loop back out of the branches is no meeting place, nor is what a restart leads to.
        (FAN + "p a b p -> fan fan -> a -> in fan -> b -> in in -> p [loop_restart=true]", "in"),
        (FAN + 'a b fan -> a -> in fan -> b -> in a -> a [condition="outcome=fail"]', "in"),
    ],
)
def test_branches_meet_at_the_nearest_fan_in_they_all_lead_to(body: str, meeting: str | None) -> None:
    assert join_of(graph_of(body), "fan") == meeting


def route(body: str, outcome: Outcome) -> tuple[str, Rule] | None:
    graph = graph_of(body)
    found = choose_route(graph, graph.nodes["fan"], outcome, {})
    return (found.target_id, found.rule) if found else None


def test_behind_a_fan_out_the_way_leads_to_where_the_branches_meet() -> None:
    body = FAN + "a b fan -> a -> in fan -> b -> in"
    assert route(body, SUCCESS) == ("in", Rule.JOIN)
    assert route(body, FAILURE) == ("in", Rule.JOIN), "the fan-in looks at the branches itself"
    plain = "fan [shape=component] a b c fan -> a -> c fan -> b -> c"
    assert route(plain, SUCCESS) == ("c", Rule.JOIN)
    assert route(plain, FAILURE) is None, "a failure does not go on to ordinary work"


def test_a_condition_on_the_outcome_and_a_retry_target_come_first() -> None:
    body = FAN + 'a b mend fan -> a -> in fan -> b -> in fan -> mend [condition="outcome=fail"]'
    assert route(body, FAILURE) == ("mend", Rule.CONDITION)
    assert route(body, SUCCESS) == ("in", Rule.JOIN)
    jump = "fan [shape=component, retry_target=mend] in [shape=tripleoctagon] a mend fan -> a -> in"
    assert route(jump, FAILURE) == ("mend", Rule.RETRY_TARGET)


@pytest.mark.parametrize(
    ("results", "join_policy", "error_policy", "over"),
    [
        ([good("a")], "wait_all", "continue", False),
        ([bad("a")], "wait_all", "continue", False),
        ([good("a")], "first_success", "continue", True),
        ([bad("a")], "first_success", "continue", False),
        ([bad("a")], "wait_all", "fail_fast", True),
        ([bad("a")], "wait_all", "ignore", False),
        ([CANCELED], "wait_all", "fail_fast", False),
    ],
)
def test_what_decides_a_fan_out_early(
    results: list[BranchResult], join_policy: str, error_policy: str, over: bool
) -> None:
    assert decided(results, join_policy, error_policy) is over


@pytest.mark.parametrize(
    ("results", "join_policy", "error_policy", "status"),
    [
        ([good("a"), good("b")], "wait_all", "continue", Status.SUCCESS),
        ([good("a"), bad("b")], "wait_all", "continue", Status.PARTIAL_SUCCESS),
        ([bad("a"), bad("b")], "wait_all", "continue", Status.PARTIAL_SUCCESS),
        ([good("a"), bad("b")], "wait_all", "ignore", Status.SUCCESS),
        ([bad("a"), bad("b")], "wait_all", "ignore", Status.PARTIAL_SUCCESS),
        ([good("a"), bad("b")], "wait_all", "fail_fast", Status.FAIL),
        ([good("a"), CANCELED], "first_success", "continue", Status.SUCCESS),
        ([bad("a"), bad("b")], "first_success", "continue", Status.FAIL),
    ],
)
def test_the_policies_decide_the_outcome(
    results: list[BranchResult], join_policy: str, error_policy: str, status: Status
) -> None:
    assert join(results, join_policy, error_policy).status is status


@pytest.mark.parametrize(
    ("classes", "speaks"),
    [
        ((FailureClass.TRANSIENT_INFRA, FailureClass.DETERMINISTIC), FailureClass.DETERMINISTIC),
        ((FailureClass.TRANSIENT_INFRA, FailureClass.BUDGET_EXHAUSTED), FailureClass.BUDGET_EXHAUSTED),
        ((FailureClass.TRANSIENT_INFRA, FailureClass.TRANSIENT_INFRA), FailureClass.TRANSIENT_INFRA),
        ((FailureClass.STRUCTURAL, FailureClass.COMPILATION_LOOP), FailureClass.STRUCTURAL),
    ],
)
def test_when_all_fail_the_gravest_class_speaks_whatever_the_order(
    classes: tuple[FailureClass, ...], speaks: FailureClass
) -> None:
    results = [bad(f"b{number}", klass) for number, klass in enumerate(classes)]
    for order in (results, results[::-1]):
        outcome = all_failed(order)
        assert outcome.failure_class is speaks
        assert all(f"{result.child}: broken" in outcome.failure_reason for result in results)


def test_the_best_is_the_best_outcome_then_score_then_id() -> None:
    partial = BranchResult("a", Status.PARTIAL_SUCCESS, score=9.0)
    assert best_of([partial, good("c"), good("b"), CANCELED]) == good("b")
    assert best_of([good("b"), good("c", score=0.5)]) == good("c", score=0.5)
    assert best_of([CANCELED]) is None


results_strategy = st.lists(
    st.builds(
        BranchResult,
        child=st.sampled_from("abcdef"),
        status=st.sampled_from(Status),
        failure_reason=st.text(max_size=5),
        failure_class=st.one_of(st.none(), st.sampled_from(FailureClass)),
        canceled=st.booleans(),
        notes=st.text(max_size=5),
        score=st.floats(-5, 5),
        nodes=st.lists(st.sampled_from("xyz"), max_size=3).map(tuple),
        tokens=st.integers(0, 99),
    ),
    max_size=6,
)


@given(results_strategy)
def test_results_come_back_from_json_as_they_were(results: list[BranchResult]) -> None:
    assert [BranchResult.from_json(result.to_json()) for result in results] == results


@given(results_strategy, st.randoms())
def test_no_order_of_arrival_changes_the_choice(results: list[BranchResult], random: object) -> None:
    shuffled = list(results)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    before, after = best_of(results), best_of(shuffled)
    assert (before is None) == (after is None)
    if before and after:
        assert (before.status, before.score, before.child) == (after.status, after.score, after.child)
