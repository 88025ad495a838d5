"""Fan-outs and fan-ins as decisions: which branches, where they meet, when they are done, which is best. Pure.

Spec 4.8, 4.9. Where the spec is silent: a branch ends at the nearest fan-in that all branches lead to (fan-ins of
fan-outs in between not counted), without one at the nearest node they all lead to. Edges whose condition asks for the
fan-out's own outcome are ways onward behind it, not branches; other conditions say whether a branch runs at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from attractor.contracts import BranchResult, FailureClass, Outcome, Status
from attractor.graph import Edge, Graph

FAN_OUT: Final = "parallel"
FAN_IN: Final = "parallel.fan_in"
_OWN_KEYS: Final = frozenset({"outcome", "preferred_label"})
_RANK: Final = {Status.SUCCESS: 0, Status.PARTIAL_SUCCESS: 1, Status.SKIPPED: 1, Status.RETRY: 2, Status.FAIL: 3}
# When all branches fail, the class that forbids most speaks for all: a retry would only repeat it.
_GRAVEST: Final = (
    FailureClass.DETERMINISTIC,
    FailureClass.STRUCTURAL,
    FailureClass.COMPILATION_LOOP,
    FailureClass.BUDGET_EXHAUSTED,
    FailureClass.TRANSIENT_INFRA,
    FailureClass.CANCELED,
)


@dataclass(frozen=True, slots=True)
class BranchEdge:
    """A branch of a fan-out. `child` is its name: the target's id, numbered where two edges lead to the same node."""

    child: str
    target_id: str


def branch_edges(graph: Graph, node_id: str) -> list[Edge]:
    """The edges that are branches, in file order, whatever their conditions say."""
    return [edge for edge in graph.outgoing(node_id) if not asks_for_outcome(edge)]


def asks_for_outcome(edge: Edge) -> bool:
    """Whether an edge out of a fan-out is a way onward behind it."""
    return edge.condition is not None and any(clause.key in _OWN_KEYS for clause in edge.condition.clauses)


def branches_of(graph: Graph, node_id: str, context: Mapping[str, Any]) -> list[BranchEdge]:
    """The branches that run with this context, in file order."""
    outcome, label = str(context.get("outcome", "")), str(context.get("preferred_label", ""))
    seen: dict[str, int] = {}
    branches = []
    for edge in branch_edges(graph, node_id):
        if edge.condition is not None and not edge.condition.evaluate(outcome, label, context):
            continue
        count = seen[edge.target_id] = seen.get(edge.target_id, 0) + 1
        branches.append(BranchEdge(f"{edge.target_id}-{count}" if count > 1 else edge.target_id, edge.target_id))
    return branches


def join_of(graph: Graph, node_id: str) -> str | None:
    """Where the branches of a fan-out meet; None where they never do."""
    targets = list(dict.fromkeys(edge.target_id for edge in branch_edges(graph, node_id)))
    fan_ins = [_distances(graph, target, fan_ins_only=True) for target in targets]
    return _nearest(fan_ins) or _nearest([_distances(graph, target, fan_ins_only=False) for target in targets])


def _nearest(reached: Sequence[Mapping[str, int]]) -> str | None:
    """The node reached from everywhere by the shortest longest way."""
    common = set(reached[0]).intersection(*reached[1:]) if reached else set()
    return min(common, key=lambda node_id: (max(ways[node_id] for ways in reached), node_id), default=None)


def _distances(graph: Graph, target: str, *, fan_ins_only: bool) -> dict[str, int]:
    """Steps from a branch's first node to the nodes it may end before. A fan-out in between takes its fan-in along."""
    found: dict[str, int] = {}
    seen = {(target, 0)}
    queue = deque([(target, 0, 0)])
    while queue:
        node_id, depth, steps = queue.popleft()
        handler = graph.nodes[node_id].handler_type
        if depth == 0 and (handler == FAN_IN or not fan_ins_only):
            found.setdefault(node_id, steps)
        if fan_ins_only:
            depth = max(0, depth + (handler == FAN_OUT) - (handler == FAN_IN))
        for edge in graph.outgoing(node_id):
            following = (edge.target_id, depth)
            if not edge.loop_restart and following not in seen:
                seen.add(following)
                queue.append((*following, steps + 1))
    return found


def decided(results: Sequence[BranchResult], join_policy: str, error_policy: str) -> bool:
    """Whether the branches that still run cannot change anything any more."""
    if join_policy == "first_success" and any(_succeeded(result) for result in results):
        return True
    return error_policy == "fail_fast" and any(_failed(result) for result in results)


def join(results: Sequence[BranchResult], join_policy: str, error_policy: str) -> Outcome:
    """The fan-out's own outcome (spec 4.8). `error_policy` ignore: failed branches do not lower it."""
    good = sum(_succeeded(result) for result in results)
    bad = [result for result in results if _failed(result)]
    notes = f"{good} of {len(results)} branches succeeded"
    if join_policy == "first_success":
        return Outcome(Status.SUCCESS, notes=notes) if good else all_failed(bad, notes)
    if not bad or (error_policy == "ignore" and good):
        return Outcome(Status.SUCCESS, notes=notes)
    if error_policy == "fail_fast":
        return all_failed(bad, notes)
    return Outcome(Status.PARTIAL_SUCCESS, notes=notes)


def all_failed(results: Sequence[BranchResult], notes: str = "") -> Outcome:
    """A failure that speaks for all of these: the gravest class, each branch's own words."""
    classes = {result.failure_class for result in results}
    gravest = next((klass for klass in _GRAVEST if klass in classes), FailureClass.DETERMINISTIC)
    reasons = "; ".join(f"{result.child}: {result.failure_reason or 'failed without a reason'}" for result in results)
    reason = f"{len(results)} branches failed: {reasons}" if len(results) != 1 else f"branch {reasons}"
    return Outcome(Status.FAIL, failure_reason=reason, failure_class=gravest, notes=notes)


def best_of(results: Iterable[BranchResult]) -> BranchResult | None:
    """The best candidate by outcome, then score, then id (spec 4.9); None without any that was not canceled."""
    candidates = [result for result in results if not result.canceled]
    return min(candidates, key=lambda result: (_RANK[result.status], -result.score, result.child), default=None)


def _succeeded(result: BranchResult) -> bool:
    return result.status.is_success and not result.canceled


def _failed(result: BranchResult) -> bool:
    return not result.status.is_success and not result.canceled
