"""Drawing a graph, or what a run has done to it, through pydot and Graphviz.

Rules kept here:
- Whatever a label holds, it is text: everything is quoted here, so that nothing in it is HTML, a port or an attribute.
- A run's colours win over the author's, its states also stand there in words: a picture must be readable in grey.
"""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final, NamedTuple

import pydot

from attractor.cli.trace import EdgeKey, NodeState, NodeTrace, Trace
from attractor.errors import AttractorError, UsageError
from attractor.graph import Attribute, Edge, Graph, Node, Subgraph

_FONT = "Helvetica"
_INK = "#1a1a1a"
_TEXT_STYLE: Final = {"fontname": _FONT, "fontsize": "11"}
# Attributes whose text means the same to Graphviz; others (prompt, tool_command) would only blow up the file.
_DRAWN = ("shape", "style", "color", "fillcolor", "fontcolor", "tooltip")
# A picture is looked at in a browser: a link may lead somewhere, and run nothing there.
_LINK = re.compile(r"(?:https?://|mailto:|(?![A-Za-z][A-Za-z0-9+.-]*:))", re.IGNORECASE)
_DRAWN_CLUSTER = ("style", "color", "fillcolor", "bgcolor", "fontcolor", "rank")
_CLUSTER_STYLE: Final = {"style": "rounded", "color": "#9a9a9a", "fontcolor": "#4a4a4a", "labeljust": "l"}
# Handlers whose time says nothing.
_PASSIVE_TYPES = frozenset({"start", "exit", "conditional"})
_SHOWN_REASON = 300


class _Look(NamedTuple):
    fill: str
    border: str
    style: str = "filled"
    width: str = "1.4"


_LOOKS: Final[dict[NodeState, _Look]] = {
    NodeState.SUCCESS: _Look("#c9efd3", "#1b7f3b"),
    NodeState.PARTIAL_SUCCESS: _Look("#e7f2a6", "#6b7a00"),
    NodeState.RETRY: _Look("#ffe3bf", "#b36200"),
    NodeState.FAIL: _Look("#f9c9c4", "#b3261e", width="2.2"),
    NodeState.SKIPPED: _Look("#e4e4e4", "#6e6e6e"),
    NodeState.CANCELED: _Look("#ffe3bf", "#b36200", "filled,dashed"),
    NodeState.RUNNING: _Look("#cfe3ff", "#1a56b0", width="2.6"),
    NodeState.WAITING: _Look("#e3d6ff", "#6a3db8", width="2.6"),
    NodeState.INTERRUPTED: _Look("#ffe3bf", "#b36200", "filled,dashed", "2.2"),
    NodeState.NOT_REACHED: _Look("#ffffff", "#a0a0a0"),
}
_TAKEN: Final = {"color": _INK, "fontcolor": _INK, "penwidth": "2.4"}
_NOT_TAKEN: Final = {"color": "#b4b4b4", "fontcolor": "#707070", "penwidth": "1"}
_JUMP: Final = {"color": "#7a3db8", "fontcolor": "#7a3db8", "penwidth": "2", "style": "dashed", "constraint": "false"}


def draw(graph: Graph, output: Path, kind: str, *, trace: Trace | None = None, caption: str = "") -> None:
    """Draw a graph to `output`, coloured by a run's trace where there is one; `caption` stands above it.

    Raises AttractorError where Graphviz is missing or fails, UsageError where `output` cannot be written.
    """
    content = _rendered(picture_of(graph, trace, caption), kind)
    try:
        output.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror or error}") from error


