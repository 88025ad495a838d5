"""Which way the run goes after a node (spec 3.3, 3.4, 3.7, DESIGN 3). Pure.

The same values always give the same route: resume relies on it, since a checkpoint records what has
finished and not where to go next.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from attractor.contracts import Outcome, Status
from attractor.graph import FAN_IN, FAN_OUT, Edge, Graph, Node, asks_for_outcome, join_of


class Rule(StrEnum):
    """Why a route was taken; written into `edge_selected`."""

    CONDITION = "condition"
    PREFERRED_LABEL = "preferred_label"
    SUGGESTED_ID = "suggested_id"
    WEIGHT = "weight"
    LEXICAL = "lexical"
    ONLY_EDGE = "only_edge"
    RETRY_TARGET = "retry_target"
    FALLBACK_RETRY_TARGET = "fallback_retry_target"
    GOAL_GATE = "goal_gate"
    JOIN = "join"


@dataclass(frozen=True, slots=True)
class Route:
    """The way onward. `edge` is None for a jump (retry target, goal gate)."""

    target_id: str
    rule: Rule
    edge: Edge | None = None

    @property
    def loop_restart(self) -> bool:
        return self.edge is not None and self.edge.loop_restart


def choose_route(graph: Graph, node: Node, outcome: Outcome, context: Mapping[str, Any]) -> Route | None:
    """The next hop, or None where the run ends here.

    A success takes the five steps of spec 3.3. A failure takes, in this order: a matching condition,
    the node's `retry_target`, its `fallback_retry_target`, and an unconditional edge into a
    conditional node (which exists to look at outcomes). It never follows an unconditional edge to
    ordinary work or to the exit: that would turn a failure into a success.

    Behind a fan-out its branches have been taken already: its way onward is where they meet. Its failure goes there
    too where that is a fan-in, which looks at the branches itself.
    """
    edges = graph.outgoing(node.id)
    if node.handler_type == FAN_OUT:
        edges = tuple(edge for edge in edges if asks_for_outcome(edge))
    matching = [edge for edge in edges if edge.condition is not None and _holds(edge, outcome, context)]
    if matching:
        return Route(best_edge(matching).target_id, Rule.CONDITION, best_edge(matching))
    if node.handler_type == FAN_OUT:
        return _behind_fan_out(graph, node, outcome)
    unconditional = [edge for edge in edges if edge.condition is None]
    if outcome.status.is_success:
        return _unconditional_route(unconditional, outcome)
    jump = retry_jump(graph, node)
    if jump is not None:
        return jump
    return _unconditional_route([e for e in unconditional if _is_conditional(graph, e.target_id)], outcome)


def _behind_fan_out(graph: Graph, node: Node, outcome: Outcome) -> Route | None:
    meeting = join_of(graph, node.id)
    if not outcome.status.is_success:
        jump = retry_jump(graph, node)
        if jump is not None or meeting is None or graph.nodes[meeting].handler_type != FAN_IN:
            return jump
    return Route(meeting, Rule.JOIN) if meeting is not None else None


def _holds(edge: Edge, outcome: Outcome, context: Mapping[str, Any]) -> bool:
    assert edge.condition is not None
    return edge.condition.evaluate(outcome.status.value, outcome.preferred_label, context)


def _unconditional_route(edges: list[Edge], outcome: Outcome) -> Route | None:
    if not edges:
        return None
    if outcome.preferred_label:
        wanted = normalize_label(outcome.preferred_label)
        for edge in edges:
            if edge.label and normalize_label(edge.label) == wanted:
                return Route(edge.target_id, Rule.PREFERRED_LABEL, edge)
    for suggested_id in outcome.suggested_next_ids:
        for edge in edges:
            if edge.target_id == suggested_id:
                return Route(edge.target_id, Rule.SUGGESTED_ID, edge)
    best = best_edge(edges)
    return Route(best.target_id, _tiebreak_rule(edges, best), best)


def _tiebreak_rule(edges: list[Edge], best: Edge) -> Rule:
    if len(edges) == 1:
        return Rule.ONLY_EDGE
    tied = sum(edge.weight == best.weight for edge in edges)
    return Rule.WEIGHT if tied == 1 else Rule.LEXICAL


def best_edge(edges: Iterable[Edge]) -> Edge:
    """Highest weight, then the target id that sorts first, then file order."""
    return min(edges, key=lambda edge: (-edge.weight, edge.target_id, edge.index))


def retry_jump(graph: Graph, node: Node) -> Route | None:
    """The node's own `retry_target`, else its `fallback_retry_target`, where they name a node."""
    for target_id, rule in (
        (node.retry_target, Rule.RETRY_TARGET),
        (node.fallback_retry_target, Rule.FALLBACK_RETRY_TARGET),
    ):
        if target_id and target_id in graph.nodes:
            return Route(target_id, rule)
    return None


def _is_conditional(graph: Graph, node_id: str) -> bool:
    return graph.nodes[node_id].handler_type == "conditional"


_ACCELERATOR = re.compile(r"^\s*(?:\[\w+\]\s*|\w\)\s*|\w\s+-\s+)")


def normalize_label(label: str) -> str:
    """Lower case, trimmed, without an accelerator such as `[Y] `, `Y) ` or `Y - ` (spec 3.3)."""
    return _ACCELERATOR.sub("", label, count=1).strip().lower()


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the exit finds: `failed_gate` is None when the run may end; `route` is the way back, if any."""

    failed_gate: str | None = None
    route: Route | None = None


def check_goal_gates(graph: Graph, outcomes: Mapping[str, Outcome]) -> GateVerdict:
    """Whether the exit may be passed (spec 3.4). Gates never visited do not count.

    The way back is looked for on the gate's node first, then on the graph.
    """
    for node_id, outcome in outcomes.items():
        node = graph.nodes.get(node_id)
        if node is None or not node.goal_gate or outcome.status in (Status.SUCCESS, Status.PARTIAL_SUCCESS):
            continue
        candidates = (
            node.retry_target,
            node.fallback_retry_target,
            graph.retry_target,
            graph.fallback_retry_target,
        )
        target = next((c for c in candidates if c and c in graph.nodes), None)
        return GateVerdict(node_id, Route(target, Rule.GOAL_GATE) if target else None)
    return GateVerdict()
