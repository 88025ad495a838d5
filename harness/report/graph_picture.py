"""Draws a case's graph as SVG to be put into a page, each node coloured by what became of it.

Rules: the picture is built anew from ids, labels and arrows; no attribute of the case's graph reaches
Graphviz (an image or a link in it would reach outside the page), and of Graphviz' answer only known
elements and attributes are kept, ids not among them, so that sixty pictures fit into one page.
Colours are classes: the page decides them. What cannot be drawn is told with the reason. Knows
nothing of cases.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import subprocess
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Mapping

import pydot

from harness.report.wording import clip, one_line, visible

__all__ = ["GraphPainter", "Picture"]

_MOST_SOURCE = 40_000  # characters of DOT; above it a picture helps nobody and pydot takes seconds
_MOST_NODES = 150
_SECONDS = 10.0
_Attributes = dict[str, str | None]
_KEPT = {
    "svg": ("viewBox", "width", "height"),
    "g": ("class", "transform"),
    "title": (),
    "polygon": ("points",),
    "polyline": ("points",),
    "path": ("d",),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "text": ("x", "y", "text-anchor", "font-size"),
}
# The shapes of the graph language that say something; everything else is a box.
_SHAPES = frozenset({"Mdiamond", "Msquare", "diamond", "hexagon", "parallelogram", "component", "tripleoctagon"})


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """A drawn graph, or why there is none."""

    svg: str = ""  # safe markup
    problem: str = ""
    source: str = ""  # the DOT text, bounded, when it could not be drawn


class GraphPainter:
    """Draws graphs, each different one once."""

    def __init__(self, program: str = "dot") -> None:
        self._program = program
        self._drawn: dict[tuple[str, tuple[tuple[str, str], ...]], Picture] = {}

    def draw(self, source: str, outcomes: Mapping[str, str]) -> Picture:
        """The picture of this DOT text; `outcomes` gives nodes their class."""
        key = (source, tuple(sorted(outcomes.items())))
        if key not in self._drawn:
            self._drawn[key] = self._draw(source, outcomes)
        return self._drawn[key]

    def _draw(self, source: str, outcomes: Mapping[str, str]) -> Picture:
        kept = visible(clip(source, 6000))
        if len(source) > _MOST_SOURCE:
            return Picture(problem=f"too large to draw ({len(source):,} characters)", source=kept)
        parsed = _parse(source)
        if parsed is None:
            return Picture(problem="not drawn: pydot cannot read this graph", source=kept)
        graph = _rebuild(parsed, outcomes)
        if len(graph.get_node_list()) > _MOST_NODES:
            return Picture(problem=f"too large to draw ({len(graph.get_node_list())} nodes)", source=kept)
        try:
            answer = subprocess.run(
                [self._program, "-Tsvg"],
                input=graph.to_string().encode("utf-8", "replace"),
                capture_output=True,
                timeout=_SECONDS,
                check=True,
            ).stdout
            return _clean(answer)
        except FileNotFoundError:
            return Picture(problem="not drawn: Graphviz is not installed (apt install graphviz)", source=kept)
        except (OSError, subprocess.SubprocessError, ET.ParseError, ValueError) as error:
            return Picture(problem=f"not drawn: {one_line(str(error))}", source=kept)


def _parse(source: str) -> pydot.Dot | None:
    try:
        # pydot prints what it cannot read; the reader of a report gets one sentence instead.
        # Its parser library warns of pydot's own grammar, which is nobody's business here.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            graphs = pydot.graph_from_dot_data(source)
    except Exception:  # pydot has no error type of its own: damaged graphs raise nearly anything
        return None
    return graphs[0] if graphs else None


def _rebuild(parsed: pydot.Dot, outcomes: Mapping[str, str]) -> pydot.Dot:
    graph = pydot.Dot(graph_type="digraph")
    for key, value in (
        ("rankdir", "LR"),
        ("bgcolor", "transparent"),
        ("nodesep", "0.28"),
        ("ranksep", "0.42"),
        ("pad", "0.06"),
    ):
        graph.set(key, value)
    nodes, edges = _collect(parsed)
    for name, attributes in nodes.items():
        shape = _plain(attributes.get("shape") or "box")
        known = shape in _SHAPES
        look = {
            "label": _quoted(_label(name, _plain(attributes.get("label") or ""))),
            "shape": shape if known else "box",
            "style": '""' if known else '"rounded"',
            "fontname": "Helvetica",
            "fontsize": "12",
            "margin": '"0.14,0.07"',
            "height": "0.4",
            "class": _quoted(f"is-{outcomes.get(name) or 'unreached'}"),
        }
        graph.add_node(pydot.Node(_quoted(name), obj_dict=None, **look))
    for tail, head, attributes in edges:
        label = _plain(attributes.get("label") or attributes.get("condition") or "")
        graph.add_edge(
            pydot.Edge(
                _quoted(tail),
                _quoted(head),
                label=_quoted(clip(one_line(label), 30)),
                fontname="Helvetica",
                fontsize="10",
                arrowsize="0.7",
            )
        )
    return graph


def _collect(
    graph: pydot.Graph,
) -> tuple[dict[str, _Attributes], list[tuple[str, str, _Attributes]]]:
    """Nodes and edges of the graph and its subgraphs, defaults left out."""
    nodes: dict[str, _Attributes] = {}
    edges: list[tuple[str, str, _Attributes]] = []
    for node in graph.get_nodes():
        name = _plain(node.get_name())
        if name not in ("node", "edge", "graph", "\\n"):
            nodes.setdefault(name, {}).update(node.get_attributes())
    for edge in graph.get_edges():
        tail, head = edge.get_source(), edge.get_destination()
        if isinstance(tail, str) and isinstance(head, str):  # a subgraph at an end has no one place
            ends = (_plain(tail), _plain(head))
            edges.append((*ends, edge.get_attributes()))
            for name in ends:
                nodes.setdefault(name, {})
    for inner in graph.get_subgraphs():
        inner_nodes, inner_edges = _collect(inner)
        for name, attributes in inner_nodes.items():
            nodes.setdefault(name, {}).update(attributes)
        edges += inner_edges
    return nodes, edges


def _label(name: str, label: str) -> str:
    shown = clip(one_line(label or name), 32)
    return shown if shown == name else f"{shown}\n{clip(one_line(name), 32)}"


def _plain(text: object) -> str:
    """The value of a DOT token: without its quotes, escapes of line ends as blanks."""
    value = str(text)
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\([nlr\"\\])", lambda found: found[1] if found[1] in '"\\' else " ", value[1:-1])
    return value


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _clean(answer: bytes) -> Picture:
    """Graphviz' SVG, rebuilt from what is allowed."""
    root = ET.fromstring(answer)
    kept = _allowed(root)
    if kept is None:
        raise ValueError("Graphviz answered something that is no SVG")
    width, height = (float(root.get(name, "0").removesuffix("pt")) for name in ("width", "height"))
    kept.set("width", f"{width * 4 / 3:.0f}")
    kept.set("height", f"{height * 4 / 3:.0f}")
    kept.set("class", "graph")
    kept.set("role", "img")
    kept.set("aria-label", "graph of the run, nodes marked by outcome")
    text = ET.tostring(kept, encoding="unicode", short_empty_elements=True)
    return Picture(svg=re.sub(r"(\d+\.\d)\d+", r"\1", text))


def _allowed(element: ET.Element) -> ET.Element | None:
    tag = element.tag.rpartition("}")[2]
    if tag not in _KEPT:
        return None
    kept = ET.Element(tag, {name: value for name in _KEPT[tag] if (value := element.get(name)) is not None})
    if tag in ("text", "title"):
        kept.text = visible(element.text or "")
    for child in element:
        inner = _allowed(child)
        # Graphviz paints a sheet behind the graph; the page has its own.
        if inner is not None and not (tag == "g" and element.get("class") == "graph" and inner.tag != "g"):
            kept.append(inner)
    return kept
