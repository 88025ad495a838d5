"""How long to wait before the next attempt (spec 3.6). Pure; randomness is passed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from attractor.graph import Graph, Node


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delay before retry n (1, 2, ...): `initial * factor ** (n - 1)`, capped, times 0.5 to 1.5 with jitter."""

    initial_seconds: float = 0.2
    factor: float = 2.0
    max_seconds: float = 60.0
    jitter: bool = True

    def delay_seconds(self, retry: int, uniform: Callable[[float, float], float]) -> float:
        """Seconds to wait before retry number `retry` (1-based); `uniform(a, b)` draws the jitter."""
        # Capped before the power is taken: 2.0 ** 2000 is an OverflowError, not a long wait.
        delay = self.initial_seconds
        for _ in range(retry - 1):
            delay *= self.factor
            if delay >= self.max_seconds:
                break
        delay = min(delay, self.max_seconds)
        return delay * uniform(0.5, 1.5) if self.jitter else delay


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_attempts` counts the first execution too: 1 means no retry."""

    max_attempts: int
    backoff: Backoff


# name -> (attempts, backoff); the attempts hold only where the graph names no max_retries.
PRESETS: Final[dict[str, tuple[int, Backoff]]] = {
    "none": (1, Backoff()),
    "standard": (5, Backoff(0.2, 2.0)),
    "aggressive": (5, Backoff(0.5, 2.0)),
    "linear": (3, Backoff(0.5, 1.0)),
    "patient": (3, Backoff(2.0, 3.0)),
}


def retry_policy(graph: Graph, node: Node) -> RetryPolicy:
    """The node's policy: `max_retries` of the node, else of the graph, else the preset's, else none.

    An unknown preset name counts as none here; the linter has refused it before a run starts.
    """
    preset = node.text("retry_policy") or graph.text("retry_policy") or "none"
    attempts, backoff = PRESETS.get(preset, PRESETS["none"])
    if node.max_retries is not None:
        attempts = node.max_retries + 1
    elif graph.default_max_retries:
        attempts = graph.default_max_retries + 1
    return RetryPolicy(max(1, attempts), _with_overrides(backoff, graph, node))


def _with_overrides(backoff: Backoff, graph: Graph, node: Node) -> Backoff:
    for scope in (graph, node):
        initial = scope.duration_seconds("retry_initial_delay")
        longest = scope.duration_seconds("retry_max_delay")
        backoff = replace(
            backoff,
            initial_seconds=backoff.initial_seconds if initial is None else initial,
            max_seconds=backoff.max_seconds if longest is None else longest,
            factor=scope.number("retry_backoff_factor", backoff.factor),
            jitter=scope.boolean("retry_jitter", backoff.jitter),
        )
    return backoff
