"""What nodes do: one file a kind. `HANDLERS` is the registry (spec 4.2)."""

from collections.abc import Mapping

from attractor.contracts import Handler
from attractor.handlers.simple import ConditionalHandler, PassHandler
from attractor.handlers.tool import ToolHandler

HANDLERS: Mapping[str, Handler] = {
    "start": PassHandler(),
    "exit": PassHandler(),
    "conditional": ConditionalHandler(),
    "tool": ToolHandler(),
}

__all__ = ["HANDLERS", "ConditionalHandler", "PassHandler", "ToolHandler"]
