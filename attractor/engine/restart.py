"""Loop restart: may the run begin again, and what does it begin with (spec 3.2 step 7, DESIGN 2.5). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from attractor.contracts import USAGE_COST, USAGE_TOKENS, FailureClass, Outcome, RunState
from attractor.engine.failure import POLICY, signature
from attractor.graph import Graph


class RestartRuling(Enum):
    """What is decided about one wish to restart."""

    ALLOWED = auto()
    BLOCKED_BY_CLASS = auto()
    CIRCUIT_BREAKER = auto()
    MAX_RESTARTS = auto()


@dataclass(frozen=True, slots=True)
class RestartDecision:
    """The ruling and the facts behind it; `signature` is '' for a restart after a success.

    `counts`: every signature of this failure with how often it has come by now.
    """

    ruling: RestartRuling
    failure_class: FailureClass | None
    signature: str = ""
    count: int = 0
    limit: int = 0
    reason: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


def decide_restart(graph: Graph, state: RunState, node_id: str, outcome: Outcome) -> RestartDecision:
    """Rule on following a `loop_restart` edge out of `node_id`.

    Only a class whose policy allows it may restart after a failure; the same signature at most
    `loop_restart_signature_limit` times; and whatever happens, not more than `max_restarts` times. Messages may
    vary while nothing moves, so the same class on an unchanged tree is a signature, too.
    """
    failure_class = outcome.failure_class
    count, limit, text = 0, graph.loop_restart_signature_limit, ""
    counts: dict[str, int] = {}
    if failure_class is not None:
        if not POLICY[failure_class].loop_restart:
            reason = f"loop_restart blocked: failure_class={failure_class.value}: {outcome.failure_reason}"
            return RestartDecision(RestartRuling.BLOCKED_BY_CLASS, failure_class, reason=reason)
        failed_node = str(state.context.get("internal.failed_node") or node_id)
        text = signature(failed_node, failure_class, outcome.failure_reason)
        signatures = [text]
        if state.tree_sha:
            signatures.append(f"{failed_node}|{failure_class.value}|unchanged tree {state.tree_sha}")
        counts = {each: state.restart_signatures.get(each, 0) + 1 for each in signatures}
        text, count = max(counts.items(), key=lambda item: item[1])  # the first of equals: the message's own
        if count >= limit:
            reason = f"loop_restart circuit breaker: the same failure {count} times (limit {limit}): {text}"
            return RestartDecision(RestartRuling.CIRCUIT_BREAKER, failure_class, text, count, limit, reason, counts)
    if state.restart_count >= graph.max_restarts:
        why = outcome.failure_reason or "the graph asked for another round"
        reason = f"loop_restart limit reached: max_restarts={graph.max_restarts}: {why}"
        return RestartDecision(RestartRuling.MAX_RESTARTS, failure_class, text, count, limit, reason, counts)
    return RestartDecision(RestartRuling.ALLOWED, failure_class, text, count, limit, "", counts)


def restarted_state(
    graph: Graph, state: RunState, target_id: str, decision: RestartDecision, fresh_context: Mapping[str, Any]
) -> RunState:
    """The state the restarted run begins with: nothing completed, a fresh context, the history of signatures kept."""
    # What was spent is the run's, not the round's: a restart must not give a spend limit back.
    keys = (*graph.loop_restart_persist_keys, USAGE_TOKENS, USAGE_COST)
    kept = {key: state.context[key] for key in keys if key in state.context}
    signatures = {**state.restart_signatures, **decision.counts}
    return RunState(
        run_id=state.run_id,
        base_logs_root=state.base_logs_root,
        next_node=target_id,
        sequence=state.sequence,
        restart_count=state.restart_count + 1,
        commit_sha=state.commit_sha,
        tree_sha=state.tree_sha,
        timestamp=state.timestamp,
        context={**fresh_context, **kept},
        restart_signatures=signatures,
    )
