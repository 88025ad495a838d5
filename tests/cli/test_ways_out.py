"""The order `explain` tells is the order the engine takes: asked for every outcome, one way out after the other."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.cli.ways_out import RouteKind, WayOut, ways_out
from attractor.contracts import FailureClass, Outcome, StageRun, Status
from attractor.engine import choose_route
from attractor.graph import Graph, Node, fidelity_along, load_graph_text
from attractor.handlers.agent_sessions import fidelity_of

SUCCESS = Outcome(Status.SUCCESS)
FAIL = Outcome(Status.FAIL, failure_reason="no", failure_class=FailureClass.DETERMINISTIC)

EDGES = st.lists(
    st.tuples(
        st.sampled_from(["b", "c", "gate", "join", "a"]),
        st.integers(-1, 2),
        st.sampled_from(["", "", "outcome=success", "outcome=fail", "context.x=1", "context.x=2"]),
    ),
    max_size=6,
)
JUMPS = st.sampled_from(["", "retry_target=c", "fallback_retry_target=b", "retry_target=gone, fallback_retry_target=c"])


def _graph(shape: str, jump: str, edges: list[tuple[str, int, str]]) -> Graph:
    lines = [f'a -> {to} [weight={weight}, condition="{condition}"]' for to, weight, condition in edges]
    nodes = f"a [shape={shape}, {jump}] b c gate [shape=diamond] join [shape=tripleoctagon]"
    graph, problems = load_graph_text(f"digraph {{ {nodes}\n" + "\n".join([*lines, "b -> join c -> join"]) + "}", "g")
    assert graph is not None
    assert problems == ()
    return graph


def _may_be_taken(way: WayOut, outcome: Outcome) -> bool:
    condition = way.edge.condition if way.edge is not None else None
    holds = condition is None or condition.evaluate(outcome.status.value, "", {"x": "1"})
    return holds and (way.on_success if outcome.status.is_success else way.on_failure)


@given(st.sampled_from(["box", "component", "diamond"]), JUMPS, EDGES, st.sampled_from([SUCCESS, FAIL]))
@settings(max_examples=300, deadline=None)
def test_the_engine_takes_the_first_way_that_may_be_taken(
    shape: str, jump: str, edges: list[tuple[str, int, str]], outcome: Outcome
) -> None:
    graph = _graph(shape, jump, edges)
    told = [
        (way.target_id, way.edge.index if way.edge else None)
        for way in ways_out(graph, graph.nodes["a"])
        if way.kind is not RouteKind.BRANCH and _may_be_taken(way, outcome)
    ]
    taken = choose_route(graph, graph.nodes["a"], outcome, {"x": "1"})
    expected = (taken.target_id, taken.edge.index if taken.edge else None) if taken else None
    assert (told[0] if told else None) == expected


@given(EDGES)
@settings(max_examples=100, deadline=None)
def test_with_its_first_way_gone_the_engine_takes_the_second_and_so_on(edges: list[tuple[str, int, str]]) -> None:
    graph = _graph("box", "", edges)
    ways = [way for way in ways_out(graph, graph.nodes["a"]) if _may_be_taken(way, SUCCESS)]
    for way in ways:
        taken = choose_route(graph, graph.nodes["a"], SUCCESS, {"x": "1"})
        assert taken is not None
        assert taken.edge is way.edge
        graph = replace(graph, edges=tuple(edge for edge in graph.edges if edge is not way.edge))


def test_a_failure_that_can_jump_takes_no_edge_without_condition() -> None:
    for jump, on_failure in (("", True), ("retry_target=c", False)):
        (way,) = [way for way in ways_out(*_of_a(jump)) if way.kind is RouteKind.UNCONDITIONAL]
        assert (way.target_id, way.on_failure) == ("gate", on_failure)


def _of_a(jump: str) -> tuple[Graph, Node]:
    graph = _graph("box", jump, [("gate", 0, "")])
    return graph, graph.nodes["a"]


@pytest.mark.parametrize(
    ("attributes", "edge", "expected"),
    [
        ("fidelity=truncate", "fidelity=full", ("full", "edge")),
        ("fidelity=truncate", "", ("truncate", "node")),
        ("", "", ("summary:low", "graph")),
    ],
)
def test_fidelity_is_the_edge_s_then_the_node_s_then_the_graph_s(
    attributes: str, edge: str, expected: tuple[str, str]
) -> None:
    text = f'digraph {{ default_fidelity="summary:low" a b [{attributes}] a -> b [{edge}] }}'
    graph, _ = load_graph_text(text, "g")
    assert graph is not None
    assert fidelity_along(graph, graph.nodes["b"], graph.edges[0]) == expected


@pytest.mark.parametrize("edge", ["", "fidelity=full"])
@pytest.mark.parametrize("node", ["", "fidelity=truncate"])
@pytest.mark.parametrize("whole", ["", "default_fidelity=compact", "default_fidelity=full"])
def test_an_agent_is_given_the_fidelity_that_is_told(edge: str, node: str, whole: str) -> None:
    graph, _ = load_graph_text(f"digraph {{ {whole} a b [{node}] a -> b [{edge}] }}", "g")
    assert graph is not None
    stage = SimpleNamespace(incoming=graph.edges[0], node=graph.nodes["b"], graph=graph)
    assert fidelity_along(graph, graph.nodes["b"], graph.edges[0])[0] == fidelity_of(cast(StageRun, stage))
