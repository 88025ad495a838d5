"""Which program and model a node runs: its own, stronger ones after a budget failure, others when its provider is down.

Pure. Preflight and the agent handler ask the same functions, so what is checked is what will run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from attractor.backends import PROFILES, FailureKind, canonical_provider
from attractor.contracts import AgentSettings, ProviderSettings
from attractor.graph import Node

# How each provider names its models; only asked where a node names no provider.
_MODEL_PREFIXES: Final = (
    ("gpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("codex-", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "google"),
)

# After these, the same provider has no chance soon, or none at all: the next one is tried at once.
FAILOVER_AT_ONCE: Final = frozenset(
    {FailureKind.QUOTA, FailureKind.BILLING, FailureKind.AUTH, FailureKind.AUTH_EXPIRED, FailureKind.CANNOT_RUN}
)
# After these, retries come first, and the next provider only when they are used up.
FAILOVER_AT_LAST: Final = frozenset(
    {
        FailureKind.RATE_LIMIT,
        FailureKind.OVERLOADED,
        FailureKind.SERVER_ERROR,
        FailureKind.NETWORK,
        FailureKind.STREAM_CUT,
        FailureKind.MODEL_NOT_FOUND,
    }
)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A provider (canonical name) and one of its models."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


def primary_model(node: Node, settings: AgentSettings) -> ModelChoice:
    """The node's own choice. Raises ValueError naming what is missing or unknown."""
    written, model = node.text("llm_provider"), node.text("llm_model")
    provider = canonical_provider(written) if written else _provider_of(model)
    if provider is None:
        if written:
            raise ValueError(f"llm_provider={written} is unknown; known are {', '.join(PROFILES)}")
        raise ValueError("it has no llm_provider, and none can be told from its llm_model")
    model = settings.force_models.get(provider, model)
    if not model:
        raise ValueError(f"it has no llm_model for llm_provider={provider}")
    return ModelChoice(provider, model)


def _provider_of(model: str) -> str | None:
    return next((provider for prefix, provider in _MODEL_PREFIXES if model.startswith(prefix)), None)


def escalation_models(node: Node) -> list[ModelChoice]:
    """`escalation_models="openai:gpt-5.4, anthropic:claude-opus-4-6"`: stronger models, in order."""
    choices = []
    for entry in node.items("escalation_models"):
        name, separator, model = entry.partition(":")
        provider = canonical_provider(name)
        if not separator or not model.strip() or provider is None:
            raise ValueError(f"escalation_models entry {entry!r} is not provider:model")
        choices.append(ModelChoice(provider, model.strip()))
    return choices


def failover_models(provider: str, settings: AgentSettings) -> list[ModelChoice]:
    """Where a provider's stages go when it is down: its `failover` providers, with the `model` configured for each."""
    choices = []
    for name in provider_settings(provider, settings).failover:
        target = canonical_provider(name)
        model = settings.force_models.get(target or "") or provider_settings(target or "", settings).model
        if target is None or not model:
            where = f"llm.providers.{provider}.failover names {name!r}"
            raise ValueError(f"{where}, which is unknown or has no llm.providers.{name}.model")
        choices.append(ModelChoice(target, model))
    return choices


def provider_settings(provider: str, settings: AgentSettings) -> ProviderSettings:
    """What the configuration says of a provider, under whichever of its names it says it."""
    for name, own in settings.providers.items():
        if canonical_provider(name) == provider:
            return own
    return ProviderSettings()


def wanted_models(node: Node, settings: AgentSettings) -> list[ModelChoice]:
    """Everything a node may come to run. Raises ValueError."""
    primary = primary_model(node, settings)
    return [primary, *escalation_models(node), *failover_models(primary.provider, settings)]


def executable_of(provider: str, settings: AgentSettings) -> str:
    """The program to start: the profile's own name, or the configured one, which only `test_shim` allows."""
    own = provider_settings(provider, settings)
    return own.executable if own.executable and settings.test_shim else PROFILES[provider].program
