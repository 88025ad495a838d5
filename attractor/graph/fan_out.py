"""What a fan-out's branches are, and where they meet. Pure.

Where spec 4.8 is silent: a branch ends at the nearest fan-in that all branches lead to (fan-ins of fan-outs in between
not counted), without one at the nearest node they all lead to. Edges whose condition asks for the fan-out's own
outcome are ways onward behind it, not branches; other conditions say whether a branch runs at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from attractor.graph.model import Edge, Graph

FAN_OUT: Final = "parallel"
FAN_IN: Final = "parallel.fan_in"
_OWN_KEYS: Final = frozenset({"outcome", "preferred_label"})


def branch_edges(graph: Graph, node_id: str) -> list[Edge]:
    """The edges that are branches, in file order, whatever their conditions say."""
    return [edge for edge in graph.outgoing(node_id) if not asks_for_outcome(edge)]


def asks_for_outcome(edge: Edge) -> bool:
    """Whether an edge out of a fan-out is a way onward behind it."""
    return edge.condition is not None and any(clause.key in _OWN_KEYS for clause in edge.condition.clauses)


def join_of(graph: Graph, node_id: str) -> str | None:
    """Where the branches of a fan-out meet; None where they never do."""
    targets = list(dict.fromkeys(edge.target_id for edge in branch_edges(graph, node_id)))
    return _nearest(graph, targets, fan_ins_only=True) or _nearest(graph, targets, fan_ins_only=False)


def _nearest(graph: Graph, targets: Sequence[str], *, fan_ins_only: bool) -> str | None:
    """The node that all branches reach after the fewest steps of the slowest; of equals the first by id.

    All branches go on by one step at a time, so no more of the graph is looked at than lies before that node.
    """
    walks = [_steps(graph, target, fan_ins_only=fan_ins_only) for target in targets]
    reached: Counter[str] = Counter()
    while walks:
        fronts = [next(walk, None) for walk in walks]
        if all(front is None for front in fronts):
            return None
        for front in fronts:
            reached.update(front or ())
        common = [node_id for front in fronts for node_id in front or () if reached[node_id] == len(walks)]
        if common:
            return min(common)
    return None


def _steps(graph: Graph, target: str, *, fan_ins_only: bool) -> Iterator[list[str]]:
    """The nodes a branch may end before, by distance from its first node, each once.

    A fan-out on the way takes its fan-in along: that is where its own branches end.
    """
    found: set[str] = set()
    passed: set[str] = set()
    front = [(target, 0)]
    seen = set(front)
    while front:
        ends, following = [], []
        for node_id, depth in front:
            node = graph.nodes.get(node_id)
            if node is None:
                continue
            handler = node.handler_type
            if depth == 0 and (handler == FAN_IN or not fan_ins_only) and node_id not in found:
                found.add(node_id)
                ends.append(node_id)
            if handler == FAN_OUT:
                passed.add(node_id)
            # A way back into a fan-out goes no deeper than the first time, or a retry loop would never end.
            inside = min(len(passed), max(0, depth + (handler == FAN_OUT) - (handler == FAN_IN))) if fan_ins_only else 0
            for edge in graph.outgoing(node_id):
                state = (edge.target_id, inside)
                if not edge.loop_restart and state not in seen:
                    seen.add(state)
                    following.append(state)
        yield ends
        front = following
