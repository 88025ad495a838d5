"""Scopes, defaults, chains and classes: how statements become nodes and edges (spec 2.9 - 2.12)."""

import pytest

from attractor.graph import Graph, derived_class, load_graph_text


def _graph(body: str) -> Graph:
    graph, problems = load_graph_text(f"digraph G {{ {body} }}", "g.dot")
    assert graph is not None
    assert problems == ()
    return graph


@pytest.mark.spec("11.1.2", "11.12.2")
def test_a_graph_s_own_attributes_come_from_its_block_and_from_statements() -> None:
    graph = _graph('graph [goal="make it", model_stylesheet="* { llm_model: m }"] label=Whole; n')
    assert (graph.goal, graph.label, graph.text("model_stylesheet")) == ("make it", "Whole", "* { llm_model: m }")


@pytest.mark.spec("11.1.4")
def test_an_edge_has_its_label_condition_and_weight() -> None:
    (edge,) = _graph('a b; a -> b [label="To b", condition="outcome=success", weight=7]').edges
    assert (edge.label, edge.condition_text, edge.weight) == ("To b", "outcome=success", 7)
    assert edge.condition is not None


@pytest.mark.spec("11.1.7")
def test_what_stands_in_subgraphs_is_the_graph_s() -> None:
    graph = _graph("subgraph s { a; subgraph cluster_t { b; a -> b } } c; b -> c")
    assert list(graph.nodes) == ["a", "b", "c"]
    assert [(edge.source_id, edge.target_id) for edge in graph.edges] == [("a", "b"), ("b", "c")]


@pytest.mark.spec("11.1.5")
def test_a_chain_is_one_edge_for_each_pair_with_the_same_attributes() -> None:
    edges = _graph("a b c; a -> b -> c [label=next]").edges
    assert [(edge.source_id, edge.target_id, edge.label, edge.index) for edge in edges] == [
        ("a", "b", "next", 0),
        ("b", "c", "next", 1),
    ]


@pytest.mark.spec("11.1.6")
def test_defaults_reach_what_is_declared_after_them() -> None:
    graph = _graph("early; node [timeout=15m]; late; own [timeout=1s]")
    timeouts = [node.timeout_seconds for node in graph.nodes.values()]
    assert timeouts == [None, 900.0, 1.0]


def test_defaults_of_a_subgraph_stay_inside_it() -> None:
    graph = _graph("node [class=outer]; subgraph s { node [thread_id=t]; inside } outside")
    assert graph.nodes["inside"].thread_id == "t"
    assert graph.nodes["inside"].classes == ("outer",)
    assert graph.nodes["outside"].thread_id == ""


def test_edge_defaults_of_a_subgraph_stay_inside_it() -> None:
    graph = _graph("a b; subgraph s { edge [weight=3]; a -> b } b -> a")
    assert [edge.weight for edge in graph.edges] == [3, 0]


@pytest.mark.spec("11.1.6")
def test_edge_defaults_are_overridden_by_the_edge() -> None:
    graph = _graph("a b; edge [weight=2]; a -> b; b -> a [weight=5]")
    assert [edge.weight for edge in graph.edges] == [2, 5]


@pytest.mark.parametrize(
    ("label", "name"), [("Loop A", "loop-a"), ("Über (2)!", "ber-2"), ("a-b", "a-b"), ("!", ""), ("", "")]
)
def test_a_subgraph_s_label_becomes_a_class(label: str, name: str) -> None:
    assert derived_class(label) == name


def test_classes_come_from_the_attribute_and_all_subgraphs_around() -> None:
    graph = _graph('subgraph a { label="Outer One"; subgraph b { n [class="x, y"]; graph [label=Inner] } }')
    assert graph.nodes["n"].classes == ("x", "y", "outer-one", "inner")
    assert graph.nodes["n"].subgraph_classes == ("outer-one", "inner")


def test_a_subgraph_s_own_attributes_do_not_reach_the_graph() -> None:
    assert _graph('label=Whole; subgraph s { label=Part; goal="no" }').label == "Whole"


def test_a_node_declared_again_gains_attributes_and_keeps_its_place() -> None:
    graph = _graph("a [label=x]; b; a [prompt=y]")
    assert list(graph.nodes) == ["a", "b"]
    assert (graph.nodes["a"].label, graph.nodes["a"].prompt) == ("x", "y")


def test_a_second_value_wins_and_is_warned_about() -> None:
    graph, (warning,) = load_graph_text("digraph { a [label=x]; a [label=y] }", "g.dot")
    assert graph is not None
    assert graph.nodes["a"].label == "y"
    assert (warning.rule, warning.severity, warning.node_id) == ("attribute_conflict", "warning", "a")
    assert warning.span is not None
    assert warning.span.text == "label=y"


def test_the_same_value_twice_is_no_conflict() -> None:
    _graph("a [label=x]; a [label=x]; goal=g; goal=g")


def test_overriding_a_default_is_no_conflict() -> None:
    _graph("node [shape=box]; a [shape=hexagon]; node [shape=diamond]; b")


def test_an_edge_declares_no_nodes() -> None:
    assert list(_graph("a; a -> b").nodes) == ["a"]
