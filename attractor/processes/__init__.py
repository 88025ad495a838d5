"""Processes: running a stage's command, and ending whole trees."""

from attractor.processes.cancellation import Cancellation
from attractor.processes.command import (
    DEFAULT_GRACE_SECONDS,
    HEARTBEAT_SECONDS,
    CommandResult,
    EndedBy,
    Limits,
    describe_exit,
    run_command,
    tied_to_parent,
)
from attractor.processes.output import excerpt, last_line
from attractor.processes.stop import StopRequest
from attractor.processes.threads import Worker
from attractor.processes.tree import RUN_TOKEN_VARIABLE, STAGE_TOKEN_VARIABLE, end_run, end_stage

__all__ = [
    "DEFAULT_GRACE_SECONDS",
    "HEARTBEAT_SECONDS",
    "RUN_TOKEN_VARIABLE",
    "STAGE_TOKEN_VARIABLE",
    "Cancellation",
    "CommandResult",
    "EndedBy",
    "Limits",
    "StopRequest",
    "Worker",
    "describe_exit",
    "end_run",
    "end_stage",
    "excerpt",
    "last_line",
    "run_command",
    "tied_to_parent",
]
