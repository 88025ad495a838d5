"""Knowledge of agent programs: how to start them, how to read them, how to judge them. Nothing is run here."""

from attractor.backends.catalog import CatalogModel, ModelCatalog, Price, cost_usd, load_catalog
from attractor.backends.failure_kinds import KIND_CLASS, REFINES, FailureKind
from attractor.backends.hints import (
    CODE_KINDS,
    HTTP_KINDS,
    SIGNAL_KINDS,
    TEXT_HINTS,
    TextHint,
    kind_of_text,
)
from attractor.backends.judge import AgentEnding, Judgement, judge
from attractor.backends.profile import AgentProfile, AgentRequest
from attractor.backends.profiles import PROFILES, canonical_provider, known_providers
from attractor.backends.reset_times import MAX_RETRY_AFTER_SECONDS, retry_after_seconds
from attractor.backends.simulate import SimulatedScript, SimulatedStep, parse_simulation, simulated_text
from attractor.backends.stream import AgentError, AgentEvent, StreamReader, Usage

__all__ = [
    "CODE_KINDS",
    "HTTP_KINDS",
    "KIND_CLASS",
    "MAX_RETRY_AFTER_SECONDS",
    "PROFILES",
    "REFINES",
    "SIGNAL_KINDS",
    "TEXT_HINTS",
    "AgentEnding",
    "AgentError",
    "AgentEvent",
    "AgentProfile",
    "AgentRequest",
    "CatalogModel",
    "FailureKind",
    "Judgement",
    "ModelCatalog",
    "Price",
    "SimulatedScript",
    "SimulatedStep",
    "StreamReader",
    "TextHint",
    "Usage",
    "canonical_provider",
    "cost_usd",
    "judge",
    "kind_of_text",
    "known_providers",
    "load_catalog",
    "parse_simulation",
    "retry_after_seconds",
    "simulated_text",
]
