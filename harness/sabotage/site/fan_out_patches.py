"""What the saboteurs of fan-outs change in the engine; the rules are those of `saboteur_patches`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cxdb_patches import never_without_an_answer  # type: ignore[import-not-found]  # lies beside this file
from patching import Patch, replacing  # type: ignore[import-not-found]  # lies beside this file

PATIENCE_SECONDS = 5.0  # as long as for a reply that somebody needs


def _parallel_prefix_lost(real: Any) -> Callable[..., Any]:
    return lambda _prefix, *names: real("", *names).lstrip("/")


def _default_prefix_at_resume(real: Any) -> Callable[..., Any]:
    return lambda *names: "attractor/run" if "resume" in sys.argv else real(*names)


def _finished_again(real: Any) -> Callable[..., Any]:
    """Nothing is known of an earlier life, so what it has left is cleared away."""
    place_of = real.finished.__globals__["_place"]

    class Sabotaged(real):  # type: ignore[misc]
        def finished(self, plan: Any) -> None:
            place_of(plan).checkpoint.unlink(missing_ok=True)

    return Sabotaged


def _losers_run_on(real: Any) -> Callable[..., Any]:
    world = real._end_where_decided.__globals__

    class Sabotaged(real):  # type: ignore[misc]
        def _end_where_decided(self) -> None:
            if world["decided"](list(self._results.values()), *world["_policies"](self.stage)):
                for index in list(self._running):
                    del self._running[index]
                    self._record(index, self._without_end(index, "the other branches have decided"))
            super()._end_where_decided()

        def __exit__(self, *_error: Any) -> None:
            """Neither joins the threads nor closes what they write to."""

    return Sabotaged


def _last_class(real: Any) -> Callable[..., Any]:
    return lambda results: replace(real(results), failure_class=results[-1].failure_class)


def _best_in_any_case(real: Any) -> Callable[..., Any]:
    best_of = real.__globals__["best_of"]
    return lambda _outcome, good: best_of(good)


def _best_for_a_wrong_choice(real: Any) -> Callable[..., Any]:
    best_of = real.__globals__["best_of"]
    return lambda outcome, good: real(outcome, good) or best_of(good)


def _patient_beginning(real: Any) -> Callable[..., Any]:
    return lambda *args: real(*args, wait_seconds=PATIENCE_SECONDS)


def _all_settled(real: Any) -> Callable[..., Any]:
    return lambda _layout, _wait_seconds: real.__globals__["Shipped"]()


def _visit_alone(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def _plans(self, stage: Any) -> Any:
            return [replace(plan, pass_name=str(stage.visit)) for plan in super()._plans(stage)]

    return Sabotaged


FAN_OUT_PATCHES: dict[str, dict[str, Patch]] = {
    "parallel-prefix-lost": {"attractor.workspace.names": replacing("parallel_branch", _parallel_prefix_lost)},
    "prefix-lost-in-resumed-fan-outs": {"attractor.app.life": replacing("prefix_of", _default_prefix_at_resume)},
    "pass-is-the-visit": {"attractor.handlers.parallel": replacing("ParallelHandler", _visit_alone)},
    "finished-branches-again": {"attractor.app.branches": replacing("Branches", _finished_again)},
    "losers-run-on": {"attractor.handlers.parallel": replacing("_FanOut", _losers_run_on)},
    "rule-overrules-agent": {"attractor.handlers.fan_in": replacing("_named", _best_in_any_case)},
    "any-choice-goes": {"attractor.handlers.fan_in": replacing("_named", _best_for_a_wrong_choice)},
    "waits-for-cxdb": {"attractor.app.peers": replacing("Journal", never_without_an_answer)},
    "branches-begin-patiently": {"attractor.app.branches": replacing("open_branch_journal", _patient_beginning)},
    "branch-turns-forgotten": {"attractor.app.peers": replacing("settle_branches", _all_settled)},
    "last-branch-decides": {"attractor.handlers.fan_in": replacing("all_failed", _last_class)},
}
