"""Attributes say where they come from, and nodes in which subgraphs they stand."""

from dataclasses import fields

import pytest

from attractor.graph import (
    Attribute,
    Defaults,
    Graph,
    GraphAttribute,
    StylesheetRule,
    Transformed,
    load_graph_text,
    stylesheet_offers,
)


def _graph(body: str) -> Graph:
    graph, problems = load_graph_text(f"digraph G {{\n{body}\n}}", "g.dot")
    assert graph is not None
    assert problems == ()
    return graph


def _attribute(graph: Graph, node_id: str, key: str) -> Attribute:
    return graph.nodes[node_id].attributes[key]


def test_what_is_written_on_the_node_has_no_other_origin() -> None:
    attribute = _attribute(_graph("node [x=1] a [x=2]"), "a", "x")
    assert attribute.origin is None
    assert attribute.key_span.place == "g.dot:2:15"


def test_defaults_name_the_subgraph_they_stand_in() -> None:
    graph = _graph("node [x=1]\nsubgraph s {\n  node [y=2]\n  a\n}")
    outer, inner = _attribute(graph, "a", "x").origin, _attribute(graph, "a", "y").origin
    assert isinstance(outer, Defaults)
    assert outer.subgraph is None
    assert isinstance(inner, Defaults)
    assert inner.subgraph is not None
    assert (inner.subgraph.name, inner.subgraph.span.line) == ("s", 3)
    assert _attribute(graph, "a", "y").key_span.place == "g.dot:4:9"


def test_edge_defaults_have_an_origin_too() -> None:
    (edge,) = _graph("a b edge [weight=2] a -> b").edges
    assert isinstance(edge.attributes["weight"].origin, Defaults)


def test_overridden_defaults_are_kept_beside_the_attributes() -> None:
    node = _graph("node [x=1] a [x=2]").nodes["a"]
    assert (node.attributes["x"].text, node.defaults["x"].text) == ("2", "1")


def test_a_stylesheet_value_names_its_rule_and_place() -> None:
    graph = _graph('model_stylesheet="* { llm_model: m } .code { llm_model: n }"\na [class=code]')
    attribute = _attribute(graph, "a", "llm_model")
    assert attribute.origin is not None
    assert isinstance(attribute.origin, StylesheetRule)
    assert (attribute.origin.selector, attribute.origin.kind, attribute.origin.specificity) == (".code", "class", 2)
    assert attribute.span.text == "n"


def test_a_graph_attribute_taken_over_says_so() -> None:
    attribute = _attribute(_graph("llm_model=m\na"), "a", "llm_model")
    assert isinstance(attribute.origin, GraphAttribute)
    assert attribute.key_span.place == "g.dot:2:1"


def test_a_transform_keeps_what_was_there_before() -> None:
    graph = _graph('goal=win\nnode [prompt="get $goal"]\na')
    attribute = _attribute(graph, "a", "prompt")
    assert attribute.text == "get win"
    assert isinstance(attribute.origin, Transformed)
    assert (attribute.origin.transform, attribute.origin.before.text) == ("expand_goal", "get $goal")
    assert isinstance(attribute.origin.before.origin, Defaults)


def test_nodes_know_their_subgraphs_and_those_their_own_attributes() -> None:
    graph = _graph("subgraph o { label=Outer\nsubgraph { rank=same\na } }\nsubgraph p { a }\nb")
    home, other = graph.nodes["a"].subgraphs
    assert [each.name for each in home.outwards()] == ["", "o"]
    assert {key: value.text for key, value in home.attributes.items()} == {"rank": "same"}
    assert (home.parent.label if home.parent else None, home.class_name) == ("Outer", "")
    assert other.name == "p"
    assert graph.nodes["b"].subgraphs == ()


def test_a_subgraph_s_attribute_given_twice_is_no_finding() -> None:
    graph = _graph("subgraph s { label=One; label=Two; a }")
    assert graph.nodes["a"].subgraphs[0].label == "Two"
    assert graph.nodes["a"].classes == ("two",)


@pytest.mark.parametrize(
    ("own", "offers"),
    [("", ["id", "class", "all", "graph"]), ("llm_model=own", ["id", "class", "all", "graph"])],
)
def test_all_offers_are_told_strongest_first(own: str, offers: list[str]) -> None:
    graph = _graph(
        'llm_model=graph model_stylesheet="#a { llm_model: id } * { llm_model: all } .c { llm_model: class }'
        f' .other {{ llm_model: no }}"\na [class=c, {own}]'
    )
    found = stylesheet_offers(graph, graph.nodes["a"])["llm_model"]
    assert [attribute.text for attribute in found] == offers


def test_a_node_with_other_attributes_is_the_same_otherwise() -> None:
    graph = _graph("subgraph s { label=S; node [x=1] start [class=c] }")
    node = graph.nodes["start"]
    changed = node.with_attributes({})
    for field in fields(node):
        assert getattr(changed, field.name) == ({} if field.name == "attributes" else getattr(node, field.name))
