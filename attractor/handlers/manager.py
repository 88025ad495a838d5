"""Manager nodes: a child pipeline, watched, steered and ended (spec 4.11).

The child runs as a branch does: its own worktree, git branch, run directory and CXDB context, below the run's. When it
has succeeded, or when the stop condition holds, its commits are taken over. What the manager sees of it is in the
context under `stack.child.` while the stop condition is asked, and afterwards.
"""

from __future__ import annotations

import select
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from attractor.contracts import (
    USAGE_COST,
    USAGE_TOKENS,
    BranchPlan,
    BranchResult,
    BranchRunner,
    EventName,
    FailureClass,
    Outcome,
    StageRun,
    Status,
    Telemetry,
)
from attractor.graph import Condition, parse_condition
from attractor.handlers.branch_threads import BranchThreads
from attractor.processes import HEARTBEAT_SECONDS

CHILD: Final = "child"
DEFAULT_POLL_SECONDS: Final = 45.0
DEFAULT_MAX_CYCLES: Final = 1000
# Without `wait` among the actions a cycle would follow the other at once.
SHORTEST_CYCLE_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class ManagerHandler:
    """Runs `stack.manager_loop` nodes."""

    runner: BranchRunner
    # What earlier attempts of a visit have used: their contexts are given up, what they cost is not.
    _used: dict[tuple[str, int, int], tuple[int, float]] = field(default_factory=dict)

    def execute(self, stage: StageRun) -> Outcome:
        written = stage.node.text("stack.child_dotfile") or stage.graph.text("stack.child_dotfile")
        if not written:
            return _failed("it has no child pipeline: neither the node nor the graph has stack.child_dotfile")
        if not (stage.worktree / written).resolve().is_relative_to(stage.worktree.resolve()):
            return _failed(f"stack.child_dotfile={written!r} leads out of the repository: name a file in it")
        plan = self._plan(stage, stage.worktree / written)
        kept = self.runner.finished(plan)
        if kept is None and not stage.node.boolean("stack.child_autostart", True):
            return _failed("stack.child_autostart=false, and nobody has started the child pipeline")
        with BranchThreads(self.runner, stage.stop) as threads:
            watch = _Watch(stage, plan, threads)
            result, reason = (kept, "") if kept is not None else watch.run()
        if threads.lost is not None:
            raise threads.lost
        if stage.stop.requested:
            return Outcome(Status.FAIL, failure_reason=stage.stop.reason, failure_class=FailureClass.CANCELED)
        stage.emit(
            EventName.CHILD_COMPLETED,
            node_id=stage.node.id,
            status=result.status,
            failure_reason=result.failure_reason or None,
            failure_class=result.failure_class,
            canceled=result.canceled or None,
            duration_ms=result.duration_ms,
            kept=(kept is not None) or None,
        )
        outcome = watch.judge(result, reason)
        if outcome.status.is_success:
            self._take_over(stage, result)
        return replace(outcome, context_updates={**_facts(result, watch.seen), **self._usage(stage, result)})

    def _usage(self, stage: StageRun, result: BranchResult) -> dict[str, Any]:
        """The run's sums with what the children of all attempts have used."""
        key = stage.node.id, stage.restart_count, stage.visit
        tokens, cost = self._used.get(key, (0, 0.0))
        self._used[key] = tokens, cost = tokens + result.tokens, cost + result.cost_usd
        if not tokens and not cost:
            return {}
        return {
            USAGE_TOKENS: stage.context.get(USAGE_TOKENS, 0) + tokens,
            USAGE_COST: round(stage.context.get(USAGE_COST, 0.0) + cost, 6),
        }

    def _plan(self, stage: StageRun, graph_file: Path) -> BranchPlan:
        pass_name = f"r{stage.restart_count}.{stage.visit}" if stage.restart_count else str(stage.visit)
        return BranchPlan(
            fan=self.runner.fan_path(stage.node.id),
            pass_name=f"{pass_name}-{stage.attempt}" if stage.attempt > 1 else pass_name,
            child=CHILD,
            target_id="",
            until=frozenset(),
            base_sha=stage.commit_sha,
            context=stage.context,
            logs_root=stage.stage_dir.parent,
            graph_file=graph_file,
            folder=stage.node.text("stack.child_workdir"),
        )

    def _take_over(self, stage: StageRun, result: BranchResult) -> None:
        if result.head_sha in ("", result.base_sha):
            return
        head_sha, nodes = self.runner.adopt(result)
        stage.emit(
            EventName.BRANCH_ADOPTED,
            node_id=stage.node.id,
            branch=result.child,
            nodes=list(nodes),
            git_branch=result.branch,
            head_sha=head_sha,
        )


