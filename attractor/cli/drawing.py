"""Drawing a graph through pydot and Graphviz."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydot

from attractor.errors import AttractorError, UsageError
from attractor.lint import Validation

_FONT = "Helvetica"
_STYLE: dict[str, Any] = {"fontname": _FONT, "fontsize": "11"}
# Attributes whose text means the same to Graphviz; others (prompt, tool_command) would only blow up the file.
_DRAWN = ("label", "shape", "style", "color", "fillcolor", "fontcolor", "tooltip", "URL")


def draw(validation: Validation, output: Path, kind: str) -> None:
    """Draw a graph without errors to `output`. Raises AttractorError where Graphviz is missing or fails."""
    graph = validation.require()
    picture = pydot.Dot(graph_type="digraph", rankdir=graph.text("rankdir", "TB"), fontname=_FONT)
    for node in graph.nodes.values():
        drawn = {key: pydot.quote_id_if_necessary(node.text(key)) for key in _DRAWN if node.text(key)}
        picture.add_node(pydot.Node(node.id, **(_STYLE | {"shape": node.shape} | drawn)))
    for edge in graph.edges:
        text = edge.label or edge.condition_text
        style = {"style": "dashed"} if edge.loop_restart else {}
        label = {"label": pydot.quote_id_if_necessary(text)} if text else {}
        picture.add_edge(pydot.Edge(edge.source_id, edge.target_id, **(_STYLE | label | style)))
    try:
        content: Any = picture.create(format=kind)  # typed as text, is bytes for the formats allowed here
    except FileNotFoundError as error:
        raise AttractorError(
            "Graphviz is not installed: there is no `dot` program", hint="Debian, Ubuntu: apt-get install graphviz"
        ) from error
    except AssertionError as error:
        raise AttractorError(f"Graphviz could not draw the graph: {error}") from error
    try:
        output.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror or error}") from error
