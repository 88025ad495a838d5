"""The engines the harness can drive, each described by the command lines it takes and the files it leaves."""

from harness.engines.attractor import (
    EVENT_NAMES,
    FILES_MISSING,
    TERMINAL_EVENTS,
    TURN_TYPES,
    default_engine,
    named_engine,
)
from harness.engines.description import Engine, LaunchRequest, TurnRule

__all__ = [
    "EVENT_NAMES",
    "FILES_MISSING",
    "TERMINAL_EVENTS",
    "TURN_TYPES",
    "Engine",
    "LaunchRequest",
    "TurnRule",
    "default_engine",
    "named_engine",
]
