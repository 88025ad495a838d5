"""`attractor graph`: a graph, or how a run went on it, as a picture."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from attractor.app import RunStatus, RunView, view_run
from attractor.cli.output import say
from attractor.cli.paths import absolute, read_graph
from attractor.cli.trace import NodeState, Trace, trace_of
from attractor.errors import RunDirectoryError, UsageError
from attractor.extensions import installed_extensions
from attractor.rundir import Event, Layout, branch_layouts, read_events

KINDS = ("svg", "png", "pdf")
_RESTART_FOLDER = re.compile(r"restart-([1-9][0-9]*)\Z")
_SHOWN_REASON = 160


@click.command()
@click.argument("graph_path", required=False, metavar="[G]")
@click.option(
    "-o", "--output", required=True, metavar="F", help="Where to draw; .svg, .png or .pdf decides the format."
)
@click.option(
    "--logs-root",
    metavar="L",
    help="Colour it by this run, or by a part of it: a restart-<n> folder, a branch, a child.",
)
def graph(graph_path: str | None, output: str, logs_root: str | None) -> int:
    """Draw a graph with Graphviz; with --logs-root as a run has gone through it, G by default its own."""
    kind = Path(output).suffix.lstrip(".").lower()
    if kind not in KINDS:
        raise UsageError(f"cannot draw {output!r}: its ending is not .svg, .png or .pdf")
    if graph_path is None and logs_root is None:
        raise UsageError("there is nothing to draw", hint="name a graph file, or a run with --logs-root L")
    from attractor.cli.drawing import draw  # pydot and its parser: only here

    run = _Round(absolute(logs_root)) if logs_root is not None else None
    if graph_path is not None:
        validation = installed_extensions().validate(read_graph(graph_path), graph_path)
    else:
        assert run is not None
        validation = installed_extensions().validate(run.graph_text(), str(run.base.graph))
    drawn = validation.require()
    if run is None:
        draw(drawn, Path(output), kind)
    else:
        trace = run.trace()
        unknown = [node_id for node_id in trace.nodes if node_id not in drawn.nodes]
        if unknown:
            say(f"the run has nodes that this graph does not have: {', '.join(unknown)}")
        draw(drawn, Path(output), kind, trace=trace, caption=run.caption(trace))
    click.echo(output)
    return 0


class _Round:
    """A run; or a part of one that has a folder of its own: a round (a loop restart), a branch, a manager's child.

    A part has no lock: whether anybody is at work on it is its run's to say.
    """

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        match = _RESTART_FOLDER.fullmatch(root.name)
        is_round = match is not None and Layout(root.parent).manifest.exists()
        self.number = int(match.group(1)) if match is not None and is_round else 0
        self.base = Layout(root.parent) if is_round else self.layout
        self.view: RunView = view_run(self.base.root)
        owner = _owner_of(self.base)
        self._is_part = owner is not None
        self._works = (view_run(owner.root) if owner is not None else self.view).status is RunStatus.RUNNING

    def graph_text(self) -> bytes:
        """The run's own copy of its graph; a fan-out's branch has its run's, or its child pipeline's."""
        top = _owner_of(self.base) or self.base
        folders = [self.base.root, *(parent for parent in self.base.root.parents if parent.is_relative_to(top.root))]
        holder = next((Layout(place) for place in folders if Layout(place).graph.exists()), self.base)
        try:
            return holder.graph.read_bytes()
        except OSError as error:
            raise RunDirectoryError(
                f"cannot read the run's graph: {self.base.graph}: {error.strerror or error}",
                hint="name the graph file it was started with",
            ) from error

    def trace(self) -> Trace:
        logs = [self.layout, *_own_branches(self.layout)]
        events = heapq.merge(*(_events(number, log) for number, log in enumerate(logs)), key=_time)
        return trace_of(events, now=datetime.now(UTC) if self._is_alive() else None)

    def caption(self, trace: Trace) -> str:
        """Who, how it ended or stands, how long; why, on a second line."""
        name = f"{self.view.manifest.run_id}, restart {self.number}" if self.number else self.view.manifest.run_id
        words = [f"{name}: {self._status()}" if self._is_newest() else name]
        if trace.restarts and not self.number:
            words.append(f"{trace.restarts} restart{'s' * (trace.restarts != 1)}")
        if trace.started:
            words.append(_elapsed(trace.started, None if self._is_alive() else trace.newest))
        final = self.view.final
        reason = final.failure_reason if final is not None and self._is_newest() else ""
        shown = reason if len(reason) <= _SHOWN_REASON else f"{reason[:_SHOWN_REASON]}…"
        return ", ".join(words) + (f"\n{shown}" if shown else "")

    def _status(self) -> str:
        if not self._is_part:
            return self.view.status.value
        if self.base.branch_result.exists():
            return "finished"
        return RunStatus.RUNNING.value if self._works else NodeState.INTERRUPTED.value

    def _is_newest(self) -> bool:
        return not self.number or not self.base.restart(self.number + 1).root.is_dir()

    def _is_alive(self) -> bool:
        return self._works and self._is_newest() and not (self._is_part and self.base.branch_result.exists())


def _owner_of(layout: Layout) -> Layout | None:
    """The run that a branch's or child's folder belongs to; None for a run's own."""
    folders = [parent.parent for parent in layout.root.parents if parent.name == layout.branches.name]
    if not folders:
        return None
    outermost = folders[-1]
    return Layout(outermost.parent if _RESTART_FOLDER.fullmatch(outermost.name) else outermost)


def _own_branches(layout: Layout) -> Iterator[Layout]:
    """The branches that walk this graph. A manager's child has a graph of its own, and so have all below it."""
    others: list[Path] = []
    for branch in branch_layouts(layout):
        if branch.graph.exists() or any(branch.root.is_relative_to(root) for root in others):
            others.append(branch.root)
        else:
            yield branch


def _events(number: int, layout: Layout) -> Iterator[tuple[int, Event]]:
    for event in read_events(layout.progress):
        yield number, event


def _time(numbered: tuple[int, Event]) -> str:
    return str(numbered[1].get("ts", ""))


def _elapsed(first: str, last: str | None) -> str:
    """Between two events, or since one of them."""
    from attractor.cli.drawing import duration

    try:
        end = datetime.now(UTC) if last is None else datetime.fromisoformat(last)
        return duration((end - datetime.fromisoformat(first)).total_seconds() * 1000)
    except (ValueError, TypeError) as error:
        raise RunDirectoryError(f"the time of an event cannot be read: {error}") from error
