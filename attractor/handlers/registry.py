"""Which handler runs which kind of node in one run."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from attractor.backends import ModelCatalog
from attractor.contracts import AgentSettings, BranchRunner, Handler, Interviewer, Spend
from attractor.handlers.codergen import CodergenHandler
from attractor.handlers.fan_in import FanInHandler
from attractor.handlers.human_gate import HumanGateHandler
from attractor.handlers.manager import ManagerHandler
from attractor.handlers.parallel import ParallelHandler
from attractor.handlers.simple import ConditionalHandler, PassHandler
from attractor.handlers.simulated import SimulatedHandler
from attractor.handlers.simulated_answers import SimulatedAnswers
from attractor.handlers.tool import ToolHandler

HANDLER_TYPES: Final = (
    "start",
    "exit",
    "conditional",
    "tool",
    "codergen",
    "parallel",
    "parallel.fan_in",
    "wait.human",
    "stack.manager_loop",
)


def handlers_for(
    settings: AgentSettings,
    catalog: ModelCatalog | None,
    home: Path,
    branches: BranchRunner,
    interviewer: Interviewer,
    spend: Spend,
) -> dict[str, Handler]:
    """One handler for each of `HANDLER_TYPES`. `home`: where the user's credential files are."""
    agent: Handler = (
        SimulatedHandler(spend) if settings.simulate else CodergenHandler(settings, catalog, home, _now, spend)
    )
    asked = SimulatedAnswers(interviewer) if settings.simulate else interviewer
    return {
        "start": PassHandler(),
        "exit": PassHandler(),
        "conditional": ConditionalHandler(),
        "tool": ToolHandler(),
        "codergen": agent,
        "parallel": ParallelHandler(branches),
        "parallel.fan_in": FanInHandler(branches, agent, simulated=settings.simulate),
        "stack.manager_loop": ManagerHandler(branches),
        "wait.human": HumanGateHandler(asked, branches.fan_path),
    }


def _now() -> datetime:
    return datetime.now().astimezone()
