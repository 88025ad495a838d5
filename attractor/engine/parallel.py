"""Fan-outs and fan-ins as decisions: which branches run, when they are done, which is best (spec 4.8, 4.9). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from attractor.contracts import BranchResult, FailureClass, Outcome, Status
from attractor.graph import Graph, branch_edges

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
