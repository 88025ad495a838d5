"""Tool nodes: a shell command in the run's worktree (spec 4.10).

Its exit status decides; `$ATTRACTOR_STATUS_FILE`, where the command writes one, refines (spec appendix C).
All output is kept in `stdout.log` and `stderr.log`; the context gets an excerpt.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from attractor.contracts import FailureClass, Outcome, Redactor, StageRun, Status
from attractor.handlers.status_file import read_status_file
from attractor.processes import (
    DEFAULT_GRACE_SECONDS,
    CommandResult,
    EndedBy,
    Limits,
    describe_exit,
    excerpt,
    last_line,
    run_command,
)

CONTEXT_OUTPUT_BYTES = 8_000


class ToolHandler:
    """Runs `tool_command` with `sh -c`."""

    def execute(self, stage: StageRun) -> Outcome:
        stdout, stderr = stage.stage_dir / "stdout.log", stage.stage_dir / "stderr.log"
        status_file = Path(stage.environment["ATTRACTOR_STATUS_FILE"])
        grace = stage.graph.duration_seconds("stop_grace", DEFAULT_GRACE_SECONDS)
        limits = Limits(
            timeout_seconds=stage.timeout_seconds,
            grace_seconds=stage.node.duration_seconds("stop_grace", grace) or 0.0,
        )
        result = run_command(
            ("/bin/sh", "-c", stage.node.tool_command),
            cwd=stage.worktree,
            environment=stage.environment,
            stdout=stdout,
            stderr=stderr,
            limits=limits,
            stop=stage.stop,
            heartbeat=stage.heartbeat,
            leader_note=stage.leader_note,
        )
        # Before anything is cut: a half of a secret would be found by nobody.
        Redactor(stage.environment).tree(stage.stage_dir)
        output = excerpt(stdout, CONTEXT_OUTPUT_BYTES)
        if output:
            (stage.stage_dir / "tool_output.txt").write_text(output, encoding="utf-8")
        exit_code = result.exit_code if result.ended_by is EndedBy.ITSELF else None
        updates = {"tool.output": output, "tool.exit_code": exit_code, "last_stage": stage.node.id}
        outcome = self._outcome(stage, result, stderr, read_status_file(status_file))
        return replace(outcome, context_updates={**updates, **outcome.context_updates})

    def _outcome(self, stage: StageRun, result: CommandResult, stderr: Path, told: Outcome | None) -> Outcome:
        if result.stopped:
            return Outcome(Status.FAIL, failure_reason=stage.stop.reason, failure_class=FailureClass.CANCELED)
        if result.timed_out:
            return Outcome(
                Status.FAIL,
                failure_reason=f"tool_command timed out after {stage.timeout_seconds:g} s",
                failure_class=FailureClass.TRANSIENT_INFRA,
            )
        if result.exit_code == 0:
            return told or Outcome(Status.SUCCESS)
        if told is not None and not told.status.is_success and told.failure_reason:
            return told
        reason = f"tool_command ended with {describe_exit(result.exit_code)}"
        last_words = last_line(stderr)
        if last_words:
            reason = f"{reason}: {last_words}"
        failure_class = told.failure_class if told is not None else None
        return Outcome(Status.FAIL, failure_reason=reason, failure_class=failure_class)
