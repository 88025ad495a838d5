"""`attractor cxdb`: what CXDB has of a run."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from attractor.app import RecordedContext, RunStatus, flush_run, latest_run, newest_turns, recorded_contexts, view_run
from attractor.cli.paths import absolute
from attractor.cxdb import StoredTurn, described
from attractor.errors import UsageError
from attractor.rundir import rfc3339

POLL_SECONDS = 0.5
TEXT_CHARACTERS = 100
_F = TypeVar("_F", bound=Callable[..., Any])


def _of_a_run(command: _F) -> _F:
    command = click.option("--latest", is_flag=True, help="The run that was started last.")(command)
    return click.option("--logs-root", metavar="L", help="The run's directory.")(command)


def _root(logs_root: str | None, latest: bool) -> Path:
    if (logs_root is not None) == latest:
        raise UsageError("name a run with --logs-root L, or take the newest with --latest")
    return latest_run(os.environ).layout.root if latest else absolute(str(logs_root))


@click.group()
def cxdb() -> None:
    """What CXDB has of a run: its contexts and their turns."""


@cxdb.command()
@_of_a_run
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, a context each.")
def show(logs_root: str | None, latest: bool, as_json: bool) -> int:
    """The contexts of a run and its branches, with the number of turns of each type."""
    contexts = list(recorded_contexts(_root(logs_root, latest)))
    if as_json:
        click.echo(json.dumps([_facts(context) for context in contexts], indent=2))
        return 0
    for context in contexts:
        facts = _facts(context)
        click.echo(f"{context.path or 'run'}: context {context.context_id or 'none'} at {context.address}")
        click.echo(f"  {len(context.turns)} turns: " + ", ".join(f"{n} {name}" for name, n in facts["types"].items()))
        for problem in context.problems:
            click.echo(f"  {problem}")
    return 0


@cxdb.command()
@_of_a_run
@click.option("-n", "count", type=click.IntRange(min=1), default=20, show_default=True, help="How many of the newest.")
@click.option("--follow", is_flag=True, help="Show new ones until the run ends.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def tail(logs_root: str | None, latest: bool, count: int, follow: bool, as_json: bool) -> int:
    """The newest turns of a run's context, as CXDB has them."""
    root = _root(logs_root, latest)
    newest = 0
    while True:
        running = view_run(root).status is RunStatus.RUNNING
        turns = newest_turns(root, count)
        for turn in turns:
            if turn.turn_id > newest:
                click.echo(json.dumps(_turn(turn)) if as_json else _line(turn))
        newest = turns[-1].turn_id if turns else newest
        if not (follow and running):
            return 0
        count = max(count, 1000)
        time.sleep(POLL_SECONDS)


@cxdb.command()
@_of_a_run
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, a context each.")
def check(logs_root: str | None, latest: bool, as_json: bool) -> int:
    """Compare CXDB with progress.ndjson: every turn once, in order, and no other. Exit 1 where it is not so."""
    contexts = list(recorded_contexts(_root(logs_root, latest)))
    wrong = [context for context in contexts if context.problems]
    if as_json:
        click.echo(json.dumps([_facts(context) for context in contexts], indent=2))
    else:
        for context in contexts:
            said = "; ".join(context.problems) or f"ok, {len(context.turns)} turns"
            click.echo(f"{context.path or 'run'}: context {context.context_id or 'none'}: {said}")
    return 1 if wrong else 0


@cxdb.command()
@_of_a_run
def flush(logs_root: str | None, latest: bool) -> int:
    """Ship what CXDB lacks of a run that nobody is at work on. Exit 1 where something is still missing."""
    flushed = flush_run(_root(logs_root, latest))
    click.echo(f"context_id={flushed.context_id}")
    click.echo(f"pending_turns={flushed.pending}")
    if flushed.outage and flushed.pending:
        click.echo(f"outage={flushed.outage}")
    if flushed.files_missing:
        click.echo(f"files_missing={flushed.files_missing}")
    return 1 if flushed.pending or flushed.files_missing else 0


def _facts(context: RecordedContext) -> dict[str, Any]:
    types = Counter(described(turn.type_id, turn.payload)[0] for turn in context.turns)
    return {
        "branch": context.path,
        "context_id": context.context_id,
        "address": context.address,
        "turns": len(context.turns),
        "head_turn_id": str(context.turns[-1].turn_id) if context.turns else "",
        "types": dict(sorted(types.items())),
        "problems": list(context.problems),
    }


def _turn(turn: StoredTurn) -> dict[str, Any]:
    name, fields = described(turn.type_id, turn.payload)
    return {"turn_id": str(turn.turn_id), "depth": turn.depth, "type": name, **fields}


def _line(turn: StoredTurn) -> str:
    name, fields = described(turn.type_id, turn.payload)
    at = fields.get("timestamp_ms")
    stamp = rfc3339(datetime.fromtimestamp(at / 1000, UTC)) if isinstance(at, int) else ""
    rest = {key: value for key, value in fields.items() if key not in ("run_id", "timestamp_ms", "event_part")}
    told = "  ".join(f"{key}={_short(value)}" for key, value in rest.items())
    return f"{turn.turn_id}  {name}  {stamp}  {told}"


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= TEXT_CHARACTERS else f"{text[:TEXT_CHARACTERS]}..."
