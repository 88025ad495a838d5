"""Building small graphs for tests from DOT text."""

from attractor.graph import Graph
from attractor.lint import validate_text

HEAD = "start [shape=Mdiamond] exit [shape=Msquare] node [shape=parallelogram, tool_command=true]"


def graph_of(body: str) -> Graph:
    """A graph with a start and an exit; `body` adds the rest. Every node without a shape is a tool."""
    graph = validate_text(f"digraph G {{ {HEAD}\n{body} }}", "test.dot").graph
    assert graph is not None
    return graph
