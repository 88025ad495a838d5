"""What the saboteurs of managers change: see `saboteur_patches`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from patching import Patch, both, replacing  # type: ignore[import-not-found]  # lies beside this file


def _child_is_done(real: Any) -> Callable[..., Any]:
    return lambda result: real(replace(result, status=type(result.status)("success")))


def _child_may_pass(real: Any) -> Callable[..., Any]:
    def outcome_of(result: Any) -> Any:
        outcome = real(result)
        if outcome.failure_class is None:
            return outcome
        return replace(outcome, failure_class=type(outcome.failure_class)("transient_infra"))

    return outcome_of


def _child_from_its_start(real: Any) -> Callable[..., Any]:
    place_of = real.finished.__globals__["_place"]

    class Sabotaged(real):  # type: ignore[misc]  # a class known only at run time
        def run(self, plan: Any, stop: Any) -> Any:
            if plan.graph_file is not None:
                place_of(plan).checkpoint.unlink(missing_ok=True)
            return super().run(plan, stop)

    return Sabotaged


def _one_child_for_all_attempts(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def _plan(self, stage: Any, graph_file: Any) -> Any:
            plan = super()._plan(stage, graph_file)
            return replace(plan, pass_name=plan.pass_name.partition("-")[0])

    return Sabotaged


def _given_up_without_an_end(real: Any) -> Callable[..., Any]:
    world = real._end.__globals__

    class Sabotaged(real):  # type: ignore[misc]
        def _end(self, reason: str) -> Any:
            return world["BranchResult"](self.plan.child, world["Status"]("fail"), reason, canceled=True), reason

    return Sabotaged


def _left_alone(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def __exit__(self, *_error: Any) -> None:
            """Neither ends the child nor closes what it writes to."""

    return Sabotaged


def _given_up_work_lost(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def _take_over(self, stage: Any, result: Any) -> None:
            if not result.canceled:
                super()._take_over(stage, result)

    return Sabotaged


MANAGER_PATCHES: dict[str, dict[str, Patch]] = {
    "child-failure-unseen": {"attractor.handlers.manager": replacing("_of_child", _child_is_done)},
    "child-failure-passes": {"attractor.handlers.manager": replacing("_of_child", _child_may_pass)},
    "child-from-its-start": {"attractor.app.branches": replacing("Branches", _child_from_its_start)},
    "attempts-share-a-child": {"attractor.handlers.manager": replacing("ManagerHandler", _one_child_for_all_attempts)},
    "given-up-child-runs-on": {
        "attractor.handlers.manager": both(
            replacing("_Watch", _given_up_without_an_end), replacing("BranchThreads", _left_alone)
        ),
    },
    "given-up-work-lost": {"attractor.handlers.manager": replacing("ManagerHandler", _given_up_work_lost)},
    "steering-unread": {"attractor.engine.stage": replacing("_steering", lambda _real: lambda _stage_dir: "")},
}
