"""`attractor explain`: where a node's attributes, handler, classes and ways out come from."""

from __future__ import annotations

import difflib
import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from attractor.cli.explanation import Explanation, Given, ValueSource, explain_node
from attractor.cli.paths import absolute, read_graph
from attractor.cli.ways_out import WayOut, ways_out
from attractor.config import RunConfig, load_run_config
from attractor.contracts import AgentSettings
from attractor.errors import GraphError, UsageError
from attractor.extensions import installed_extensions
from attractor.graph import DEFAULT_HANDLER_TYPE, Graph, Node, fidelity_along, thread_along
from attractor.graph import read_graph as read_graph_text
from attractor.handlers import escalation_models, failover_models, primary_model
from attractor.lint import Severity
from attractor.source import Span

# Where nobody says how wide the terminal is: a pipe, a file.
FALLBACK_WIDTH = 100


@click.command()
@click.argument("graph_path", metavar="G")
@click.argument("node_id", metavar="NODE")
@click.option("--config", metavar="C", help="The run configuration: what it gives to nodes without their own.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(graph_path: str, node_id: str, config: str | None, as_json: bool) -> int:
    """Show where each attribute of a node comes from, and in which order its ways out are looked at."""
    run_config = load_run_config(absolute(config, "--config")) if config is not None else RunConfig()
    graph = _readable(graph_path)
    node = graph.nodes.get(node_id)
    if node is None:
        raise UsageError(f"{graph_path} has no node {node_id!r}", hint=_nearest(node_id, graph.nodes))
    explanation = explain_node(graph, node, _configured(run_config))
    ways = ways_out(graph, node)
    agent = _agent(node, run_config.agents)
    if as_json:
        click.echo(json.dumps(_as_json(graph, explanation, ways, agent), indent=2))
    else:
        from attractor.cli.explain_table import rendered  # rich: only where a table is shown

        width = shutil.get_terminal_size((FALLBACK_WIDTH, 24)).columns
        click.echo(rendered(graph, explanation, ways, agent, width=width, colours=sys.stdout.isatty()), nl=False)
    return 0


def _readable(name: str) -> Graph:
    """The graph, also with findings of the linter: they are often why somebody asks. Not with what was not read."""
    graph, problems, is_whole = read_graph_text(
        read_graph(name), name, transforms=installed_extensions().guarded_transforms()
    )
    errors = tuple(problem for problem in problems if problem.severity is Severity.ERROR)
    if graph is None or errors or not is_whole:
        raise GraphError(f"the graph cannot be read: {len(errors)} error{'s' * (len(errors) != 1)}", diagnostics=errors)
    return graph


def _nearest(wanted: str, ids: Iterable[str]) -> str:
    by_folded = {node_id.casefold(): node_id for node_id in ids}
    near = difflib.get_close_matches(wanted.casefold(), by_folded, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(by_folded[name] for name in near)}?"
    shown = list(by_folded.values())[:10]
    more = ", ..." if len(by_folded) > len(shown) else ""
    return f"its nodes are {', '.join(shown)}{more}" if shown else "it has no nodes at all"


def _configured(config: RunConfig) -> dict[str, Given]:
    if config.stage_timeout_seconds is None:
        return {}
    place = f"{Path(config.file).name}: runtime_policy.stage_timeout_ms"
    return {"timeout": Given(f"{config.stage_timeout_seconds:g}s", ValueSource.CONFIGURATION, place)}


def _agent(node: Node, settings: AgentSettings) -> Mapping[str, Any] | None:
    """What an agent stage runs; None for other nodes. `problem`: why it cannot run as things are."""
    if node.handler_type != DEFAULT_HANDLER_TYPE:
        return None
    try:
        primary = primary_model(node, settings)
        return {
            "runs": str(primary),
            "escalation": [str(choice) for choice in escalation_models(node)],
            "failover": [str(choice) for choice in failover_models(primary.provider, settings)],
        }
    except ValueError as error:
        return {"problem": str(error)}


def _as_json(
    graph: Graph, explanation: Explanation, ways: Iterable[WayOut], agent: Mapping[str, Any] | None
) -> dict[str, Any]:
    node = explanation.node
    return {
        "node": node.id,
        **_place(node.span),
        "handler": {"type": explanation.handler_type, "reason": explanation.handler_reason},
        "agent": agent,
        "classes": [{"name": name, **_given(origin)} for name, origin in explanation.classes],
        "attributes": [
            {
                "key": effective.key,
                **_given(effective.given),
                "passed_over": [_given(other) for other in effective.passed_over],
            }
            for effective in explanation.attributes
        ],
        "ways_out": [_way(graph, node, way) for way in ways],
    }


def _given(given: Given) -> dict[str, Any]:
    return {
        "value": given.value,
        "source": given.source.value,
        "detail": given.detail,
        "before_transform": given.before,
        **_place(given.place),
    }


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return {"file": None, "line": None, "column": None}
    return {"file": span.source.name, "line": span.line, "column": span.column}


def _way(graph: Graph, node: Node, way: WayOut) -> dict[str, Any]:
    edge, target = way.edge, graph.nodes.get(way.target_id)
    fidelity = fidelity_along(graph, target, edge) if target is not None else (None, None)
    thread = thread_along(graph, node.id, target, edge) if target is not None else (None, None)
    return {
        "to": way.target_id,
        "kind": way.kind.value,
        "on_success": way.on_success,
        "on_failure": way.on_failure,
        "condition": edge.condition_text if edge else "",
        "label": edge.label if edge else "",
        "weight": edge.weight if edge else None,
        "loop_restart": edge.loop_restart if edge else False,
        "fidelity": fidelity[0],
        "fidelity_from": fidelity[1],
        "thread": thread[0],
        "thread_from": thread[1],
        **_place(edge.span if edge else None),
    }
