"""A transform: every tool node has a time limit, its own or the graph's `example.tool_timeout`."""

from __future__ import annotations

from dataclasses import replace

from attractor import Graph


def time_limits(graph: Graph) -> Graph:
    """A graph that says nothing about `example.tool_timeout` comes back as it was."""
    limit = graph.text("example.tool_timeout")
    if not limit:
        return graph
    changed = {
        node.id: node.with_text("timeout", limit, by="example.time_limits")
        for node in graph.nodes.values()
        if node.handler_type == "tool" and not node.text("timeout")
    }
    return replace(graph, nodes={**graph.nodes, **changed})
