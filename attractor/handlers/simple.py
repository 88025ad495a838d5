"""The nodes that do no work of their own: start, exit and conditional (spec 4.3, 4.4, 4.7)."""

from __future__ import annotations

from attractor.contracts import FailureClass, Outcome, StageRun, Status


class PassHandler:
    """Start and exit: success at once. Goal gates are the engine's to check."""

    def execute(self, stage: StageRun) -> Outcome:
        return Outcome(Status.SUCCESS)


class ConditionalHandler:
    """A diamond passes on the outcome before it, so that the conditions on its edges have something to look at.

    Returning a plain success, as spec 4.7 has it, would make `outcome=fail` on its edges never true, and the
    spec's own example (2.13) loop-free.
    """

    def execute(self, stage: StageRun) -> Outcome:
        context = stage.context
        failure_class = context.get("failure_class")
        return Outcome(
            Status(context.get("outcome", Status.SUCCESS.value)),
            preferred_label=str(context.get("preferred_label", "")),
            failure_reason=str(context.get("failure_reason", "")),
            failure_class=FailureClass(failure_class) if failure_class else None,
        )
