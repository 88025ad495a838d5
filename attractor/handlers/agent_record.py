"""What the run's own log says of an agent's steps: its messages and tool calls, from which CXDB's turns are made.

The stage's `events.ndjson` has every event of the stream; here is what a person follows a run by, and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from attractor.backends import AgentEvent
from attractor.contracts import EventName

# A program that talks for ever must not fill the run's log.
MAX_RECORDED_EVENTS = 2_000
MAX_MESSAGE_CHARACTERS = 8_000


@dataclass(slots=True)
class AgentRecord:
    """Tells `emit` of one program's steps. `node_id`, `attempt` and `model` are repeated in its events."""

    emit: Callable[..., object]
    node_id: str
    attempt: int
    model: str
    _recorded: int = 0
    _message: str = ""
    _tools: dict[str, str] = field(default_factory=dict)

    @property
    def tool_calls(self) -> int:
        """How many tool calls the program has made so far."""
        return len(self._tools)

    def saw(self, event: AgentEvent) -> None:
        """Take the stream's next event. A message that comes in pieces is told when it is whole."""
        if event.kind == "message":
            if not event.delta:
                self._tell_message()
            self._message = (self._message + event.text)[:MAX_MESSAGE_CHARACTERS]
            return
        self._tell_message()
        if not event.tool_id:
            return
        # Results name their call, not always its tool; codex tells of some calls by their end only.
        name = self._tools.setdefault(event.tool_id, event.tool)
        told = {"tool": name, "tool_id": event.tool_id}
        if event.kind == "tool_call":
            self._tell(EventName.AGENT_TOOL_CALL, **told, arguments=event.arguments)
        elif event.kind == "tool_result":
            self._tell(EventName.AGENT_TOOL_RESULT, **told, output=event.text, is_error=event.ok is False)

    def finish(self) -> None:
        """The stream has ended."""
        self._tell_message()

    def _tell_message(self) -> None:
        if self._message:
            self._tell(EventName.AGENT_MESSAGE, model=self.model, text=self._message)
            self._message = ""

    def _tell(self, name: EventName, **facts: Any) -> None:
        if self._recorded < MAX_RECORDED_EVENTS:
            self._recorded += 1
            self.emit(name, node_id=self.node_id, attempt=self.attempt, **facts)
