"""The heart: from node to node until the run ends (spec 3.2), with one commit point per node (DESIGN 2.4).

Read `RunLoop.run` first: it is the whole engine in one function. Everything it decides is decided by pure
functions (`routing`, `restart`, `failure`, `retry`); everything it does goes through ports.

The order at a commit point is what a crash at any instant relies on: status file, git commit, checkpoint,
event, turns. A node is finished when, and only when, its checkpoint is on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from attractor.contracts import (
    CommitInfo,
    CrashObserver,
    EventName,
    EventSink,
    FailureClass,
    Finished,
    Outcome,
    RunState,
    TurnSink,
    Workspace,
)
from attractor.engine.restart import RestartDecision, RestartRuling, decide_restart, restarted_state
from attractor.engine.routing import Route, check_goal_gates, choose_route
from attractor.engine.stage import Settled, StageRunner, context_changes
from attractor.graph import Edge, Graph, Node
from attractor.rundir import CheckpointStore, Layout


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. `status`: success, fail or canceled; `node_id`: where it failed, '' otherwise."""

    status: str
    reason: str = ""
    failure_class: FailureClass | None = None
    node_id: str = ""


class RestartFolders(Protocol):
    """Makes the folder of a loop restart and turns the event log to it."""

    def enter(self, layout: Layout) -> None: ...


