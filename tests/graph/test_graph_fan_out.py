"""Where branches meet, also in graphs whose branches lead back."""

import pytest

from attractor.graph import join_of, load_graph_text


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("edges", "meeting"),
    [
        ("fan -> a; a -> fan", "a"),
        ("fan -> a; fan -> b; a -> fan; b -> fan; a -> join; b -> join", "join"),
        ("fan -> a; fan -> b; a -> inner; inner -> a; inner -> join; b -> join", "join"),
        ("fan -> a; fan -> b; a -> inner; inner -> c; c -> meet; meet -> join; b -> join", "join"),
    ],
)
def test_a_way_back_into_a_fan_out_does_not_go_on_for_ever(edges: str, meeting: str) -> None:
    nodes = "fan [shape=component] inner [shape=component] join [shape=tripleoctagon] meet [shape=tripleoctagon] a b c"
    graph, problems = load_graph_text(f"digraph {{ {nodes} {edges} }}", "g.dot")
    assert graph is not None
    assert problems == ()
    assert join_of(graph, "fan") == meeting