def picture_of(graph: Graph, trace: Trace | None = None, caption: str = "") -> pydot.Dot:
    """The drawing as Graphviz is given it."""
    title = _plain(caption) if caption else _label(graph.attributes.get("label"))
    picture = pydot.Dot(graph_type="digraph", **_quoted({"rankdir": graph.text("rankdir", "TB"), "fontname": _FONT}))
    if title:
        picture.set("label", f'"{title}"')
        picture.set("labelloc", "t")
        picture.set("fontsize", "13")
    clusters: dict[Subgraph, pydot.Subgraph] = {}
    for node in graph.nodes.values():
        home = _cluster(node.subgraphs[0], clusters, picture) if node.subgraphs else picture
        home.add_node(_node(node, trace))
    counts = _counts(graph, trace) if trace is not None else None
    for edge in graph.edges:
        picture.add_edge(_edge(edge, None if counts is None else counts.get(edge.index, 0)))
    if trace is not None:
        for jump, count in trace.jumps.items():
            if jump.source_id in graph.nodes and jump.target_id in graph.nodes:
                style = _TEXT_STYLE | _JUMP | {"label": jump.rule + _times(count)}
                picture.add_edge(pydot.Edge(f'"{jump.source_id}"', f'"{jump.target_id}"', **_quoted(style)))
    return picture


def _rendered(picture: pydot.Dot, kind: str) -> bytes:
    said = io.StringIO()  # what pydot prints about a failure would stand among the command's own output
    try:
        with redirect_stdout(said):
            content: Any = picture.create(format=kind, encoding="utf-8")  # typed as text, is bytes for these formats
    except FileNotFoundError as error:
        raise AttractorError(
            "Graphviz is not installed: there is no `dot` program", hint="Debian, Ubuntu: apt-get install graphviz"
        ) from error
    except (AssertionError, OSError) as error:
        why = said.getvalue().strip() or str(error)
        raise AttractorError(f"Graphviz could not draw the graph: {why}") from error
    if not content:
        raise AttractorError("Graphviz drew nothing", hint="does `dot -T" + kind + "` work?")
    return bytes(content)


# --- nodes and clusters -------------------------------------------------------------------------------------


def _node(node: Node, trace: Trace | None) -> pydot.Node:
    shown = _TEXT_STYLE | {"shape": node.shape} | {key: node.text(key) for key in _DRAWN if node.text(key)}
    if node.text("URL") and _LINK.match(node.text("URL").strip()):
        shown["URL"] = node.text("URL").strip()
    lines = [_label(node.attributes.get("label")) or node.id]
    if trace is not None:
        told = trace.nodes.get(node.id, NodeTrace())
        look = _LOOKS[told.state]
        own = [part for part in shown.get("style", "").split(",") if part in ("rounded", "diagonals", "bold")]
        shown |= {
            "style": ",".join([look.style, *own]),
            "fillcolor": look.fill,
            "color": look.border,
            "fontcolor": _INK if told.state is not NodeState.NOT_REACHED else "#5a5a5a",
            "penwidth": look.width,
            "tooltip": _tooltip(node, told),
        }
        facts = _facts(node, told)
        lines += [facts] if facts else []
    return pydot.Node(f'"{node.id}"', label='"' + r"\n".join(lines) + '"', **_quoted(shown))


def _facts(node: Node, told: NodeTrace) -> str:
    """The line under a node's name: what is not plain from its colour, and its colour in words."""
    if told.state is NodeState.NOT_REACHED:
        return ""
    passive = node.handler_type in _PASSIVE_TYPES
    words = [] if passive and told.state is NodeState.SUCCESS else [told.state.value.replace("_", " ")]
    if told.visits > 1:
        words.append(f"{told.visits} visits")
    elif told.attempts > 1:
        words.append(f"{told.attempts} attempts")
    if told.duration_ms and not passive:
        words.append(duration(told.duration_ms))
    return ", ".join(words)


def duration(milliseconds: float) -> str:
    """`12 ms`, `3.4 s`, `2 min 5 s`, `3 h 12 min`."""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:.1f} s"
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _tooltip(node: Node, told: NodeTrace) -> str:
    reason = f": {told.reason[:_SHOWN_REASON]}" if told.reason else ""
    return f"{node.id}: {told.state.value.replace('_', ' ')}{reason}"


