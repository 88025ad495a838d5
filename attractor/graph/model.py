"""The graph the engine runs: nodes, edges and their attributes, resolved and read-only.

Rules kept here:
- Values are frozen. A transform makes a new graph; nothing changes one in place.
- Attributes keep the text and the place they were written with; getters turn the text into a type on the way
  out and raise GraphError, with the place, for text that is not of the type. Linted graphs never raise.
- Lookups along edges cost the same however large the graph is.
- An edge may name a node that does not exist: the lint rule needs to see it. A graph without errors has none.

Must not know: handlers, runs, how a graph is parsed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from attractor.diagnostics import Diagnostic, Severity
from attractor.dot import Attribute
from attractor.errors import GraphError, InternalError
from attractor.graph.conditions import Condition, ConditionProblem
from attractor.graph.origin import Subgraph, Transformed
from attractor.graph.values import parse_boolean, parse_duration, parse_integer, parse_list, parse_number
from attractor.source import Source, Span

__all__ = [
    "DEFAULT_HANDLER_TYPE",
    "EXIT_IDS",
    "SHAPE_TO_HANDLER_TYPE",
    "START_IDS",
    "Edge",
    "Graph",
    "Node",
]

# Spec 2.8 and Appendix B.
SHAPE_TO_HANDLER_TYPE: Mapping[str, str] = {
    "Mdiamond": "start",
    "Msquare": "exit",
    "box": "codergen",
    "hexagon": "wait.human",
    "diamond": "conditional",
    "component": "parallel",
    "tripleoctagon": "parallel.fan_in",
    "parallelogram": "tool",
    "house": "stack.manager_loop",
}
DEFAULT_HANDLER_TYPE = "codergen"
START_IDS = frozenset({"start", "Start"})
EXIT_IDS = frozenset({"exit", "Exit", "end", "End"})

_T = TypeVar("_T")


class _Attributed:
    """Typed getters over `attributes`. An absent attribute and an empty one both give the default."""

    __slots__ = ()
    attributes: Mapping[str, Attribute]

    def text(self, key: str, default: str = "") -> str:
        attribute = self.attributes.get(key)
        return attribute.text if attribute is not None and attribute.text else default

    def integer(self, key: str, default: int = 0) -> int:
        value = self._read(key, parse_integer, "a whole number")
        return default if value is None else value

    def number(self, key: str, default: float = 0.0) -> float:
        value = self._read(key, parse_number, "a number")
        return default if value is None else value

    def boolean(self, key: str, default: bool = False) -> bool:
        value = self._read(key, parse_boolean, "true or false")
        return default if value is None else value

    def duration_seconds(self, key: str, default: float | None = None) -> float | None:
        value = self._read(key, parse_duration, "a duration such as 900s")
        return default if value is None else value

    def items(self, key: str) -> tuple[str, ...]:
        """A comma-separated list, without blanks and empty entries."""
        return parse_list(self.text(key))

    def _read(self, key: str, parse: Callable[[str], _T | None], expected: str) -> _T | None:
        attribute = self.attributes.get(key)
        if attribute is None or not attribute.text.strip():
            return None
        value = parse(attribute.text)
        if value is None:
            message = f"{key}={attribute.text!r} is not {expected}"
            problem = Diagnostic("attribute_type", Severity.ERROR, message, attribute.span, expected=(expected,))
            raise GraphError(message, diagnostics=(problem,))
        return value


@dataclass(frozen=True, slots=True)
class Node(_Attributed):
    """One stage. `classes` holds the `class` attribute's and those of the subgraphs around it (spec 2.10,
    2.12).

    `role` is `start` or `exit` when the node has that role by its id alone, because no node has it by its
    shape. `subgraphs` are the innermost ones its declarations stand in, the first declaration's first; `defaults`
    what was in force there, overridden or not.
    """

    id: str
    attributes: Mapping[str, Attribute]
    classes: tuple[str, ...]
    span: Span
    subgraph_classes: tuple[str, ...] = ()
    role: str = ""
    subgraphs: tuple[Subgraph, ...] = ()
    defaults: Mapping[str, Attribute] = field(default_factory=dict)

    def with_attributes(self, attributes: Mapping[str, Attribute]) -> "Node":
        """The same node with these attributes and no others. A transform does this to all nodes of a graph, and
        `dataclasses.replace` takes three times as long.
        """
        return Node(
            self.id,
            attributes,
            self.classes,
            self.span,
            self.subgraph_classes,
            self.role,
            self.subgraphs,
            self.defaults,
        )

    def with_text(self, key: str, text: str, *, by: str) -> "Node":
        """The same node with one attribute set by the transform named `by`, which `attractor explain` tells."""
        before = self.attributes.get(key)
        origin = Transformed(by, before)
        if before is not None:
            attribute = before._replace(text=text, origin=origin)
        else:
            source, start, end = self.span
            attribute = Attribute(key, text, source, start, end, start, end, origin=origin)
        return self.with_attributes({**self.attributes, key: attribute})

    @property
    def label(self) -> str:
        return self.text("label", self.id)

    @property
    def shape(self) -> str:
        return self.text("shape", "box")

    @property
    def handler_type(self) -> str:
        """Explicit `type`, else a shape that has a handler, else the role by id, else codergen (spec 2.8)."""
        explicit = self.text("type")
        if explicit:
            return explicit
        by_shape = SHAPE_TO_HANDLER_TYPE.get(self.text("shape"), DEFAULT_HANDLER_TYPE)
        return self.role or by_shape if by_shape == DEFAULT_HANDLER_TYPE else by_shape

    @property
    def prompt(self) -> str:
        return self.text("prompt")

    @property
    def max_retries(self) -> int | None:
        return self._read("max_retries", parse_integer, "a whole number")

    @property
    def goal_gate(self) -> bool:
        return self.boolean("goal_gate")

    @property
    def retry_target(self) -> str:
        return self.text("retry_target")

    @property
    def fallback_retry_target(self) -> str:
        return self.text("fallback_retry_target")

    @property
    def timeout_seconds(self) -> float | None:
        return self.duration_seconds("timeout")

    @property
    def tool_command(self) -> str:
        return self.text("tool_command")

    @property
    def allow_partial(self) -> bool:
        return self.boolean("allow_partial")

    @property
    def auto_status(self) -> bool:
        return self.boolean("auto_status")

    @property
    def max_node_visits(self) -> int | None:
        """None when the node leaves it to the graph; 0 is unlimited."""
        return self._read("max_node_visits", parse_integer, "a whole number")

    @property
    def fidelity(self) -> str:
        return self.text("fidelity")

    @property
    def thread_id(self) -> str:
        return self.text("thread_id")


@dataclass(frozen=True, slots=True)
class Edge(_Attributed):
    """One edge; a chain has become several. `index` is its place in the file's order of edges."""

    source_id: str
    target_id: str
    attributes: Mapping[str, Attribute]
    span: Span
    index: int
    parsed_condition: Condition | ConditionProblem | None = None

    @property
    def label(self) -> str:
        return self.text("label")

    @property
    def condition(self) -> Condition | None:
        """None for an unconditional edge. An unparsable condition raises: it must never count as none."""
        parsed = self.parsed_condition
        if isinstance(parsed, ConditionProblem):
            message = f"the condition of edge {self.source_id} -> {self.target_id} is invalid: {parsed.message}"
            raise GraphError(message, diagnostics=(self.condition_diagnostic(parsed),))
        return parsed

    def condition_diagnostic(self, problem: ConditionProblem) -> Diagnostic:
        """The problem as a finding, at its place inside the attribute's string."""
        return Diagnostic(
            "condition_syntax",
            Severity.ERROR,
            problem.message,
            self.attributes["condition"].span_within(problem.start, problem.end),
            edge=(self.source_id, self.target_id),
            fix=problem.fix,
            expected=problem.expected,
        )

    @property
    def condition_text(self) -> str:
        return self.text("condition")

    @property
    def weight(self) -> int:
        return self.integer("weight")

    @property
    def loop_restart(self) -> bool:
        return self.boolean("loop_restart")

    @property
    def fidelity(self) -> str:
        return self.text("fidelity")

    @property
    def thread_id(self) -> str:
        return self.text("thread_id")


