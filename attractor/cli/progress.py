"""What an attached `run` or `resume` shows while it works: one short line an event worth reading, on stderr."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from attractor.cli.output import say

Event = dict[str, Any]


def _attempt_end(event: Event) -> str:
    good = event["status"] in ("success", "partial_success", "skipped")
    mark = click.style("ok  ", fg="green") if good else click.style("FAIL", fg="red")
    line = f"{mark} {event['node_id']}  {_duration(event['duration_ms'])}"
    if event["attempt"] > 1 or event.get("will_retry"):
        line += f"  attempt {event['attempt']}"
    if event.get("failure_reason"):
        line += f"  {event['failure_reason']} ({event.get('failure_class', '?')})"
    return line


def _heartbeat(event: Event) -> str:
    line = f"...  {event['node_id']}  running for {_duration(event['elapsed_ms'])}"
    doing = " ".join(str(event[key]) for key in ("activity", "tool") if event.get(key))
    return f"{line}  {doing}" if doing else line


def _asked(event: Event) -> str:
    choices = ", ".join(f"[{option['key']}] {option['label']}" for option in event.get("options", []))
    return f"ask  {event['question_id']}  {event['text']}  {choices or 'any text'}"


def _answered(event: Event) -> str:
    who = f" by {event['who']}" if event.get("who") else ""
    return f"...  {event['node_id']}  answered: {event.get('label') or event.get('text') or event['answer']}{who}"


def _duration(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


_LINES: dict[str, Callable[[Event], str]] = {
    "run_started": lambda e: f"run {e['run_id']}  {e['logs_root']}",
    "run_resumed": lambda e: f"resumed {e['run_id']}  after {e['after_node'] or 'the start'}",
    "stage_attempt_end": _attempt_end,
    "stage_heartbeat": _heartbeat,
    "interview_started": _asked,
    "interview_timeout": lambda e: f"...  {e['node_id']}  nobody answered within {_duration(e['duration_ms'])}",
    "interview_completed": _answered,
    "agent_failover": lambda e: f"...  {e['node_id']}  goes on with {e['to_provider']}:{e['to_model']}: {e['reason']}",
    "agent_escalation": lambda e: f"...  {e['node_id']}  takes {e['provider']}:{e['model']}",
    "stage_retry_sleep": lambda e: f"...  {e['node_id']}  next attempt in {_duration(e['delay_ms'])}",
    "foreign_work_kept": lambda e: f"the run's branch was moved by somebody; what it held is kept as {e['reference']}",
    "loop_restart": lambda e: f"loop restart {e['restart_count']}  at {e['to']}",
    "loop_restart_blocked": lambda e: f"loop restart blocked: {e['failure_class']}",
    "loop_restart_circuit_breaker": lambda e: f"circuit breaker: the same failure {e['count']} times",
    "cxdb_degraded": lambda e: f"CXDB lost: {e['reason']}; the run goes on",
    "cxdb_recovered": lambda e: f"CXDB is back after {_duration(e['outage_ms'])}",
}


def line_of(event: Event) -> str | None:
    """The line for one event, None for events that are not shown."""
    make = _LINES.get(event["event"])
    return make(event) if make else None


def show(event: Event, _line: bytes) -> None:
    """An `EventLog` listener that prints, as long as there is somebody to print for."""
    line = line_of(event)
    if line is not None and event["event"] != "interview_started":  # whoever asks has shown it, in branches too
        say(line)
