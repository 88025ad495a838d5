"""Why a node is what it is: where each attribute in effect comes from, its handler, its classes.

Rules kept here:
- Nothing is resolved a second time. What the builder and the transforms recorded (`graph.origin`) is put into words;
  the only decisions made here are the fallbacks to graph attributes and to built-in defaults, which have no place in
  the model and stand in tables.
- Beside a value in effect stands what it was preferred to.

Must not know: runs, configuration files; what they say is handed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from attractor.graph import (
    ATTRIBUTES,
    DEFAULT_HANDLER_TYPE,
    PROPERTIES,
    SHAPE_TO_HANDLER_TYPE,
    Attribute,
    AttributeSpec,
    Defaults,
    Graph,
    GraphAttribute,
    Node,
    Scope,
    StylesheetRule,
    Subgraph,
    Transformed,
    parse_list,
    stylesheet_offers,
)
from attractor.source import Span

# A node's attribute -> the graph attributes that stand in for it, first choice first.
GRAPH_FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "max_retries": ("default_max_retries", "default_max_retry"),
    "fidelity": ("default_fidelity",),
    **{
        key: (key,)
        for key in (
            "thread_id",
            "max_node_visits",
            "stop_grace",
            "retry_policy",
            "retry_initial_delay",
            "retry_max_delay",
            "retry_backoff_factor",
            "retry_jitter",
            "max_agent_turns",
            "max_tokens",
            "tool_hooks.pre",
            "tool_hooks.post",
        )
    },
}
# Attributes that mean something to one kind of node only, by the section of the spec that brings them in or by name.
_HANDLER_OF_SECTION = {"4.6": "wait.human", "4.8": "parallel", "4.10": "tool", "4.11": "stack.manager_loop"}
_AGENT_KEYS = frozenset({"reasoning_effort", "auto_status", "fidelity", "thread_id", "max_agent_turns", "max_tokens"})
_PASSIVE_TYPES = frozenset({"start", "exit", "conditional"})
_PASSIVE_KEYS = frozenset({"label", "shape", "max_node_visits"})


class ValueSource(StrEnum):
    """Who gives a value."""

    NODE = "node"
    DEFAULTS = "node defaults"
    SUBGRAPH = "subgraph"
    STYLESHEET = "stylesheet"
    GRAPH = "graph"
    TRANSFORM = "transform"
    CONFIGURATION = "run configuration"
    BUILT_IN = "built-in default"


@dataclass(frozen=True, slots=True)
class Given:
    """A value somebody gives. `detail` says more about the source: the rule, the subgraph, the attribute, the section
    of the spec. `before` is the text before a transform changed it.
    """

    value: str
    source: ValueSource
    detail: str = ""
    place: Span | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Effective:
    """An attribute's value in effect, and the values it was preferred to, the next best first."""

    key: str
    given: Given
    passed_over: tuple[Given, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """`classes`: each class with what gives it."""

    node: Node
    handler_type: str
    handler_reason: str
    attributes: tuple[Effective, ...]
    classes: tuple[tuple[str, Given], ...]


def explain_node(graph: Graph, node: Node, configured: Mapping[str, Given] | None = None) -> Explanation:
    """Everything about a node of the graph. `configured`: what a run configuration gives to nodes without their own."""
    found: dict[str, Effective] = {}
    for each in (*_attributes_of(graph, node), *_fallbacks(graph, node, configured or {}), *_built_in(node)):
        found.setdefault(each.key, each)
    for each in _empty_attributes(graph, node):
        other = found.get(each.key)
        found[each.key] = each if other is None else replace(other, passed_over=(*other.passed_over, each.given))
    return Explanation(node, node.handler_type, _handler_reason(node), tuple(found.values()), _classes(node))


def given(attribute: Attribute, *, of: ValueSource = ValueSource.NODE) -> Given:
    """An attribute with its origin in words. `of`: whose it is where it has no origin."""
    origin = attribute.origin
    if isinstance(origin, Transformed):
        if origin.before is None:
            return Given(attribute.text, ValueSource.TRANSFORM, origin.transform)
        before = given(origin.before, of=of)
        return Given(attribute.text, before.source, before.detail, before.place, origin.before.text)
    key_span = attribute.key_span
    if isinstance(origin, Defaults):
        where = f"of subgraph {_shown(origin.subgraph)}" if origin.subgraph is not None else ""
        return Given(attribute.text, ValueSource.DEFAULTS, where, key_span)
    if isinstance(origin, StylesheetRule):
        return Given(
            attribute.text,
            ValueSource.STYLESHEET,
            f"rule {origin.selector}, specificity {origin.specificity}",
            attribute.span,
        )
    if isinstance(origin, GraphAttribute):
        return Given(attribute.text, ValueSource.GRAPH, attribute.key, key_span)
    return Given(attribute.text, of, "", key_span)


def _attributes_of(graph: Graph, node: Node) -> Iterator[Effective]:
    offers = stylesheet_offers(graph, node)
    for key, attribute in node.attributes.items():
        if attribute.text:
            yield _effective(graph, node, attribute, offers.get(key, ()))


def _empty_attributes(graph: Graph, node: Node) -> Iterator[Effective]:
    """An empty value means "not set" to whoever reads it, except that it keeps the stylesheet away (8.5)."""
    offers = stylesheet_offers(graph, node)
    for key, attribute in node.attributes.items():
        if not attribute.text:
            yield _effective(graph, node, attribute, offers.get(key, ()))


def _effective(graph: Graph, node: Node, attribute: Attribute, offers: Sequence[Attribute]) -> Effective:
    key = attribute.key
    others = [node.defaults[key]] if key in node.defaults else []
    others += offers if key in PROPERTIES else _graph_attributes(graph, key)
    return Effective(key, given(attribute), tuple(given(other) for other in others if not _is_same(other, attribute)))


def _is_same(one: Attribute, other: Attribute) -> bool:
    """Whether both are the attribute written at one place, a transform's changes aside."""
    return (one.start, one.end, one.key) == (other.start, other.end, other.key)


def _graph_attributes(graph: Graph, key: str) -> list[Attribute]:
    found = [graph.attributes[name] for name in GRAPH_FALLBACKS.get(key, ()) if graph.text(name)]
    return [attribute._replace(origin=GraphAttribute()) for attribute in found]


def _fallbacks(graph: Graph, node: Node, configured: Mapping[str, Given]) -> Iterator[Effective]:
    for key in GRAPH_FALLBACKS:
        if node.text(key) or not _concerns(node, ATTRIBUTES[Scope.NODE, key]):
            continue
        found = [given(attribute) for attribute in _graph_attributes(graph, key)]
        if found:
            yield Effective(key, found[0], tuple(found[1:]))
    for key, value in configured.items():
        if not node.text(key) and node.handler_type not in _PASSIVE_TYPES:
            yield Effective(key, value)


def _built_in(node: Node) -> Iterator[Effective]:
    for (scope, key), row in ATTRIBUTES.items():
        if scope is not Scope.NODE or node.text(key) or not _concerns(node, row):
            continue
        value = node.id if key == "label" else row.default
        if value:
            detail = "the node's id" if key == "label" else _section(row)
            yield Effective(key, Given(value, ValueSource.BUILT_IN, detail))


def _section(row: AttributeSpec) -> str:
    return f"spec {row.section}" if row.section[0].isdigit() else ""


def _concerns(node: Node, row: AttributeSpec) -> bool:
    """Whether an attribute the node does not have would mean anything to it."""
    if row.key in _AGENT_KEYS:
        return node.handler_type == DEFAULT_HANDLER_TYPE
    if node.handler_type in _PASSIVE_TYPES and row.key not in _PASSIVE_KEYS:
        return False
    owner = _HANDLER_OF_SECTION.get(row.section)
    return owner is None or owner == node.handler_type


def _handler_reason(node: Node) -> str:
    if node.text("type"):
        return f"type={node.text('type')}"
    shape = node.text("shape")
    if node.role and node.handler_type == node.role:
        return f"its id is {node.id}, and no node has the shape of {node.role} nodes"
    if shape in SHAPE_TO_HANDLER_TYPE:
        return f"shape={shape}"
    if shape:
        return f"shape={shape} has no handler of its own"
    return "no type and no shape: a box"


def _classes(node: Node) -> tuple[tuple[str, Given], ...]:
    attribute = node.attributes.get("class")
    explicit = parse_list(attribute.text) if attribute is not None else ()
    found = []
    for name in node.classes:
        if attribute is not None and name in explicit:
            found.append((name, given(attribute)))
        else:
            found.append((name, _from_subgraph(node, name)))
    return tuple(found)


def _from_subgraph(node: Node, name: str) -> Given:
    around = (subgraph for home in node.subgraphs for subgraph in home.outwards())
    subgraph = next(subgraph for subgraph in around if subgraph.class_name == name)
    return Given(name, ValueSource.SUBGRAPH, f"{_shown(subgraph)}, by its label", subgraph.attributes["label"].key_span)


def _shown(subgraph: Subgraph) -> str:
    return subgraph.name or f"the one in line {subgraph.span.line}"