@dataclass(frozen=True, slots=True)
class Graph(_Attributed):
    """A whole pipeline. `nodes` and `edges` are in file order."""

    name: str
    attributes: Mapping[str, Attribute]
    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    source: Source
    _outgoing: dict[str, tuple[Edge, ...]] = field(init=False, repr=False, compare=False)
    _incoming: dict[str, tuple[Edge, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        outgoing: dict[str, list[Edge]] = {}
        incoming: dict[str, list[Edge]] = {}
        for edge in self.edges:
            outgoing.setdefault(edge.source_id, []).append(edge)
            incoming.setdefault(edge.target_id, []).append(edge)
        object.__setattr__(self, "_outgoing", {key: tuple(edges) for key, edges in outgoing.items()})
        object.__setattr__(self, "_incoming", {key: tuple(edges) for key, edges in incoming.items()})

    def outgoing(self, node_id: str) -> tuple[Edge, ...]:
        return self._outgoing.get(node_id, ())

    def incoming(self, node_id: str) -> tuple[Edge, ...]:
        return self._incoming.get(node_id, ())

    def node(self, node_id: str) -> Node:
        """The node of that id; asking for one that does not exist is a bug of the caller."""
        try:
            return self.nodes[node_id]
        except KeyError:
            raise InternalError(f"graph {self.name!r} has no node {node_id!r}") from None

    def nodes_of_type(self, handler_type: str) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes.values() if node.handler_type == handler_type)

    @property
    def start_node(self) -> Node:
        """The one start node (spec 7.2 start_node); GraphError when there is none or more than one."""
        return self._only("start", "shape=Mdiamond, or the id `start`")

    @property
    def exit_node(self) -> Node:
        """The one exit node (spec 7.2 terminal_node); GraphError when there is none or more than one."""
        return self._only("exit", "shape=Msquare, or the id `exit` or `end`")

    def _only(self, handler_type: str, how: str) -> Node:
        found = self.nodes_of_type(handler_type)
        if len(found) == 1:
            return found[0]
        have = f"has {len(found)} {handler_type} nodes" if found else f"has no {handler_type} node"
        raise GraphError(f"graph {self.name!r} {have}; it needs exactly one ({how})")

    @property
    def goal(self) -> str:
        return self.text("goal")

    @property
    def label(self) -> str:
        return self.text("label")

    @property
    def default_max_retries(self) -> int:
        return self.integer("default_max_retries", self.integer("default_max_retry", 0))

    @property
    def default_fidelity(self) -> str:
        return self.text("default_fidelity")

    @property
    def retry_target(self) -> str:
        return self.text("retry_target")

    @property
    def fallback_retry_target(self) -> str:
        return self.text("fallback_retry_target")

    @property
    def max_restarts(self) -> int:
        return self.integer("max_restarts", 5)

    @property
    def loop_restart_signature_limit(self) -> int:
        return self.integer("loop_restart_signature_limit", 3)

    @property
    def loop_restart_persist_keys(self) -> tuple[str, ...]:
        return self.items("loop_restart_persist_keys")

    @property
    def max_node_visits(self) -> int:
        """How often any one node may run; 0 is unlimited."""
        return self.integer("max_node_visits", 0)
