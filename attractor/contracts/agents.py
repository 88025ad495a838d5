"""How a run's agents are set up: values that come from the run configuration and the command line.

Kept in the manifest, so that a resumed life uses the same ones.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """One provider, by its canonical name. `executable` '' is the program's own name, looked for on PATH."""

    executable: str = ""
    failover: tuple[str, ...] = ()
    model: str = ""
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class SpendLimits:
    """What the whole run may use; None is no limit."""

    max_cost_usd: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """How preflight asks each model a question (`preflight.prompt_probes`). `retries` count transient failures only."""

    timeout_seconds: float = 30.0
    retries: int = 1
    base_delay_seconds: float = 0.5
    max_delay_seconds: float = 5.0

    def delay_seconds(self, attempt: int, asked_seconds: float | None) -> float:
        """The wait after `attempt` (from 1): doubling, or what the provider asked for, never above the maximum."""
        doubled = self.base_delay_seconds * 2.0 ** min(attempt - 1, 30)
        return min(self.max_delay_seconds, max(doubled, asked_seconds or 0.0))

    @property
    def longest_seconds(self) -> float:
        """No probe of one model takes longer."""
        return (self.timeout_seconds + self.max_delay_seconds) * (self.retries + 1)


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """`catalog`: path of the run's own copy of the model catalogue, '' for none. Durations in seconds.

    `simulate`: no program is started, stages follow their `simulate` attribute.
    """

    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)
    force_models: Mapping[str, str] = field(default_factory=dict)
    catalog: str = ""
    catalog_sha256: str = ""
    simulate: bool = False
    test_shim: bool = False
    stall_timeout_seconds: float | None = 600.0
    stall_check_seconds: float = 5.0
    limits: SpendLimits = field(default_factory=SpendLimits)


# Context keys that carry what the run has used so far, so that a limit holds over resumes.
USAGE_TOKENS = "usage.total_tokens"
USAGE_COST = "usage.cost_usd"


class Spend:
    """What one life of a run has used so far, in all its branches at once. Safe to share among threads.

    Each loop's context has its own sums, and a fan-out's are added where its branches meet; a limit cannot wait for
    that.
    """

    def __init__(self, context: Mapping[str, Any] | None = None) -> None:
        """`context`: of the run, as this life begins."""
        known = context or {}
        self._lock = threading.Lock()
        self._tokens: int = known.get(USAGE_TOKENS, 0)
        self._cost_usd: float = known.get(USAGE_COST, 0.0)

    def add(self, tokens: int, cost_usd: float) -> None:
        with self._lock:
            self._tokens += tokens
            self._cost_usd += cost_usd

    def over(self, limits: SpendLimits, tokens: int = 0, cost_usd: float = 0.0) -> str:
        """Why the run has spent too much, with so much more of a program that is still at work; '' while it has not."""
        with self._lock:
            sums = {USAGE_TOKENS: self._tokens + tokens, USAGE_COST: round(self._cost_usd + cost_usd, 6)}
        return over_limit(sums, limits)


def over_limit(context: Mapping[str, object], limits: SpendLimits) -> str:
    """Why a run with this context has spent too much; '' while it has not."""
    tokens, cost = context.get(USAGE_TOKENS, 0), context.get(USAGE_COST, 0.0)
    if limits.max_tokens is not None and isinstance(tokens, int) and tokens > limits.max_tokens:
        return f"the run used {tokens} tokens; runtime_policy.max_tokens is {limits.max_tokens}"
    if limits.max_cost_usd is not None and isinstance(cost, int | float) and cost > limits.max_cost_usd:
        return f"the run cost {cost:.4f} USD; runtime_policy.max_cost_usd is {limits.max_cost_usd:g}"
    return ""
