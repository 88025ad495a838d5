"""The ways out of a node in the order in which routing looks at them (spec 3.3).

Rules kept here:
- This is about the graph alone. Which way is taken is decided by the engine, with an outcome in hand; a test holds
  that both agree, for every way and every outcome.
- A failure takes a matching condition, then a jump, then an edge without condition into a conditional node, and no
  other.

Must not know: outcomes, runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from attractor.graph import FAN_IN, FAN_OUT, Edge, Graph, Node, asks_for_outcome, branch_edges, join_of

__all__ = ["RouteKind", "WayOut", "ways_out"]


class RouteKind(StrEnum):
    """How a way out is come by. BRANCH: a fan-out runs it beside the others; JOIN: where they meet."""

    CONDITION = "condition"
    BRANCH = "branch"
    JOIN = "join"
    UNCONDITIONAL = "unconditional"
    RETRY_TARGET = "retry_target"
    FALLBACK_RETRY_TARGET = "fallback_retry_target"


@dataclass(frozen=True, slots=True)
class WayOut:
    """An edge, or a way that is none: then `edge` is None. `on_success`, `on_failure`: after what it may be taken."""

    kind: RouteKind
    target_id: str
    edge: Edge | None
    on_success: bool
    on_failure: bool


def ways_out(graph: Graph, node: Node) -> tuple[WayOut, ...]:
    """All ways out of a node, those that are looked at first in front.

    Raises GraphError for a condition or a weight that cannot be read.
    """
    if node.handler_type == FAN_OUT:
        return _out_of_fan_out(graph, node)
    edges = sorted(graph.outgoing(node.id), key=_rank)
    jumps = _jumps(graph, node)
    return (
        *(_by_condition(edge) for edge in edges if edge.condition is not None),
        *jumps,
        *(
            WayOut(RouteKind.UNCONDITIONAL, edge.target_id, edge, True, _is_conditional(graph, edge) and not jumps)
            for edge in edges
            if edge.condition is None
        ),
    )


def _out_of_fan_out(graph: Graph, node: Node) -> tuple[WayOut, ...]:
    """The branches, and behind them the ways onward."""
    onward = sorted((edge for edge in graph.outgoing(node.id) if asks_for_outcome(edge)), key=_rank)
    jumps = _jumps(graph, node)
    meeting = join_of(graph, node.id)
    joins = []
    if meeting is not None:
        after_failure = graph.nodes[meeting].handler_type == FAN_IN and not jumps
        joins.append(WayOut(RouteKind.JOIN, meeting, None, True, after_failure))
    return (
        *(WayOut(RouteKind.BRANCH, edge.target_id, edge, True, True) for edge in branch_edges(graph, node.id)),
        *(_by_condition(edge) for edge in onward),
        *jumps,
        *joins,
    )


def _by_condition(edge: Edge) -> WayOut:
    return WayOut(RouteKind.CONDITION, edge.target_id, edge, True, True)


def _rank(edge: Edge) -> tuple[int, str, int]:
    return -edge.weight, edge.target_id, edge.index


def _jumps(graph: Graph, node: Node) -> list[WayOut]:
    named = (
        (RouteKind.RETRY_TARGET, node.retry_target),
        (RouteKind.FALLBACK_RETRY_TARGET, node.fallback_retry_target),
    )
    return [WayOut(kind, target, None, False, True) for kind, target in named if target in graph.nodes][:1]


def _is_conditional(graph: Graph, edge: Edge) -> bool:
    target = graph.nodes.get(edge.target_id)
    return target is not None and target.handler_type == "conditional"
