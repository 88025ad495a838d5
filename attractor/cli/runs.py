"""`attractor status`, `stop` and `runs`: looking at runs and ending them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import click

from attractor.app import (
    RunStatus,
    RunView,
    find_run,
    known_runs,
    latest_run,
    prune_run,
    stop_run,
    view_run,
)
from attractor.cli.answer import question_lines
from attractor.cli.paths import absolute
from attractor.cli.progress import line_of
from attractor.errors import RunDirectoryError, UsageError
from attractor.rundir import read_events

POLL_SECONDS = 0.1
_COLOURS = {"success": "green", "fail": "red", "crashed": "red", "canceled": "yellow", "running": "cyan"}


@click.command()
@click.option("--logs-root", metavar="L", help="The run's directory.")
@click.option("--latest", is_flag=True, help="The run that was started last.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--follow", is_flag=True, help="Show events until the run ends.")
def status(logs_root: str | None, latest: bool, as_json: bool, follow: bool) -> int:
    """Show where a run stands: running, success, fail, canceled or crashed."""
    if (logs_root is not None) == latest:
        raise UsageError("name a run with --logs-root L, or take the newest with --latest")
    view = latest_run(os.environ) if latest else view_run(absolute(str(logs_root)))
    if follow:
        for event in _follow(view):
            text = json.dumps(event) if as_json else line_of(event)
            if text:
                click.echo(text)
        view = view_run(view.layout.root)
    _show(view, as_json=as_json)
    return 0


def _follow(view: RunView) -> Iterator[dict[str, object]]:
    seen = 0
    while True:
        # Looked at before reading: what is written after the last read of a finished run does not exist.
        running = view_run(view.layout.root).status is RunStatus.RUNNING
        for event in read_events(view.layout.progress, after_seq=seen):
            seen = event["seq"]
            yield event
        if not running:
            return
        time.sleep(POLL_SECONDS)


def _show(view: RunView, *, as_json: bool) -> None:
    data = view.to_json()
    if as_json:
        click.echo(json.dumps(data, indent=2))
        return
    click.echo(f"status={click.style(view.status.value, fg=_COLOURS[view.status.value])}")
    for key in (
        "run_id",
        "logs_root",
        "run_branch",
        "pid",
        "failure_reason",
        "failure_class",
        "total_tokens",
        "cost_usd",
        "final_git_commit_sha",
    ):
        if data[key]:
            click.echo(f"{key}={data[key]}")
    if view.newest:
        node = f" {view.newest['node_id']}" if "node_id" in view.newest else ""
        click.echo(f"last_event={view.newest['event']}{node} at {view.newest['ts']}")
    for branch in data["branches"]:
        newest = branch["last_event"]
        node = f" {newest['node_id']}" if "node_id" in newest else ""
        click.echo(f"branch={branch['branch']}  {newest['event']}{node} at {newest['ts']}")
    for line in question_lines(view):
        click.echo(line)
    if view.advice:
        click.echo(f"go on with: {view.advice}")


@click.command()
@click.option("--logs-root", metavar="L", required=True, help="The run's directory.")
@click.option("--grace-ms", type=click.IntRange(min=0), default=30_000, show_default=True, help="How long to wait.")
@click.option("--force", is_flag=True, help="SIGKILL the engine when the grace is over.")
def stop(logs_root: str, grace_ms: int, force: bool) -> int:
    """End a run in order: its stage is ended, its state kept, final.json says canceled."""
    stopped = stop_run(absolute(logs_root), grace_seconds=grace_ms / 1000, force=force)
    if stopped.how == "already":
        click.echo(f"not running: the run's status is {stopped.status}")
        return 0
    click.echo(f"{stopped.how}=true")
    click.echo(f"status={stopped.status}")
    return 0


@click.group()
def runs() -> None:
    """List, show, wait for and prune runs."""


@runs.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_runs(as_json: bool) -> int:
    """All runs known to this user, oldest first."""
    damaged: list[str] = []
    views = list(known_runs(os.environ, lambda place, why: damaged.append(f"damaged  {place}: {why}")))
    for line in damaged:
        click.echo(line, err=True)
    if as_json:
        click.echo(json.dumps([view.to_json() for view in views], indent=2))
        return 0
    width = max((len(view.manifest.run_id) for view in views), default=0)
    for view in views:
        word = click.style(f"{view.status.value:<8}", fg=_COLOURS[view.status.value])
        click.echo(f"{view.manifest.run_id:<{width}}  {word}  {view.manifest.start_time[:19]}Z  {view.layout.root}")
    if not views and not damaged:
        click.echo("no runs", err=True)
    return 0


@runs.command("show")
@click.argument("run_id")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_run(run_id: str, as_json: bool) -> int:
    """Show one run by its id."""
    _show(find_run(run_id, os.environ), as_json=as_json)
    return 0


@runs.command("wait")
@click.argument("run_id")
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds to wait at most.")
def wait_run(run_id: str, timeout: float | None) -> int:
    """Wait until a run has ended; exit 0 where it succeeded, 1 where not."""
    root = find_run(run_id, os.environ).layout.root
    deadline = None if timeout is None else time.monotonic() + timeout
    while (view := view_run(root)).status is RunStatus.RUNNING:
        if deadline is not None and time.monotonic() >= deadline:
            raise RunDirectoryError(f"run {run_id} is still running after {timeout:g} s")
        time.sleep(POLL_SECONDS)
    _show(view, as_json=False)
    return 0 if view.status is RunStatus.SUCCESS else 1


@runs.command("prune")
@click.argument("run_ids", nargs=-1)
@click.option("--finished", is_flag=True, help="All runs that ended with success.")
@click.option("--keep-branch", is_flag=True, help="Leave the run branches.")
def prune(run_ids: tuple[str, ...], finished: bool, keep_branch: bool) -> int:
    """Remove runs: logs, worktree and branch."""
    if bool(run_ids) == finished:
        raise UsageError("name the runs to remove, or pass --finished")
    views = (
        [view for view in known_runs(os.environ) if view.status is RunStatus.SUCCESS]
        if finished
        else [find_run(run_id, os.environ) for run_id in run_ids]
    )
    for view in views:
        kept = prune_run(view, os.environ, keep_branch=keep_branch)
        click.echo(f"pruned {view.manifest.run_id}" + (f"; {kept}" if kept else ""))
    return 0
