"""Fan-in nodes: one of a fan-out's branches is chosen, and the run goes on with its work (spec 4.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from attractor.contracts import (
    FAN_IN_ADOPTED,
    FAN_IN_BEST_ID,
    FAN_IN_BEST_OUTCOME,
    PARALLEL_RESULTS,
    BranchResult,
    BranchRunner,
    EventName,
    FailureClass,
    Handler,
    Outcome,
    StageRun,
    Status,
)
from attractor.engine import all_failed, best_of


@dataclass(frozen=True, slots=True)
class FanInHandler:
    """Chooses by outcome, score and id; a node with a prompt has an agent choose among those that succeeded.

    `simulated`: an agent that names nobody leaves the choice to the rule.
    """

    runner: BranchRunner
    agent: Handler
    simulated: bool = False

    def execute(self, stage: StageRun) -> Outcome:
        results = [BranchResult.from_json(data) for data in stage.context.get(PARALLEL_RESULTS) or ()]
        if not results:
            return _failed("there are no parallel results to choose from: no fan-out has run branches for this fan-in")
        good = [result for result in results if result.status.is_success and not result.canceled]
        if not good:
            return all_failed([result for result in results if not result.canceled] or results)
        if not stage.node.prompt:
            return self._adopted(stage, best_of(good) or good[0], Outcome(Status.SUCCESS))
        outcome = self.agent.execute(replace(stage, briefing=briefing(results)))
        if not outcome.status.is_success:
            return outcome
        chosen = _named(outcome, good) or (best_of(good) if self.simulated else None)
        if chosen is None:
            named = outcome.preferred_label or outcome.context_updates.get(FAN_IN_BEST_ID) or "none"
            known = ", ".join(result.child for result in good)
            return _failed(f"the agent was to choose a branch and named {named!r}; those that succeeded are {known}")
        return self._adopted(stage, chosen, replace(outcome, preferred_label="", suggested_next_ids=()))

    def _adopted(self, stage: StageRun, best: BranchResult, outcome: Outcome) -> Outcome:
        updates = {FAN_IN_BEST_ID: best.child, FAN_IN_BEST_OUTCOME: best.status.value}
        if best.head_sha not in ("", best.base_sha, stage.context.get(FAN_IN_ADOPTED)):
            head_sha, nodes = self.runner.adopt(best)
            updates[FAN_IN_ADOPTED] = best.head_sha
            stage.emit(
                EventName.BRANCH_ADOPTED,
                node_id=stage.node.id,
                branch=best.child,
                nodes=list(nodes),
                git_branch=best.branch,
                head_sha=head_sha,
            )
        notes = f"Selected best candidate: {best.child}"
        if outcome.notes:
            notes += f". {outcome.notes}"
        return replace(outcome, notes=notes, context_updates={**outcome.context_updates, **updates})


def briefing(results: Sequence[BranchResult]) -> str:
    """What an agent is told of the candidates, and how it is to answer."""
    lines = ["Several branches have worked on this side by side. Choose the best of those that succeeded:"]
    for result in results:
        word = "canceled" if result.canceled else result.status.value
        lines.append(f"- {result.child}: {word}")
        for name, text in (
            ("why", result.failure_reason),
            ("notes", result.notes),
            ("its files", result.worktree),
            ("its changes", f"git diff {result.base_sha}..{result.head_sha}" if result.head_sha else ""),
            ("its records", result.logs_root),
        ):
            if text:
                lines.append(f"  {name}: {text}")
    lines.append('Name your choice as "preferred_label" in your result. Its work is taken over as it stands.')
    return "\n".join(lines)


def _named(outcome: Outcome, good: Sequence[BranchResult]) -> BranchResult | None:
    """The candidate an agent's answer names: as label, as context value, or as the next node."""
    answers = [outcome.preferred_label, outcome.context_updates.get(FAN_IN_BEST_ID), *outcome.suggested_next_ids]
    for answer in (str(each).strip() for each in answers if each):
        for same in (str, str.casefold):  # as it is written; else, where that is one candidate only, in any case
            found = [result for result in good if same(result.child) == same(answer)]
            if len(found) == 1:
                return found[0]
    return None


def _failed(reason: str) -> Outcome:
    return Outcome(Status.FAIL, failure_reason=reason, failure_class=FailureClass.DETERMINISTIC)
