"""What a scenario says of its agents. A value; the grammar is in `scenario_agents.py`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

__all__ = ["AgentSpec"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """Which programs run, and what they are answered; answers are as the grammar has checked them."""

    real: bool = False
    test_shim: bool = True  # fakes are named in the run configuration; otherwise found on PATH
    credentials: bool = True  # dummy keys in the engine's environment
    retries: bool = True  # the programs' own, when a provider fails them
    answers: Mapping[str, tuple[Mapping[str, Any], ...]] = dataclasses.field(default_factory=dict)
