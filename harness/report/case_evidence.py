"""Turns the evidence files of a case into values a page can show: events, stage attempts, commits, turns.

Rules: pure functions of bytes, tolerant by design: the file may be torn, of another engine, or hostile,
and a report must still come out. What could not be read is counted and told. Judging is not done here
(the checks did), only telling. Knows event and turn names of the contracts, no engine code.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from harness.report.wording import clip, instant, one_line

__all__ = [
    "Attempt",
    "Commit",
    "Event",
    "Turn",
    "offset_ms",
    "outcomes",
    "read_commits",
    "read_events",
    "read_turns",
    "stage_attempts",
]

Fields = Mapping[str, object]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    seq: str
    name: str
    at: datetime.datetime | None
    node: str
    attempt: int | None
    status: str
    reason: str  # of a failure
    detail: str  # the other fields, one line
    tone: str  # "", "good", "bad", "warn": how a reader should take it


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of one stage; `end` is None when its end was never told."""

    node: str
    number: int
    start: datetime.datetime
    end: datetime.datetime | None
    outcome: str  # success, partial, retry, fail, skipped, open
    reason: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    sha: str
    subject: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    depth: str
    kind: str  # the type's last name
    node: str
    detail: str


# How an engine's word for the end of a stage is shown.
_OUTCOMES = {
    "success": "success",
    "succeeded": "success",
    "ok": "success",
    "partial_success": "partial",
    "retry": "retry",
    "fail": "fail",
    "failed": "fail",
    "error": "fail",
    "timeout": "fail",
    "canceled": "fail",
    "skipped": "skipped",
}
_TONES = {
    "run_completed": "good",
    "run_failed": "bad",
    "run_canceled": "bad",
    "run_resumed": "warn",
    "loop_restart": "warn",
    "loop_restart_blocked": "bad",
    "loop_restart_circuit_breaker": "bad",
    "stage_retry_blocked": "bad",
    "stage_retry_sleep": "warn",
    "cxdb_degraded": "warn",
    "cxdb_recovered": "good",
}
_REASON_KEYS = ("failure_reason", "reason", "error")
_NODE_KEYS = ("node_id", "node", "from", "from_node", "stage")
# Shown in columns of their own, or the same on every line.
_TOLD_ELSEWHERE = frozenset(
    {"seq", "ts", "timestamp", "time", "run_id", "event", "node_id", "node", "attempt", "status"}
)


def read_events(data: bytes) -> tuple[list[Event], int]:
    """The events of a progress file, and how many lines were none."""
    events: list[Event] = []
    unreadable = 0
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        fields = _object(line)
        if fields is None or "event" not in fields:
            unreadable += 1
        else:
            events.append(_event(fields))
    return events, unreadable


def _event(fields: Fields) -> Event:
    name = one_line(str(fields["event"]), 80)
    status = one_line(str(fields.get("status") or ""), 40)
    tone = _TONES.get(name, "")
    if name == "stage_attempt_end":
        outcome = _OUTCOMES.get(status.lower(), "")
        tone = {"success": "good", "partial": "good", "fail": "bad", "retry": "warn"}.get(outcome, "")
    return Event(
        seq=one_line(str(fields.get("seq", "")), 12),
        name=name,
        at=instant(str(fields.get("ts") or fields.get("timestamp") or fields.get("time") or "")),
        node=_node(fields),
        attempt=_number(fields.get("attempt")),
        status=status,
        reason=_first(fields, _REASON_KEYS, 300),
        detail=_detail(fields, _TOLD_ELSEWHERE),
        tone=tone,
    )


