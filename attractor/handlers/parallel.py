"""Fan-out nodes: branches side by side, each a pipeline of its own (spec 4.8).

The handler's thread watches; every branch has a thread that runs it. What a branch is, on disk and in git, is the
`BranchRunner`'s; when the others may stop is decided by `engine.parallel`.
"""

from __future__ import annotations

import select
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, Final

from attractor.contracts import (
    PARALLEL_RESULTS,
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
)
from attractor.engine import branches_of, decided, join
from attractor.graph import join_of
from attractor.handlers.branch_threads import BranchThreads
from attractor.processes import HEARTBEAT_SECONDS
from attractor.rundir import pretty_json

DEFAULT_MAX_PARALLEL: Final = 4
RESULTS_FILE: Final = "parallel_results.json"


@dataclass(frozen=True, slots=True)
class ParallelHandler:
    """Runs fan-outs of one run, or of one branch."""

    runner: BranchRunner

    def execute(self, stage: StageRun) -> Outcome:
        plans = self._plans(stage)
        if not plans:
            reason = "no branch to run: the fan-out has no edge whose condition holds"
            # An earlier pass's results are not this one's: the fan-in must find none.
            none: dict[str, Any] = {PARALLEL_RESULTS: []}
            return Outcome(
                Status.FAIL, failure_reason=reason, failure_class=FailureClass.DETERMINISTIC, context_updates=none
            )
        with BranchThreads(self.runner, stage.stop) as threads:
            results = _FanOut(stage, plans, threads).run()
        if threads.lost is not None:
            raise threads.lost
        if stage.stop.requested:
            return Outcome(Status.FAIL, failure_reason=stage.stop.reason, failure_class=FailureClass.CANCELED)
        outcome = join(results, *_policies(stage))
        told = [result.to_json() for result in results]
        (stage.stage_dir / RESULTS_FILE).write_bytes(pretty_json(told))
        stage.emit(
            EventName.PARALLEL_COMPLETED,
            node_id=stage.node.id,
            status=outcome.status,
            succeeded=sum(result.status.is_success for result in results),
            failed=sum(not result.status.is_success and not result.canceled for result in results),
            canceled=sum(result.canceled for result in results),
        )
        return replace(outcome, context_updates={PARALLEL_RESULTS: told, **_usage(stage, results)})

    def _plans(self, stage: StageRun) -> list[BranchPlan]:
        graph, node = stage.graph, stage.node
        meeting = join_of(graph, node.id)
        until = frozenset({graph.exit_node.id, *([meeting] if meeting else ())})
        # Unique in the run and the same after a resume: visits begin anew with a loop restart.
        pass_name = f"r{stage.restart_count}.{stage.visit}" if stage.restart_count else str(stage.visit)
        return [
            BranchPlan(
                fan=self.runner.fan_path(node.id),
                pass_name=pass_name,
                child=branch.child,
                target_id=branch.target_id,
                until=until,
                base_sha=stage.commit_sha,
                context=stage.context,
                logs_root=stage.stage_dir.parent,
            )
            for branch in branches_of(graph, node.id, stage.context)
        ]


def _policies(stage: StageRun) -> tuple[str, str]:
    return stage.node.text("join_policy", "wait_all"), stage.node.text("error_policy", "continue")


def _usage(stage: StageRun, results: list[BranchResult]) -> dict[str, Any]:
    """The run's sums with what all branches have used."""
    tokens = sum(result.tokens for result in results)
    cost = sum(result.cost_usd for result in results)
    if not tokens and not cost:
        return {}
    context = stage.context
    return {
        USAGE_TOKENS: context.get(USAGE_TOKENS, 0) + tokens,
        USAGE_COST: round(context.get(USAGE_COST, 0.0) + cost, 6),
    }


@dataclass(slots=True)
class _FanOut:
    """One pass of a fan-out."""

    stage: StageRun
    plans: list[BranchPlan]
    threads: BranchThreads
    _results: dict[int, BranchResult] = field(default_factory=dict)
    _waiting: deque[int] = field(default_factory=deque)
    _started: float = field(default_factory=time.monotonic)
    _timed_out: bool = False

    def run(self) -> list[BranchResult]:
        """All results, in the order of the plans."""
        stage, node = self.stage, self.stage.node
        most = node.integer("max_parallel", DEFAULT_MAX_PARALLEL)
        stage.emit(
            EventName.PARALLEL_STARTED,
            node_id=node.id,
            branches=[plan.child for plan in self.plans],
            join=next(iter(sorted(self.plans[0].until - {stage.graph.exit_node.id})), None),
            max_parallel=most,
        )
        self._take_finished()
        next_beat = self._started + HEARTBEAT_SECONDS
        while True:
            self._end_where_decided()
            while self._waiting and len(self.threads) < most:
                self._start(self._waiting.popleft())
            if not len(self.threads):
                return [self._results[index] for index in range(len(self.plans))]
            now = time.monotonic()
            if now >= next_beat:
                next_beat = now + HEARTBEAT_SECONDS
                stage.heartbeat(now - self._started)
            self._wait(next_beat)

    def _take_finished(self) -> None:
        """Branches that an earlier life of the engine has finished are not run again."""
        for index, plan in enumerate(self.plans):
            kept = self.threads.runner.finished(plan)
            if kept is None:
                self._waiting.append(index)
            else:
                self._record(index, kept, kept=True)

    def _end_where_decided(self) -> None:
        if self.stage.stop.requested:
            self._drop(self.stage.stop.reason)
        elif self.threads.lost is not None:
            self._drop(self.threads.lost.brief)
        elif self._left() <= 0 and not self._timed_out:
            self._timed_out = True
            self._drop(f"the fan-out ran out of time after {self.stage.timeout_seconds:g} s")
        elif decided(list(self._results.values()), *_policies(self.stage)):
            self._drop("the other branches have decided")

    def _drop(self, reason: str) -> None:
        self.threads.cancel(reason)
        while self._waiting:
            index = self._waiting.popleft()
            child = self.plans[index].child
            why = f"not started: {reason}"
            self._record(index, BranchResult(child, Status.FAIL, why, FailureClass.CANCELED, canceled=True))

    def _start(self, index: int) -> None:
        plan = self.plans[index]
        self.stage.emit(EventName.PARALLEL_BRANCH_STARTED, node_id=self.stage.node.id, branch=plan.child)
        self.threads.start(index, plan)

    def _wait(self, until: float) -> None:
        poll = select.poll()
        poll.register(self.threads.fileno(), select.POLLIN)
        if not self.stage.stop.requested:
            poll.register(self.stage.stop.fileno(), select.POLLIN)
        seconds = min(until - time.monotonic(), self._left() if not self._timed_out else float("inf"))
        poll.poll(max(0.0, seconds) * 1000 + 1)
        for index, result in self.threads.collect():
            if result.canceled and self._timed_out:
                result = replace(result, canceled=False, failure_class=FailureClass.TRANSIENT_INFRA)
            self._record(index, result)

    def _left(self) -> float:
        limit = self.stage.timeout_seconds
        return float("inf") if limit is None else self._started + limit - time.monotonic()

    def _record(self, index: int, result: BranchResult, *, kept: bool = False) -> None:
        self._results[index] = result
        self.stage.emit(
            EventName.PARALLEL_BRANCH_COMPLETED,
            node_id=self.stage.node.id,
            branch=result.child,
            status=result.status,
            failure_reason=result.failure_reason or None,
            failure_class=result.failure_class,
            canceled=result.canceled or None,
            duration_ms=result.duration_ms,
            kept=kept or None,
        )
