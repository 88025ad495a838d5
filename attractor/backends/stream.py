"""Agent programs' output streams, normalised: one JSON object a line in, events and running totals out.

A reader is fed whatever the program printed, line by line, and never raises for it: garbage and torn lines are
counted, huge lines are not parsed, texts are cut. `progress` grows only by work that is new: a finished tool or
item, a text not seen lately. Reconnect notices, heartbeats, retries and repetitions are liveness, not progress
(codex 0.169.0 without a network prints the same notice for ever).

Must not know: files, processes, what a failure means. Each program's own lines are read in its own file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

MAX_LINE_BYTES: Final = 8 << 20
MAX_EVENT_CHARS: Final = 2_000
MAX_FINAL_TEXT_CHARS: Final = 1 << 20
MAX_ERRORS_KEPT: Final = 50
RECENT_TEXTS: Final = 512

EventKind = Literal[
    "session", "message", "thinking", "tool_call", "tool_result", "usage", "error", "result", "notice", "unknown"
]


@dataclass(frozen=True, slots=True)
class AgentEvent:
    """One thing an agent did. `text` and `arguments` are excerpts; `ok` is None where the question makes no sense.

    `delta`: a message that goes on where the one before it ended.
    """

    kind: EventKind
    text: str = ""
    tool: str = ""
    tool_id: str = ""
    arguments: str = ""
    ok: bool | None = None
    delta: bool | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of the whole session so far.

    Every provider counts differently; here `input_tokens` is all that was sent, of which `cached_input_tokens` were
    read from and `cache_write_input_tokens` written to a cache, and `output_tokens` is all that was produced, of
    which `reasoning_tokens` were thought. `cost_usd` is the program's own figure, None where it gives none.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = None

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def since(self, before: Usage) -> Usage:
        """What was used behind `before`, of a program that counts its whole session. Never negative."""
        counts = {
            name: max(0, getattr(self, name) - getattr(before, name))
            for name in (
                "input_tokens",
                "cached_input_tokens",
                "cache_write_input_tokens",
                "output_tokens",
                "reasoning_tokens",
            )
        }
        return Usage(**counts, cost_usd=self.cost_usd)


@dataclass(frozen=True, slots=True)
class AgentError:
    """One error as the program told it, with what it told in structured form.

    `retrying`: the program said it would try again by itself. It explains an ending only if nothing came after it.
    """

    message: str
    http_status: int | None = None
    code: str | None = None
    retrying: bool = False


class StreamReader(ABC):
    """Totals over one run of an agent program. Subclasses read the lines; see `_read`."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.final_text = ""
        self.result: Literal["ok", "error"] | None = None
        self.session_id = ""
        self.model = ""
        self.progress = 0
        self.malformed_lines = 0
        self.recognised_lines = 0
        self.last_line_malformed = False
        self.reset_at_epoch: float | None = None
        self._errors: deque[AgentError] = deque(maxlen=MAX_ERRORS_KEPT)
        self._recent_errors = 0
        self._seen: deque[int] = deque(maxlen=RECENT_TEXTS)

    @property
    def errors(self) -> tuple[AgentError, ...]:
        """The last errors, oldest first."""
        return tuple(self._errors)

    @property
    def recent_errors(self) -> tuple[AgentError, ...]:
        """The errors since the last progress: what was overcome does not explain an ending."""
        recent = min(self._recent_errors, len(self._errors))
        return tuple(self._errors)[len(self._errors) - recent :]

    def feed(self, line: bytes) -> tuple[AgentEvent, ...]:
        """Take one line, with or without its end of line. Never raises; a line it cannot read gives `unknown`."""
        line = line.strip()
        if not line:
            return ()
        record = _decode(line) if len(line) <= MAX_LINE_BYTES else None
        kind = record.get("type") if record is not None else None
        self.last_line_malformed = not isinstance(kind, str)
        if record is None or not isinstance(kind, str):
            self.malformed_lines += 1
            return (AgentEvent("unknown", excerpt(line[: MAX_EVENT_CHARS * 4].decode("utf-8", "replace"))),)
        events = self._read(kind, record)
        if events is None:
            return (AgentEvent("unknown", excerpt(kind)),)
        self.recognised_lines += 1
        return events

    @abstractmethod
    def _read(self, kind: str, record: Mapping[str, Any]) -> tuple[AgentEvent, ...] | None:
        """Read one record of the program; None for a type it is not known to print. Must not raise."""

    def _advance(self, what: str) -> None:
        """Count progress, unless the same was counted lately."""
        key = hash(what)
        if key in self._seen:
            return
        self._seen.append(key)
        self.progress += 1
        self._recent_errors = 0

    def _add_error(self, error: AgentError) -> None:
        """Keep an error; the same one again and again is kept once."""
        if self._errors and self._errors[-1] == error:
            self._recent_errors = max(self._recent_errors, 1)
            return
        self._errors.append(error)
        self._recent_errors += 1


def _decode(line: bytes) -> dict[str, Any] | None:
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:  # one bad byte in a tool's output must not hide the whole record
            record = msgspec.json.decode(line.decode("utf-8", "replace"))
        except (msgspec.DecodeError, RecursionError):
            return None
    return record if isinstance(record, dict) else None


# --- reading values that may be of any type -----------------------------------------------------------------


def excerpt(text: str) -> str:
    """The text, cut to what an event carries."""
    return text if len(text) <= MAX_EVENT_CHARS else text[:MAX_EVENT_CHARS] + "…"


def text_of(record: Mapping[str, Any], key: str) -> str:
    """A text, '' for everything else."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def object_of(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object, empty for everything else."""
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def list_of(record: Mapping[str, Any], key: str) -> list[Any]:
    value = record.get(key)
    return value if isinstance(value, list) else []


def count_of(record: Mapping[str, Any], key: str) -> int:
    """A count of tokens: a whole number of at least 0, else 0."""
    value = record.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def status_of(record: Mapping[str, Any], key: str) -> int | None:
    """An HTTP status, as number or text."""
    value = record.get(key)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return value
    return None


def compact(value: Any) -> str:
    """Tool arguments as one line of JSON, cut."""
    try:
        return excerpt(msgspec.json.encode(value).decode("utf-8", "replace"))
    except (TypeError, ValueError, RecursionError, OverflowError):
        return ""


def embedded_error(message: str) -> AgentError:
    """The error inside a message that carries the provider's JSON body as text.

    Providers agree on `{"error": {"message": ..., "type" | "status" | "code": ...}}`, where `code` is a word or the
    HTTP status. Programs print it bare (codex), as `[API Error: {...}]` (gemini) or after a status (claude).
    """
    start = message.find("{")
    end = message.rfind("}")
    record = _decode(message[start : end + 1].encode("utf-8", "replace")) if 0 <= start < end else None
    if record is None or len(message) > MAX_LINE_BYTES:
        return AgentError(excerpt(message))
    error = object_of(record, "error") or record
    inner = text_of(error, "message") or text_of(error, "detail") or message
    code = text_of(error, "code") or text_of(error, "status") or text_of(error, "type") or None
    status = status_of(error, "code") or status_of(error, "status") or status_of(record, "status")
    if inner != message and inner.lstrip().startswith("{"):
        nested = embedded_error(inner)  # one level deeper each time, over a shorter text
        return AgentError(nested.message, nested.http_status or status, nested.code or code)
    return AgentError(excerpt(inner), status, code)