def stage_attempts(events: Sequence[Event]) -> list[Attempt]:
    """Starts and ends of stages brought together, in the order they started."""
    attempts: list[Attempt] = []
    waiting: dict[tuple[str, int | None], int] = {}  # where the attempt that has not ended stands
    for event in events:
        key = (event.node, event.attempt)
        if event.at is None:
            continue
        if event.name in ("stage_attempt_start", "stage_started"):
            waiting[key] = len(attempts)
            attempts.append(_begun(event, event.at))
        elif event.name in ("stage_attempt_end", "stage_finished") and key in waiting:
            place = waiting.pop(key)
            attempts[place] = dataclasses.replace(
                attempts[place],
                end=event.at,
                outcome=_OUTCOMES.get(event.status.lower(), "fail"),
                reason=event.reason,
            )
    return attempts


def _begun(event: Event, at: datetime.datetime) -> Attempt:
    return Attempt(node=event.node, number=event.attempt or 1, start=at, end=None, outcome="open", reason="")


def outcomes(attempts: Iterable[Attempt]) -> dict[str, str]:
    """The last outcome of every node that was reached."""
    return {attempt.node: attempt.outcome for attempt in attempts}


def read_commits(data: bytes) -> list[Commit]:
    """Commits from JSON (a list, or one object a line) or from text lines `<sha> <subject>`."""
    rows = _objects(data, "commits")
    if rows is not None:
        return [_commit(row) for row in rows]
    return [commit for line in data.decode("utf-8", "replace").split("\n") if (commit := _commit_line(line))]


def _commit_line(line: str) -> Commit | None:
    """A line of `git log`, with or without the lines of `--graph`; None for those between commits."""
    sha, _, subject = line.strip().lstrip("*|/\\_ ").partition(" ")
    if not 7 <= len(sha) <= 64 or not all(digit in "0123456789abcdef" for digit in sha):
        return None
    return Commit(sha=sha, subject=one_line(subject))


def _commit(row: Fields) -> Commit:
    sha = next((str(row[key]) for key in ("sha", "hash", "commit", "id", "oid") if row.get(key)), "")
    subject = str(row.get("subject") or row.get("message") or "").split("\n", 1)[0]
    return Commit(sha=one_line(sha, 40), subject=one_line(subject))


def read_turns(data: bytes) -> list[Turn]:
    """Turns as CXDB's HTTP answer holds them, as a list, or one object a line."""
    return [_turn(row) for row in _objects(data, "turns") or []]


def _turn(row: Fields) -> Turn:
    declared = row.get("declared_type")
    kind = declared.get("type_id") if isinstance(declared, dict) else row.get("type_id") or row.get("type")
    data = row.get("data") if isinstance(row.get("data"), dict) else row.get("payload")
    fields: Fields = data if isinstance(data, dict) else {}
    return Turn(
        depth=one_line(str(row.get("depth", "")), 12),
        kind=one_line(str(kind or "unknown").rpartition(".")[2], 60),
        node=_node(fields),
        detail=_detail(fields, frozenset({"run_id", "node_id", "node", "graph_dot", "timestamp_ms"})),
    )


def offset_ms(moment: datetime.datetime | None, origin: datetime.datetime | None) -> float | None:
    if moment is None or origin is None:
        return None
    return (moment - origin).total_seconds() * 1000


def _object(line: bytes) -> dict[str, object] | None:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _objects(data: bytes, key: str) -> list[Fields] | None:
    """The objects of a JSON document (a list, or one under `key`) or of JSON lines; None for other text."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        rows = [_object(line) for line in data.split(b"\n") if line.strip()]
        known = [row for row in rows if row is not None]
        return list(known) if known else None
    if isinstance(value, dict):
        value = value.get(key, [value])
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else None


def _node(fields: Fields) -> str:
    return _first(fields, _NODE_KEYS, 60)


def _first(fields: Fields, keys: Sequence[str], limit: int) -> str:
    return next((one_line(str(fields[key]), limit) for key in keys if fields.get(key)), "")


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _detail(fields: Fields, leave_out: frozenset[str]) -> str:
    parts = []
    for name, value in fields.items():
        if name in leave_out or value in (None, "", [], {}):
            continue
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8", "replace")
        parts.append(f"{one_line(name, 40)}={one_line(text, 120)}")
    return clip("  ".join(parts), 320)
