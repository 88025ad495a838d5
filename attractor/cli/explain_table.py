"""An explanation as text for people: aligned, wrapped to the terminal, safe to print."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from attractor.cli.explanation import Effective, Explanation, Given, ValueSource
from attractor.cli.ways_out import RouteKind, WayOut
from attractor.graph import DEFAULT_HANDLER_TYPE, Graph, Node, fidelity_along, thread_along

MIN_WIDTH = 40
# A prompt may have pages; its beginning is enough to know it again. --json has all of it.
SHOWN_CHARACTERS = 240


def rendered(
    graph: Graph,
    explanation: Explanation,
    ways: Sequence[WayOut],
    agent: Mapping[str, Any] | None,
    *,
    width: int,
    colours: bool,
) -> str:
    """The whole explanation, ending in a newline."""
    stream = io.StringIO()
    console = Console(file=stream, width=max(width, MIN_WIDTH), force_terminal=colours, highlight=False)
    node = explanation.node
    console.print(Text.assemble((node.id, "bold"), f"  {node.span.place}"), soft_wrap=True)
    console.print(_facts(explanation, agent))
    console.print()
    console.print(_attributes(explanation.attributes))
    console.print()
    if ways:
        console.print(_ways(graph, node, ways))
    else:
        console.print("no ways out: the run ends behind this node")
    # Cells are padded to the column's width; at the end of a line that is only noise.
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def _facts(explanation: Explanation, agent: Mapping[str, Any] | None) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    table.add_row("handler", _text(f"{explanation.handler_type}  ({explanation.handler_reason})"))
    for name, origin in explanation.classes:
        table.add_row("class", _text(f"{name}  ({_source(origin)}{_at(origin)})"))
    if agent is not None:
        for word, value in _agent_rows(agent):
            table.add_row(word, _text(value))
    return table


def _agent_rows(agent: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "problem" in agent:
        return [("agent", f"cannot run: {agent['problem']}")]
    rows = [("agent", agent["runs"])]
    if agent["escalation"]:
        rows.append(("", f"out of budget: {', then '.join(agent['escalation'])}"))
    if agent["failover"]:
        rows.append(("", f"provider down: {', then '.join(agent['failover'])}"))
    return rows


def _attributes(attributes: Sequence[Effective]) -> Table:
    table = _table("attribute", "value", "from", "at")
    table.columns[0].no_wrap = True
    for effective in attributes:
        given = effective.given
        table.add_row(effective.key, _value(given.value), _text(_source(given)), _place(given))
        if given.before is not None:
            table.add_row("", _value(given.before), "before $goal was put in", "", style="dim")
        for other in effective.passed_over:
            table.add_row("", _value(other.value), _text(f"not used: {_source(other)}"), _place(other), style="dim")
    return table


def _ways(graph: Graph, node: Node, ways: Sequence[WayOut]) -> Table:
    """Columns that would be empty are left out."""
    heads = ("", "to", "taken", "label", "weight", "context given", "at")
    rows = [_way(graph, node, number, way) for number, way in enumerate(ways, start=1)]
    used = [column for column in range(len(heads)) if any(row[column] for row in rows)]
    table = _table(*(heads[column] for column in used))
    for row in rows:
        table.add_row(*(row[column] for column in used))
    return table


def _way(graph: Graph, node: Node, number: int, way: WayOut) -> tuple[Text, ...]:
    edge = way.edge
    cells = (
        str(number),
        way.target_id,
        _taken(way),
        edge.label if edge else "",
        str(edge.weight) if edge and edge.weight else "",
        _context(graph, node, way),
        edge.span.place if edge else "",
    )
    return tuple(_text(cell) for cell in cells)


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _taken(way: WayOut) -> str:
    condition = way.edge.condition_text if way.edge is not None else ""
    restart = "; restarts the run" if way.edge is not None and way.edge.loop_restart else ""
    if way.kind is RouteKind.BRANCH:
        return f"in parallel, when {condition}" if condition else "in parallel"
    if way.kind is RouteKind.CONDITION:
        return f"when {condition}{restart}"
    if way.kind is RouteKind.UNCONDITIONAL:
        return f"else, {_after(way)}{restart}"
    if way.kind is RouteKind.JOIN:
        return f"where the branches meet, {_after(way)}"
    return f"else, after a failure: {way.kind.value}"


def _after(way: WayOut) -> str:
    return "whatever the outcome" if way.on_failure else "after a success"


def _context(graph: Graph, node: Node, way: WayOut) -> str:
    """What an agent at the other end is told of the run so far."""
    target = graph.nodes.get(way.target_id)
    if target is None:
        return "there is no such node"
    if target.handler_type != DEFAULT_HANDLER_TYPE:
        return ""
    fidelity, source = fidelity_along(graph, target, way.edge)
    if fidelity != "full":
        return f"{fidelity} ({source})"
    thread, thread_source = thread_along(graph, node.id, target, way.edge)
    return f"full ({source}), thread {thread} ({thread_source})"


def _source(given: Given) -> str:
    if not given.detail:
        return given.source.value
    is_aside = given.source in (ValueSource.BUILT_IN, ValueSource.CONFIGURATION)
    return f"{given.source.value} ({given.detail})" if is_aside else f"{given.source.value} {given.detail}"


def _place(given: Given) -> Text:
    return _text(given.place.place if given.place is not None else "")


def _at(given: Given) -> str:
    return f", {given.place.place}" if given.place is not None else ""


def _value(text: str) -> Text:
    if len(text) > SHOWN_CHARACTERS:
        return _text(f"{text[:SHOWN_CHARACTERS]}… ({len(text):,} characters)")
    return _text(text) if text else Text('""', style="dim")


def _text(text: str) -> Text:
    """Without what would disturb a terminal or the table; as Text, in which no markup is looked for."""
    return Text("".join(c if c.isprintable() or c == "\n" else " " if c.isspace() else "�" for c in text))