@dataclass(slots=True)
class _Watch:
    """The manager's cycles over one child."""

    stage: StageRun
    plan: BranchPlan
    threads: BranchThreads
    seen: Telemetry = field(default_factory=Telemetry)
    _started: float = field(default_factory=time.monotonic)
    _last_steered: float | None = None
    _result: BranchResult | None = None

    def run(self) -> tuple[BranchResult, str]:
        """The child's end, and why the manager has ended it: '' where it ended by itself."""
        stage, node = self.stage, self.stage.node
        stage.emit(EventName.CHILD_STARTED, node_id=node.id, child=self.plan.child, graph=str(self.plan.graph_file))
        self.threads.start(0, self.plan)
        actions = node.items("manager.actions") or ("observe", "wait")
        pause = node.duration_seconds("manager.poll_interval", DEFAULT_POLL_SECONDS) or 0.0
        pause = max(SHORTEST_CYCLE_SECONDS, pause if "wait" in actions else 0.0)
        condition = parse_condition(node.text("manager.stop_condition"))
        for cycle in range(1, node.integer("manager.max_cycles", DEFAULT_MAX_CYCLES) + 1):
            before, self.seen = self.seen, self.threads.runner.watch(self.plan)
            if "observe" in actions:
                self._tell(cycle)
            if "steer" in actions and cycle > 1 and self.seen.finished == before.finished:
                self._steer(cycle)
            if isinstance(condition, Condition) and condition.evaluate("", "", self._context()):
                return self._end("stop condition satisfied")
            if self._wait(time.monotonic() + pause):
                assert self._result is not None
                self.seen = self.threads.runner.watch(self.plan)
                return self._result, ""
            if stage.stop.requested:
                return self._end(stage.stop.reason)
            if self._left() <= 0:
                return self._end("timeout")
        return self._end("max cycles exceeded")

    def judge(self, result: BranchResult, reason: str) -> Outcome:
        """The manager's outcome by the child's end and the manager's own reason to end it."""
        if not reason or not result.canceled:
            return _of_child(result)
        match reason:
            case "stop condition satisfied":
                return Outcome(Status.SUCCESS, notes="Stop condition satisfied")
            case "timeout":
                why = f"the child pipeline ran out of time after {self.stage.timeout_seconds:g} s"
                return Outcome(Status.FAIL, failure_reason=why, failure_class=FailureClass.TRANSIENT_INFRA)
        at = f" at {self.seen.active_node}" if self.seen.active_node else ""
        cycles = self.stage.node.integer("manager.max_cycles", DEFAULT_MAX_CYCLES)
        return _failed(f"max cycles exceeded: the child pipeline was still{at or ' at work'} after {cycles} cycles")

    def _context(self) -> dict[str, Any]:
        return {**self.stage.context, **_telemetry(self.seen), "stack.child.status": "running"}

    def _tell(self, cycle: int) -> None:
        self.stage.emit(
            EventName.CHILD_OBSERVED,
            node_id=self.stage.node.id,
            cycle=cycle,
            active_node=self.seen.active_node or None,
            finished=len(self.seen.finished),
            failures=self.seen.failures,
            quiet_ms=round(self.seen.quiet_seconds * 1000),
        )

    def _steer(self, cycle: int) -> None:
        """Give the node's prompt to a child that has finished nothing since the last look."""
        node, now = self.stage.node, time.monotonic()
        cooldown = node.duration_seconds("manager.steer_cooldown", 0.0) or 0.0
        if not node.prompt or (self._last_steered is not None and now - self._last_steered < cooldown):
            return
        steered = self.threads.runner.steer(self.plan, node.prompt)
        if steered:
            self._last_steered = now
            self.stage.emit(EventName.CHILD_STEERED, node_id=node.id, cycle=cycle, active_node=steered)

    def _end(self, reason: str) -> tuple[BranchResult, str]:
        self.threads.cancel(reason)
        while not self._wait(float("inf")):
            pass
        assert self._result is not None
        after = self.threads.runner.watch(self.plan)
        self.seen = replace(after, active_node=self.seen.active_node)  # where it was ended
        return self._result, reason

    def _wait(self, until: float) -> bool:
        """Wait for the child's end, a stop, the time limit or `until`; whether the child has ended."""
        next_beat = time.monotonic() + HEARTBEAT_SECONDS
        ending = until == float("inf")
        while True:
            poll = select.poll()
            poll.register(self.threads.fileno(), select.POLLIN)
            if not ending:
                poll.register(self.stage.stop.fileno(), select.POLLIN)
            now = time.monotonic()
            wake = min(until, next_beat, now + (self._left() if not ending else float("inf")))
            poll.poll(max(0.0, wake - now) * 1000 + 1)
            for _, result in self.threads.collect():
                self._result = result
                return True
            now = time.monotonic()
            if now >= next_beat:
                next_beat = now + HEARTBEAT_SECONDS
                self.stage.heartbeat(now - self._started)
            if not ending and (self.stage.stop.requested or now >= until or self._left() <= 0):
                return False

    def _left(self) -> float:
        limit = self.stage.timeout_seconds
        return float("inf") if limit is None else self._started + limit - time.monotonic()


def _of_child(result: BranchResult) -> Outcome:
    if result.status.is_success:
        return Outcome(Status.SUCCESS, notes="Child completed")
    reason = f"child failed: {result.failure_reason}" if result.failure_reason else "child failed"
    return Outcome(Status.FAIL, failure_reason=reason, failure_class=result.failure_class)


def _telemetry(seen: Telemetry) -> dict[str, Any]:
    return {
        "stack.child.active_node": seen.active_node,
        "stack.child.finished": len(seen.finished),
        "stack.child.failures": seen.failures,
        "stack.child.attempts": seen.attempts,
    }


def _facts(result: BranchResult, seen: Telemetry) -> dict[str, Any]:
    status = "canceled" if result.canceled else "completed" if result.status.is_success else "failed"
    return {
        **_telemetry(seen),
        "stack.child.status": status,
        "stack.child.outcome": result.status.value,
        "stack.child.logs_root": result.logs_root,
    }


def _failed(reason: str) -> Outcome:
    return Outcome(Status.FAIL, failure_reason=reason, failure_class=FailureClass.DETERMINISTIC)
