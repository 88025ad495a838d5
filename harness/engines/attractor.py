"""This project's own engine: its command, its words for what happens, its turn types."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
from pathlib import Path

from harness.engines.description import Engine, TurnRule

__all__ = ["EVENT_NAMES", "FILES_MISSING", "TERMINAL_EVENTS", "TURN_TYPES", "default_engine", "named_engine"]

# Terminal event -> the status final.json must have.
TERMINAL_EVENTS = {"run_completed": "success", "run_failed": "fail", "run_canceled": "canceled"}

EVENT_NAMES = frozenset(
    {
        "run_started",
        "run_resumed",
        "preflight_passed",
        "setup_command",
        "stage_attempt_start",
        "stage_attempt_end",
        "stage_heartbeat",
        "stage_retry_sleep",
        "stage_retry_blocked",
        "agent_started",
        "agent_message",
        "agent_tool_call",
        "agent_tool_result",
        "agent_failover",
        "agent_escalation",
        "edge_selected",
        "artifact_stored",
        "checkpoint_saved",
        "loop_restart",
        "loop_restart_blocked",
        "loop_restart_signature",
        "loop_restart_circuit_breaker",
        "parallel_started",
        "parallel_branch_started",
        "parallel_branch_completed",
        "parallel_completed",
        "branch_adopted",
        "interview_started",
        "interview_timeout",
        "interview_completed",
        "child_started",
        "child_observed",
        "child_steered",
        "child_completed",
        "cxdb_degraded",
        "cxdb_recovered",
        *TERMINAL_EVENTS,
    }
)

FILES_MISSING = "cxdb_files_missing"  # in final.json: why CXDB has not got the files of each commit

TURN_TYPES = (
    TurnRule("RunStarted", ("run_started",)),
    TurnRule("RunResumed", ("run_resumed",)),
    TurnRule("StageStarted", ("stage_attempt_start",)),
    TurnRule("StageFailed", ("stage_attempt_end",), will_retry=True),
    TurnRule("StageFinished", ("stage_attempt_end",), will_retry=False),
    TurnRule("StageRetrying", ("stage_retry_sleep",)),
    TurnRule("Prompt", ("agent_started",)),
    TurnRule("AssistantMessage", ("agent_message",)),
    TurnRule("InterviewStarted", ("interview_started",)),
    TurnRule("InterviewTimeout", ("interview_timeout",)),
    TurnRule("InterviewCompleted", ("interview_completed",)),
    TurnRule("Artifact", ("artifact_stored",)),
    TurnRule("GitCheckpoint", ("checkpoint_saved",), having="git_commit_sha"),  # not without git
    TurnRule("CheckpointSaved", ("checkpoint_saved",)),
    TurnRule("RunCompleted", ("run_completed",)),
    TurnRule("RunFailed", ("run_failed", "run_canceled")),
)


def _package_home() -> dict[str, str]:
    """Lets the cleaned environment of a case find the engine where this interpreter finds it.

    Only looked up, never imported: the harness stays ignorant of the engine's code.
    """
    spec = importlib.util.find_spec("attractor")
    if spec is None or spec.origin is None:
        return {}
    return {"PYTHONPATH": str(Path(spec.origin).parent.parent)}


def default_engine() -> Engine:
    # -P: a directory named attractor in the working directory must not shadow the engine.
    return Engine(label="attractor", command=(sys.executable, "-P", "-m", "attractor"), environment=_package_home())


def named_engine(command_line: str | None) -> Engine:
    """The engine of a command line, of ATTRACTOR_HARNESS_ENGINE, or the default one, in that order."""
    command_line = command_line or os.environ.get("ATTRACTOR_HARNESS_ENGINE")
    if not command_line:
        return default_engine()
    program, *rest = shlex.split(command_line)
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(f"engine command not found: {program!r} (of {command_line!r})")
    # Not resolved: a virtual environment's python must keep its own name to find its packages.
    # Files among the arguments are meant from here; cases run elsewhere.
    rest = [str(Path(word).absolute()) if Path(word).is_file() else word for word in rest]
    command = (str(Path(found).absolute()), *rest)
    return Engine(label=command_line, command=command, environment=_package_home())
