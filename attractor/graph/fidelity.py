"""What a node is given of what went before, and which session it goes on with (spec 5.4). Pure."""

from enum import StrEnum

from attractor.graph.model import Edge, Graph, Node

__all__ = ["DEFAULT_FIDELITY", "FULL", "FidelitySource", "ThreadSource", "fidelity_along", "thread_along", "uses_full"]

DEFAULT_FIDELITY = "compact"
FULL = "full"


class FidelitySource(StrEnum):
    EDGE = "edge"
    NODE = "node"
    GRAPH = "graph"
    DEFAULT = "default"


class ThreadSource(StrEnum):
    NODE = "node"
    EDGE = "edge"
    GRAPH = "graph"
    SUBGRAPH = "subgraph"
    PREVIOUS_NODE = "previous node"


def fidelity_along(graph: Graph, target: Node, edge: Edge | None) -> tuple[str, FidelitySource]:
    """How much of the context a node gets that is come to along an edge (spec 5.4)."""
    if edge is not None and edge.fidelity:
        return edge.fidelity, FidelitySource.EDGE
    if target.fidelity:
        return target.fidelity, FidelitySource.NODE
    if graph.default_fidelity:
        return graph.default_fidelity, FidelitySource.GRAPH
    return DEFAULT_FIDELITY, FidelitySource.DEFAULT


def thread_along(graph: Graph, source_id: str, target: Node, edge: Edge | None) -> tuple[str, ThreadSource]:
    """The session a node shares under full fidelity (spec 5.4)."""
    if target.thread_id:
        return target.thread_id, ThreadSource.NODE
    if edge is not None and edge.thread_id:
        return edge.thread_id, ThreadSource.EDGE
    if graph.text("thread_id"):
        return graph.text("thread_id"), ThreadSource.GRAPH
    if target.subgraph_classes:
        return target.subgraph_classes[-1], ThreadSource.SUBGRAPH
    return source_id, ThreadSource.PREVIOUS_NODE


def uses_full(graph: Graph) -> bool:
    """Whether any node may go on with another's session."""
    return (
        graph.default_fidelity == FULL
        or any(node.fidelity == FULL for node in graph.nodes.values())
        or any(edge.fidelity == FULL for edge in graph.edges)
    )
