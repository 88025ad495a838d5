"""What a lint rule is, and the facts about a graph that several rules need.

Rules kept here:
- A rule is a row: id, severity, one sentence of documentation, the usual fix, and a small pure function. The
  function yields findings without id and severity, so the table alone decides both.
- Rules never raise on any graph, also not on one with values of the wrong type: they read text and parse it
  themselves where a getter would raise.
- Facts are worked out once a graph, when first asked for, in time linear in the graph.

Must not know: which rules there are.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

from attractor.diagnostics import Diagnostic, Severity, closest_name
from attractor.graph import ATTRIBUTES, GRAPHVIZ_ATTRIBUTES, SHAPE_TO_HANDLER_TYPE, Attribute, Edge, Graph, Node, Scope
from attractor.source import Span

__all__ = ["Facts", "Finding", "Place", "Rule", "Suggestions"]


class Finding(NamedTuple):
    message: str
    span: Span | None
    node_id: str | None = None
    edge: tuple[str, str] | None = None
    fix: str | None = None
    expected: tuple[str, ...] = ()


class Place(NamedTuple):
    """One attribute as written. Several nodes share it when it is a default; then the first of them is
    named.
    """

    attribute: Attribute
    node: Node | None
    edge: Edge | None

    @property
    def node_id(self) -> str | None:
        return self.node.id if self.node else None

    @property
    def edge_ids(self) -> tuple[str, str] | None:
        return (self.edge.source_id, self.edge.target_id) if self.edge else None


class Facts:
    """A graph with what rules ask about it again and again."""

    def __init__(self, graph: Graph, handler_types: Iterable[str] = ()) -> None:
        """`handler_types`: those with a handler beside the built-in ones."""
        self.graph = graph
        self.known_types = (*SHAPE_TO_HANDLER_TYPE.values(), *handler_types)

    @cached_property
    def handler_types(self) -> dict[str, str]:
        return {node.id: node.handler_type for node in self.graph.nodes.values()}

    def of_type(self, handler_type: str) -> list[Node]:
        return [self.graph.nodes[node_id] for node_id, found in self.handler_types.items() if found == handler_type]

    @cached_property
    def header(self) -> Span:
        """Where findings about the graph as a whole point: the word `digraph`."""
        source = self.graph.source
        start = max(0, source.text.find("digraph"))
        return Span(source, start, min(len(source.text), start + len("digraph")))

    @cached_property
    def owners(self) -> dict[tuple[Scope, str], list[Graph | Node | Edge]]:
        """Who has which attribute. Rules look at the keys first, and most keys need no look at the values."""
        graph = self.graph
        owners: dict[tuple[Scope, str], list[Graph | Node | Edge]] = {}
        everything: tuple[tuple[Scope, Iterable[Graph | Node | Edge]], ...] = (
            (Scope.GRAPH, (graph,)),
            (Scope.NODE, graph.nodes.values()),
            (Scope.EDGE, graph.edges),
        )
        for scope, several in everything:
            by_key: dict[str, list[Graph | Node | Edge]] = {}
            for owner in several:
                for key in owner.attributes:
                    by_key.setdefault(key, []).append(owner)
            owners.update({(scope, key): found for key, found in by_key.items()})
        return owners

    def places(self, scope: Scope, key: str) -> Iterator[Place]:
        """Each attribute of that key as written, once, however many nodes or edges have it from one place."""
        seen: set[int] = set()
        for owner in self.owners.get((scope, key), ()):
            attribute = owner.attributes[key]
            if id(attribute) not in seen:
                seen.add(id(attribute))
                node = owner if isinstance(owner, Node) else None
                yield Place(attribute, node, owner if isinstance(owner, Edge) else None)

    @cached_property
    def unknown_keys(self) -> dict[tuple[Scope, str], str | None]:
        """Attributes neither the engine nor Graphviz knows, each with the known key it may be a slip for."""
        suggestions = {
            scope: Suggestions((key for row_scope, key in ATTRIBUTES if row_scope is scope), limit=200)
            for scope in Scope
        }
        return {
            (scope, key): suggestions[scope].closest(key)
            for scope, key in self.owners
            if (scope, key) not in ATTRIBUTES and key not in GRAPHVIZ_ATTRIBUTES
        }

    @cached_property
    def successors(self) -> dict[str, list[str]]:
        """Where the engine may go from a node: along edges, and by retry targets (spec 3.4, 3.7)."""
        graph = self.graph
        graph_targets = [graph.retry_target, graph.fallback_retry_target]
        following: dict[str, list[str]] = {}
        for node in graph.nodes.values():
            targets = [edge.target_id for edge in graph.outgoing(node.id)]
            targets += [node.retry_target, node.fallback_retry_target]
            if self.handler_types[node.id] == "exit":
                targets += graph_targets
            following[node.id] = [target for target in targets if target in graph.nodes]
        return following

    def reachable(self, starts: Iterable[str], following: dict[str, list[str]]) -> set[str]:
        reached = set(starts)
        waiting = deque(reached)
        while waiting:
            for target in following.get(waiting.popleft(), ()):
                if target not in reached:
                    reached.add(target)
                    waiting.append(target)
        return reached


class Suggestions:
    """Did-you-mean for names, given up after a while: each search reads all candidates, and a file with
    thousands of unknown names must not cost their product."""

    def __init__(self, candidates: Iterable[str], *, limit: int = 20) -> None:
        self._candidates = tuple(candidates)
        self._left = limit

    def closest(self, name: str) -> str | None:
        if self._left == 0:
            return None
        self._left -= 1
        return closest_name(name, self._candidates)

    def fix(self, name: str) -> str | None:
        near = self.closest(name)
        return f"did you mean `{near}`?" if near else None


Check: TypeAlias = Callable[[Facts], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A lint rule. `whole_graph` rules are left out when a part of the file could not be read: what they
    would find missing may be in that part."""

    id: str
    severity: Severity
    doc: str
    fix: str
    check: Check
    whole_graph: bool = False

    def apply(self, facts: Facts) -> Iterator[Diagnostic]:
        for finding in self.check(facts):
            yield Diagnostic(
                self.id,
                self.severity,
                finding.message,
                finding.span,
                finding.node_id,
                finding.edge,
                finding.fix or self.fix,
                finding.expected,
            )
