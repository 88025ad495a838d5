"""What the three protocols have in common: a reply as a list of events, and how an event is written. Pure."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from harness.provider.script import Answer

__all__ = ["Ask", "Reply", "Wire", "event", "events", "json_reply", "shell_that_writes"]


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """A request as far as an answer depends on it."""

    path: str
    body: Mapping[str, Any]
    number: int  # of the request, for ids

    def tools(self) -> tuple[str, ...]:
        """Names of the tools the program offers, whatever the protocol's nesting."""
        found: list[str] = []
        for tool in self.body.get("tools") or ():
            declared = tool.get("functionDeclarations") or tool.get("function_declarations") or (tool,)
            found += [str(item.get("name") or item.get("type") or "") for item in declared]
        return tuple(found)


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers and the body in the pieces in which it is sent."""

    status: int
    content_type: str
    pieces: tuple[bytes, ...]
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Wire(Protocol):
    """One provider's wire. Each is a module with these functions."""

    def is_turn(self, path: str) -> bool:
        """Whether a request to that path asks the model for its next turn."""
        ...

    def turn(self, answer: Answer, ask: Ask) -> Reply:
        """A `text`, `write` or `shell` answer."""
        ...

    def error(self, answer: Answer) -> dict[str, Any]:
        """The body of an `http` answer."""
        ...

    def aside(self, ask: Ask) -> Reply:
        """Any other request, which takes no answer of the script."""
        ...


def event(data: Mapping[str, Any], *, named: bool = False) -> bytes:
    """One server-sent event; `named` repeats the data's type in an event line."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    head = f"event: {data['type']}\n" if named else ""
    return f"{head}data: {text}\n\n".encode()


def events(parts: Sequence[Mapping[str, Any]], *, named: bool = False) -> Reply:
    return Reply(200, "text/event-stream", tuple(event(part, named=named) for part in parts))


def json_reply(status: int, value: object) -> Reply:
    return Reply(status, "application/json", (json.dumps(value).encode(),))


def shell_that_writes(files: Mapping[str, str]) -> str:
    """For programs whose only way to write is a command."""
    commands = []
    for path, text in files.items():
        folder = path.rpartition("/")[0]
        commands += [f"mkdir -p {shlex.quote(folder)}"] if folder else []
        commands.append(f"printf %s {shlex.quote(text)} > {shlex.quote(path)}")
    return " && ".join(commands)