def _cluster(subgraph: Subgraph, clusters: dict[Subgraph, pydot.Subgraph], picture: pydot.Dot) -> pydot.Subgraph:
    """The subgraph's drawing, made with those around it when it is first asked for.

    One with a label gets a box, also where Graphviz would give it none: to attractor it is a group (spec 2.10).
    """
    missing = []
    for each in subgraph.outwards():
        if each in clusters:
            break
        missing.append(each)
    for each in reversed(missing):
        boxed = bool(each.label) or each.name.startswith("cluster")
        own = {key: each.attributes[key].text for key in _DRAWN_CLUSTER if key in each.attributes}
        style = (_TEXT_STYLE | _CLUSTER_STYLE if boxed else {}) | own
        drawn = pydot.Subgraph(f"{'cluster' if boxed else 'group'}_{len(clusters)}", **_quoted(style))
        if boxed:
            drawn.set("label", f'"{_label(each.attributes.get("label"))}"')
        (clusters[each.parent] if each.parent is not None else picture).add_subgraph(drawn)
        clusters[each] = drawn
    return clusters[subgraph]


# --- edges --------------------------------------------------------------------------------------------------


def _counts(graph: Graph, trace: Trace) -> dict[int, int]:
    """How often each edge was taken, by its index. One that events name by its ends alone is the first between them."""
    counts: dict[int, int] = {}
    for key, count in trace.edges.items():
        between = [edge for edge in graph.outgoing(key.source_id) if edge.target_id == key.target_id]
        exact = [edge for edge in between if key == _key(edge)]
        for edge in (exact or between)[:1]:
            counts[edge.index] = counts.get(edge.index, 0) + count
    return counts


def _key(edge: Edge) -> EdgeKey:
    return EdgeKey(edge.source_id, edge.target_id, edge.label, edge.condition_text)


def _edge(edge: Edge, count: int | None) -> pydot.Edge:
    style: dict[str, str] = dict(_TEXT_STYLE)
    if edge.loop_restart:
        style["style"] = "dashed"
    if count is not None:
        style |= _TAKEN if count else _NOT_TAKEN
    text = _label(edge.attributes.get("label")) or _plain(edge.condition_text)
    # The blanks keep a label off its edge.
    label: dict[str, Any] = {"label": f'" {text}{_times(count or 0)} "'} if text or (count or 0) > 1 else {}
    return pydot.Edge(f'"{edge.source_id}"', f'"{edge.target_id}"', **_quoted(style), **label)


def _times(count: int) -> str:
    return f" ×{count}" if count > 1 else ""


# --- text ---------------------------------------------------------------------------------------------------


_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(\r\n|.)|\r\n|[\x00-\x1f\x7f]", re.DOTALL)
# What an author may say in a label, to Graphviz: line breaks with a justification, and the names of node and graph.
_KEPT_ESCAPES = frozenset('nlrNGLETH"\\')


def _label(attribute: Attribute | None) -> str:
    r"""The inside of a quoted label that draws what the author wrote.

    Taken from how it is written rather than from its decoded text, where `\\l` (a backslash and an l) and `\l` (a
    line break) have become the same.
    """
    if attribute is None:
        return ""
    literal = _LITERAL.fullmatch(attribute.span.text)
    return _ESCAPE.sub(_drawn_escape, literal.group(1)) if literal else _plain(attribute.text)


def _drawn_escape(match: re.Match[str]) -> str:
    escaped = match.group(1)
    if escaped is None:
        return r"\n" if match.group() in ("\n", "\r\n", "\r") else " "
    if escaped in ("\n", "\r\n"):
        return ""
    if escaped == "t":
        return " "
    return match.group() if escaped in _KEPT_ESCAPES else rf"\\{escaped}"


def _plain(text: str) -> str:
    """The inside of a quoted string that draws this text, character for character."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\r\n", "\n").replace("\n", r"\n")
    return "".join(c if c.isprintable() or c.isspace() else "�" for c in escaped)


def _quoted(values: dict[str, str]) -> dict[str, Any]:
    return {key: f'"{_plain(value)}"' for key, value in values.items()}
