"""Which handler runs which kind of node in one run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from attractor.backends import ModelCatalog
from attractor.contracts import AgentSettings, Handler
from attractor.handlers.codergen import CodergenHandler
from attractor.handlers.simple import ConditionalHandler, PassHandler
from attractor.handlers.simulated import SimulatedHandler
from attractor.handlers.tool import ToolHandler

HANDLER_TYPES: Final = ("start", "exit", "conditional", "tool", "codergen")


def handlers_for(settings: AgentSettings, catalog: ModelCatalog | None, home: Path) -> Mapping[str, Handler]:
    """One handler for each of `HANDLER_TYPES`. `home`: where the user's credential files are."""
    agent = SimulatedHandler() if settings.simulate else CodergenHandler(settings, catalog, home, _now)
    return {
        "start": PassHandler(),
        "exit": PassHandler(),
        "conditional": ConditionalHandler(),
        "tool": ToolHandler(),
        "codergen": agent,
    }


def _now() -> datetime:
    return datetime.now().astimezone()