@dataclass(slots=True)
class RunLoop:
    """One run (or one resumed life of it). `state` is changed by it alone.

    `until`: a branch of a fan-out ends before these nodes, as a run ends behind its exit. It, and a child pipeline,
    may not restart the run.
    """

    graph: Graph
    state: RunState
    base: Layout
    stages: StageRunner
    workspace: Workspace
    store: CheckpointStore
    events: EventSink
    turns: TurnSink
    folders: RestartFolders
    observe: CrashObserver
    timestamp: Callable[[], str]
    initial_context: Mapping[str, Any]
    until: frozenset[str] = frozenset()
    may_restart: bool = True
    exit_id: str = field(init=False)
    _incoming: Edge | None = None

    def __post_init__(self) -> None:
        self.exit_id = self.graph.exit_node.id  # looked for among all nodes: once, not once a node

    def run(self) -> Ending:
        """Go on from `state` until the run ends. A failure of the engine's own means (disk, git) raises."""
        try:
            target = self._first_target()
            if isinstance(target, Ending):
                return target
            if spent := self.stages.overspent():  # by the branches beside this one, or by an earlier life
                return Ending("fail", spent, FailureClass.BUDGET_EXHAUSTED, target)
            while True:
                node = self.graph.nodes[target]
                refusal = None if node.id in self.until else self._refuse_visit(node)
                if refusal is not None:
                    return refusal
                if node.id == self.exit_id or node.id in self.until:
                    gates = check_goal_gates(self.graph, self.state.node_outcomes)
                    if gates.failed_gate is not None:
                        if gates.route is None:
                            return self._gate_unsatisfied(gates.failed_gate)
                        target = self._follow(self.state.current_node, gates.route)
                        continue
                    if node.id in self.until:
                        return Ending("success")
                settled = self.stages.settle(node, self.state, self.layout, self._incoming)
                outcome = settled.outcome
                if outcome.failure_class is FailureClass.CANCELED and self.stages.stop.requested:
                    return self._canceled(outcome.failure_reason)
                self._commit_point(node, settled)
                if self.stages.stop.requested:
                    return self._canceled(self.stages.stop.reason)
                spent = self.stages.overspent()
                if spent and node.id != self.exit_id:
                    return Ending("fail", spent, FailureClass.BUDGET_EXHAUSTED, node.id)
                after = self._after(node, outcome)
                if isinstance(after, Ending):
                    return after
                target = after
        finally:
            self.store.close(None)

    @property
    def layout(self) -> Layout:
        """The logs root now in force: the base, or the newest restart's."""
        return self.base.restart(self.state.restart_count)

    def _first_target(self) -> str | Ending:
        """Where to begin: at `next_node`, or behind the last finished node, by the same routing as ever."""
        if self.stages.stop.requested:
            return self._canceled(self.stages.stop.reason)
        if self.state.next_node:
            return self.state.next_node
        last = self.state.current_node
        node, outcome = self.graph.nodes[last], self.state.node_outcomes[last]
        if node.id == self.exit_id:
            return Ending("success")
        return self._after(node, outcome)

    def _after(self, node: Node, outcome: Outcome) -> str | Ending:
        """The node to run after `node`, or how the run ends there."""
        if node.id == self.exit_id:
            return Ending("success")
        route = choose_route(self.graph, node, outcome, self.state.context)
        if route is None:
            return self._dead_end(node, outcome)
        if route.loop_restart:
            ending = self._restart(node, route, outcome)
            return ending if ending is not None else route.target_id
        return self._follow(node.id, route)

    def _dead_end(self, node: Node, outcome: Outcome) -> Ending:
        failed_node = str(self.state.context.get("internal.failed_node") or node.id)
        if outcome.status.is_success:
            # Spec 3.2: a success with nowhere to go ends the run well, unless a goal gate says otherwise.
            gates = check_goal_gates(self.graph, self.state.node_outcomes)
            return self._gate_unsatisfied(gates.failed_gate) if gates.failed_gate else Ending("success")
        reason = f"{failed_node}: {outcome.failure_reason or 'the stage failed without a reason'}"
        return Ending("fail", reason, outcome.failure_class, failed_node)

    def _gate_unsatisfied(self, gate: str) -> Ending:
        status = self.state.node_outcomes[gate].status.value
        reason = f"goal gate {gate} is unsatisfied (outcome {status}) and there is no retry_target to go back to"
        return Ending("fail", reason, FailureClass.DETERMINISTIC, gate)

    def _canceled(self, reason: str) -> Ending:
        return Ending("canceled", reason, FailureClass.CANCELED)

    def _refuse_visit(self, node: Node) -> Ending | None:
        limit = self.graph.max_node_visits if node.max_node_visits is None else node.max_node_visits
        visits = self.state.node_visits.get(node.id, 0)
        if not limit or visits < limit:
            return None
        reason = f"{node.id} was visited {visits} times (max_node_visits={limit}): the run goes in circles"
        return Ending("fail", reason, FailureClass.DETERMINISTIC, node.id)

    def _follow(self, from_id: str, route: Route) -> str:
        edge = self._incoming = route.edge
        self.events.emit(
            EventName.EDGE_SELECTED,
            **{"from": from_id, "to": route.target_id},
            rule=route.rule.value,
            label=(edge.label or None) if edge else None,
            condition=(edge.condition_text or None) if edge else None,
            loop_restart=route.loop_restart or None,
        )
        return route.target_id

    def _commit_point(self, node: Node, settled: Settled) -> None:
        outcome, state = settled.outcome, self.state
        self.observe("status_written")
        sequence = state.sequence + 1
        status = outcome.status.value
        committed = self.workspace.commit(CommitInfo(state.run_id, node.id, status, settled.attempts, sequence))
        if committed.kept:
            self.events.emit(EventName.FOREIGN_WORK_KEPT, node_id=node.id, reference=committed.kept)
        self.observe("committed")
        step = Finished(
            sequence=sequence,
            node_id=node.id,
            outcome=replace(outcome, context_updates={}),
            context_changes=context_changes(node, outcome, settled.attempts - 1),
            retries=settled.attempts - 1,
            commit_sha=committed.sha,
            tree_sha=committed.tree,
            timestamp=self.timestamp(),
        )
        state.apply(step)
        self.store.save(state, step)
        self.observe("checkpoint_saved")
        self.events.emit(EventName.CHECKPOINT_SAVED, **checkpoint_fields(state, self.layout, step))
        self.turns.flush()
        self.observe("turns_sent")

    def _restart(self, node: Node, route: Route, outcome: Outcome) -> Ending | None:
        """Follow a loop_restart edge, or say how the run ends because that is not allowed."""
        if not self.may_restart:
            # The run's next round is not one branch's to begin. The fan-in, or what follows it, may.
            failed_node = str(self.state.context.get("internal.failed_node") or node.id)
            reason = outcome.failure_reason or "its loop_restart edge cannot be followed inside of a branch"
            return Ending("fail", reason, outcome.failure_class or FailureClass.DETERMINISTIC, failed_node)
        decision = decide_restart(self.graph, self.state, node.id, outcome)
        self._tell_signature(node, decision)
        if decision.ruling is not RestartRuling.ALLOWED:
            if decision.ruling is RestartRuling.BLOCKED_BY_CLASS:
                self.events.emit(
                    EventName.LOOP_RESTART_BLOCKED,
                    node_id=node.id,
                    failure_class=decision.failure_class,
                    failure_reason=outcome.failure_reason,
                )
            failed_node = str(self.state.context.get("internal.failed_node") or node.id)
            return Ending("fail", decision.reason, decision.failure_class, failed_node)
        self._follow(node.id, route)
        state = restarted_state(self.graph, self.state, route.target_id, decision, self.initial_context)
        # Before anything else is there: where it cannot be made, the run ends in the folder it is in.
        self.folders.enter(self.base.restart(state.restart_count))
        self.state = state
        self.store.close(None)
        self.store = CheckpointStore(self.layout)
        self.store.save(self.state, None)
        self.observe("restart_saved")
        self.events.emit(EventName.LOOP_RESTART, **{"from": node.id}, **restart_fields(self.state, self.layout))
        self.turns.flush()
        return None

    def _tell_signature(self, node: Node, decision: RestartDecision) -> None:
        if not decision.signature:
            return
        facts = {"signature": decision.signature, "count": decision.count, "limit": decision.limit}
        self.events.emit(EventName.LOOP_RESTART_SIGNATURE, node_id=node.id, **facts)
        if decision.ruling is RestartRuling.CIRCUIT_BREAKER:
            self.events.emit(EventName.LOOP_RESTART_CIRCUIT_BREAKER, node_id=node.id, **facts)


def checkpoint_fields(state: RunState, layout: Layout, step: Finished | None = None) -> dict[str, Any]:
    """The `checkpoint_saved` event of the newest step in `state`. With it the state can be built again from events."""
    return {
        "node_id": state.current_node,
        "status": state.node_outcomes[state.current_node].status.value,
        "sequence": state.sequence,
        "git_commit_sha": state.commit_sha or None,
        "checkpoint_path": str(layout.checkpoint),
        "step": (step or state.newest_step).to_json(),
    }


def restart_fields(state: RunState, layout: Layout) -> dict[str, Any]:
    """The `loop_restart` event of the restart `state` began with."""
    begins_with = {
        "sequence": state.sequence,
        "timestamp": state.timestamp,
        "git_commit_sha": state.commit_sha,
        "git_tree_sha": state.tree_sha,
        "context": dict(state.context),
        "restart_signatures": dict(state.restart_signatures),
    }
    return {
        "to": state.next_node,
        "restart_count": state.restart_count,
        "logs_root": str(layout.root),
        "state": begins_with,
    }
