"""Agent nodes without an agent: `--simulate` carries out the node's `simulate` script, or succeeds at once."""

from __future__ import annotations

from dataclasses import replace

from attractor.backends import SimulatedStep, parse_simulation, simulated_text
from attractor.contracts import USAGE_COST, USAGE_TOKENS, FailureClass, Outcome, Spend, StageRun, Status
from attractor.handlers.agent_sessions import fidelity_of
from attractor.handlers.prompt import build_prompt
from attractor.handlers.status_file import read_status_file

_BLOCK = b"simulated output\n" * 4096


class SimulatedHandler:
    """Stands in for `CodergenHandler`. Counts a node's attempts over all its visits."""

    def __init__(self, spend: Spend) -> None:
        self._spend = spend
        self._attempts: dict[str, int] = {}

    def execute(self, stage: StageRun) -> Outcome:
        attempt = self._attempts[stage.node.id] = self._attempts.get(stage.node.id, 0) + 1
        step = parse_simulation(stage.node.text("simulate"), f"node {stage.node.id}: simulate").step(attempt)
        status_path = stage.stage_dir / "status.json"
        prompt = build_prompt(stage, fidelity_of(stage), str(status_path))
        (stage.stage_dir / "prompt.md").write_text(prompt, encoding="utf-8")
        self._print(stage, step)
        ended = self._pass_time(stage, step)
        if ended is not None:
            return ended
        text = step.text or simulated_text(stage.node.id)
        (stage.stage_dir / "response.md").write_text(text + "\n", encoding="utf-8")
        outcome = Outcome(step.status, failure_reason=step.reason, failure_class=step.failure_class)
        if step.status_file is not None:
            status_path.write_text(step.status_file, encoding="utf-8")
            outcome = read_status_file(status_path) or outcome
        self._spend.add(step.tokens, step.cost_usd)
        return _with_updates(outcome, stage, step, text)

    def _print(self, stage: StageRun, step: SimulatedStep) -> None:
        with (stage.stage_dir / "stdout.log").open("wb") as stream:
            left = step.output_bytes
            while left > 0:
                left -= stream.write(_BLOCK[:left])

    def _pass_time(self, stage: StageRun, step: SimulatedStep) -> Outcome | None:
        """Wait as long as the step takes; the failure, where its time is up or the run is to stop."""
        limit = stage.timeout_seconds
        endless = step.hang or (limit is not None and step.delay_seconds >= limit)
        seconds = (limit if limit is not None else float("inf")) if endless else step.delay_seconds
        while seconds > 0:
            part = min(seconds, 10.0)
            if stage.stop.wait(part):
                reason = stage.stop.reason
                return Outcome(Status.FAIL, failure_reason=reason, failure_class=FailureClass.CANCELED)
            seconds -= part
        if not endless:
            return None
        reason = f"the simulated agent ran out of time after {limit:g} s"
        return Outcome(Status.FAIL, failure_reason=reason, failure_class=FailureClass.TRANSIENT_INFRA)


def _with_updates(outcome: Outcome, stage: StageRun, step: SimulatedStep, text: str) -> Outcome:
    updates = {
        "last_stage": stage.node.id,
        "last_response": text[:200],
        USAGE_TOKENS: stage.context.get(USAGE_TOKENS, 0) + step.tokens,
        USAGE_COST: round(stage.context.get(USAGE_COST, 0.0) + step.cost_usd, 6),
    }
    return replace(outcome, context_updates={**updates, **outcome.context_updates})
