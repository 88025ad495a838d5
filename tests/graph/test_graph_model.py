"""What the engine asks a graph: roles, typed values, neighbours."""

import pytest

from attractor.errors import GraphError
from attractor.graph import SHAPE_TO_HANDLER_TYPE, Graph, load_graph_text


def _graph(body: str) -> Graph:
    graph, _ = load_graph_text(f"digraph G {{ {body} }}", "g.dot")
    assert graph is not None
    return graph


@pytest.mark.spec("11.3.2")
@pytest.mark.parametrize(("shape", "handler_type"), SHAPE_TO_HANDLER_TYPE.items())
def test_each_shape_of_the_spec_has_its_handler(shape: str, handler_type: str) -> None:
    assert _graph(f"n [shape={shape}]").nodes["n"].handler_type == handler_type


@pytest.mark.spec("11.3.2")
def test_the_shape_table_is_the_spec_s() -> None:
    assert SHAPE_TO_HANDLER_TYPE == {
        "Mdiamond": "start",
        "Msquare": "exit",
        "box": "codergen",
        "hexagon": "wait.human",
        "diamond": "conditional",
        "component": "parallel",
        "tripleoctagon": "parallel.fan_in",
        "parallelogram": "tool",
        "house": "stack.manager_loop",
    }


@pytest.mark.parametrize(
    ("body", "handler_type"),
    [
        ("n", "codergen"),
        ("n [shape=ellipse]", "codergen"),
        ("n [shape=box, type=tool]", "tool"),
        ("n [type=custom]", "custom"),
    ],
)
def test_type_wins_over_shape_and_codergen_is_the_rest(body: str, handler_type: str) -> None:
    assert _graph(body).nodes["n"].handler_type == handler_type


@pytest.mark.spec("11.2.1", "11.2.2")
@pytest.mark.parametrize(
    ("body", "start", "exit_"),
    [
        ("s [shape=Mdiamond] e [shape=Msquare]", "s", "e"),
        ("start exit", "start", "exit"),
        ("node [shape=box] Start end", "Start", "end"),
        ("start end x [shape=Mdiamond] y [shape=Msquare]", "x", "y"),
    ],
)
def test_ends_are_found_by_shape_and_else_by_id(body: str, start: str, exit_: str) -> None:
    graph = _graph(body)
    assert (graph.start_node.id, graph.exit_node.id) == (start, exit_)
    assert graph.nodes[start].handler_type == "start"


def test_an_id_counts_for_nothing_beside_a_shape() -> None:
    assert _graph("end [prompt=x] e [shape=Msquare]").nodes["end"].handler_type == "codergen"


@pytest.mark.parametrize("body", ["", "a [shape=Mdiamond] b [shape=Mdiamond]"])
def test_no_start_and_two_starts_are_errors(body: str) -> None:
    with pytest.raises(GraphError, match="start node"):
        _ = _graph(body).start_node


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("900s", 900), ("15m", 900), ("2h", 7200), ("1d", 86400)]
)
def test_durations_mean_the_same_bare_and_quoted(text: str, seconds: float) -> None:
    graph = _graph(f'a [timeout={text}] b [timeout="{text}"]')
    assert [graph.nodes[name].timeout_seconds for name in "ab"] == [seconds, seconds]


def test_a_value_of_the_wrong_type_raises_with_its_place() -> None:
    with pytest.raises(GraphError) as caught:
        _ = _graph("a [max_retries=many]").nodes["a"].max_retries
    assert caught.value.diagnostics[0].span is not None
    assert caught.value.diagnostics[0].span.text == "many"


def test_absent_and_empty_attributes_give_the_default() -> None:
    node = _graph('a [timeout="", goal_gate=""]').nodes["a"]
    assert (node.timeout_seconds, node.goal_gate, node.max_retries, node.integer("x", 7)) == (
        None,
        False,
        None,
        7,
    )


def test_the_old_name_of_default_max_retries_still_counts() -> None:
    assert _graph("default_max_retry=3").default_max_retries == 3
    assert _graph("default_max_retry=3; default_max_retries=1").default_max_retries == 1


def test_graph_limits_have_their_defaults() -> None:
    graph = _graph("")
    limits = (graph.max_restarts, graph.loop_restart_signature_limit, graph.max_node_visits)
    assert (limits, graph.loop_restart_persist_keys) == ((5, 3, 0), ())


def test_persist_keys_are_a_list() -> None:
    assert _graph('loop_restart_persist_keys="a, b,,c"').loop_restart_persist_keys == ("a", "b", "c")


def test_neighbours_are_in_file_order() -> None:
    graph = _graph("a b c; a -> c; b -> c; a -> b")
    assert [edge.target_id for edge in graph.outgoing("a")] == ["c", "b"]
    assert [edge.source_id for edge in graph.incoming("c")] == ["a", "b"]
    assert graph.outgoing("nobody") == ()


def test_an_edge_with_a_broken_condition_never_counts_as_unconditional() -> None:
    (edge,) = _graph('a b; a -> b [condition="outcome=="]').edges
    with pytest.raises(GraphError, match="condition"):
        _ = edge.condition


def test_nothing_in_a_graph_can_be_replaced() -> None:
    graph = _graph("a")
    with pytest.raises(AttributeError):
        graph.name = "other"  # type: ignore[misc]  # the point of the test
