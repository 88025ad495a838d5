"""What nodes do: one file a kind. `handlers_for` makes the registry of a run (spec 4.2)."""

from attractor.handlers.agent_program import AgentProgram, Watchers
from attractor.handlers.codergen import CodergenHandler
from attractor.handlers.models import (
    ModelChoice,
    escalation_models,
    executable_of,
    failover_models,
    primary_model,
    provider_settings,
    wanted_models,
)
from attractor.handlers.registry import HANDLER_TYPES, handlers_for
from attractor.handlers.simple import ConditionalHandler, PassHandler
from attractor.handlers.simulated import SimulatedHandler
from attractor.handlers.tool import ToolHandler

__all__ = [
    "HANDLER_TYPES",
    "AgentProgram",
    "CodergenHandler",
    "ConditionalHandler",
    "ModelChoice",
    "PassHandler",
    "SimulatedHandler",
    "ToolHandler",
    "Watchers",
    "escalation_models",
    "executable_of",
    "failover_models",
    "handlers_for",
    "primary_model",
    "provider_settings",
    "wanted_models",
]
