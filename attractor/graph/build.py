"""Syntax tree to graph: scopes, defaults, chains and classes resolved (spec 2.9 - 2.12).

Rules kept here:
- Defaults reach the nodes and edges declared after them, in their subgraph and the subgraphs inside it.
- A node declared again is the same node: new attributes are added, a different value for an explicit one
  replaces it and is a warning. Defaults count at the first declaration only, as in Graphviz.
- A node declared in several subgraphs has the classes of all of them.
- An edge declares no nodes. Graphviz would make them up, and a typing error would become a stage that asks a
  model to do nothing; spec 7.2 makes it an error (edge_target_exists), which the lint reports.
- A subgraph's own attributes do not reach the graph; its label makes a class, wherever in the subgraph it
  stands.

Must not know: which attributes exist. It never fails; what it finds odd it reports.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from attractor.diagnostics import Diagnostic, Severity
from attractor.dot import (
    Attribute,
    DefaultsStatement,
    DigraphSyntax,
    EdgeStatement,
    NodeStatement,
    Statement,
    SubgraphStatement,
)
from attractor.graph.conditions import Condition, ConditionProblem, parse_condition
from attractor.graph.model import EXIT_IDS, START_IDS, Edge, Graph, Node
from attractor.graph.origin import Defaults, Subgraph
from attractor.graph.values import parse_list
from attractor.source import Span

__all__ = ["build", "derived_class"]

_Attributes = dict[str, Attribute]


def build(tree: DigraphSyntax) -> tuple[Graph, tuple[Diagnostic, ...]]:
    """The graph of a syntax tree, and warnings about attributes that were given two values."""
    builder = _Builder()
    builder.run(tree.statements)
    nodes = builder.finished_nodes()
    graph = Graph(tree.name, builder.graph_attributes, nodes, tuple(builder.edges), tree.source)
    return graph, tuple(builder.found)


_NOT_IN_CLASS = re.compile(r"[^a-z0-9-]+")


def derived_class(label: str) -> str:
    """`Loop A` -> `loop-a` (spec 2.10)."""
    return _NOT_IN_CLASS.sub("", re.sub(r"\s", "-", label.strip().lower()))


class _Draft:
    """A node still open to further declarations. `own` are its explicit attributes, without defaults; `subgraphs`
    the innermost ones around its declarations.
    """

    __slots__ = ("defaults", "own", "span", "subgraph_classes", "subgraphs")

    def __init__(self, own: _Attributes, scope: "_Scope", span: Span) -> None:
        self.defaults = scope.node_defaults
        self.own = own
        self.subgraph_classes = scope.classes
        self.subgraphs = scope.subgraphs
        self.span = span


class _Scope:
    """What one `{` adds: the defaults in force, the classes of its nodes, the statements still to read.

    `node_defaults` is shared with the drafts made under it, and copied before it changes once it is. `subgraphs` is
    the innermost subgraph, or nothing; a tuple because the drafts take it over. `own` are its own attributes.
    """

    __slots__ = ("classes", "edge_defaults", "is_shared", "node_defaults", "own", "statements", "subgraphs")

    def __init__(
        self,
        statements: Sequence[Statement],
        node_defaults: _Attributes,
        edge_defaults: _Attributes,
        classes: tuple[str, ...],
        own: _Attributes,
        subgraphs: tuple[Subgraph, ...] = (),
    ) -> None:
        self.statements: Iterator[Statement] = iter(statements)
        self.node_defaults = node_defaults
        self.edge_defaults = edge_defaults
        self.classes = classes
        self.own = own
        self.subgraphs = subgraphs
        self.is_shared = True

    def own_node_defaults(self) -> _Attributes:
        if self.is_shared:
            self.node_defaults = dict(self.node_defaults)
            self.is_shared = False
        return self.node_defaults


class _Builder:
    def __init__(self) -> None:
        self.graph_attributes: _Attributes = {}
        self.edges: list[Edge] = []
        self.found: list[Diagnostic] = []
        self._drafts: dict[str, _Draft] = {}
        self._conditions: dict[str, Condition | ConditionProblem | None] = {}

    def run(self, statements: Sequence[Statement]) -> None:
        """Reads all statements in file order; subgraphs are on an explicit stack, so depth costs no
        recursion.
        """
        scopes = [_Scope(statements, {}, {}, (), self.graph_attributes)]
        while scopes:
            scope = scopes[-1]
            statement = next(scope.statements, None)
            if statement is None:
                scopes.pop()
            elif isinstance(statement, NodeStatement):
                self._node(statement, scope)
            elif isinstance(statement, EdgeStatement):
                self._edges(statement, scope)
            elif isinstance(statement, SubgraphStatement):
                scopes.append(_inner(statement, scope))
            else:
                self._defaults(statement, scope)

    def finished_nodes(self) -> dict[str, Node]:
        nodes = {node_id: _finished(node_id, draft) for node_id, draft in self._drafts.items()}
        # Ids count only where no node has the role by shape or type: `end` may then be an ordinary stage.
        for role, ids in (("start", START_IDS), ("exit", EXIT_IDS)):
            if any(node.handler_type == role for node in nodes.values()):
                continue
            for node_id in ids & nodes.keys():
                nodes[node_id] = _finished(node_id, self._drafts[node_id], role)
        return nodes

    def _node(self, statement: NodeStatement, scope: _Scope) -> None:
        node_id = statement.node.text
        draft = self._drafts.get(node_id)
        if draft is None:
            own = self._laid_over({}, statement.attributes, node_id)
            self._drafts[node_id] = _Draft(own, scope, statement.node.span)
            scope.is_shared = True
            return
        self._laid_over(draft.own, statement.attributes, node_id)
        added = tuple(name for name in scope.classes if name not in draft.subgraph_classes)
        draft.subgraph_classes += added
        draft.subgraphs += scope.subgraphs

    def _edges(self, statement: EdgeStatement, scope: _Scope) -> None:
        attributes = self._laid_over({}, statement.attributes)
        if scope.edge_defaults:
            attributes = {**scope.edge_defaults, **attributes}
        condition = self._condition(attributes)
        nodes = statement.nodes
        for left, right in pairwise(nodes):
            span = Span(left.source, left.start, right.end)
            self.edges.append(Edge(left.text, right.text, attributes, span, len(self.edges), condition))

    def _condition(self, attributes: _Attributes) -> Condition | ConditionProblem | None:
        attribute = attributes.get("condition")
        if attribute is None:
            return None
        # Most edges of a large graph share a handful of conditions.
        if attribute.text not in self._conditions:
            self._conditions[attribute.text] = parse_condition(attribute.text)
        return self._conditions[attribute.text]

    def _defaults(self, statement: DefaultsStatement, scope: _Scope) -> None:
        if statement.target == "graph":
            self._laid_over(scope.own, statement.attributes, warn=not scope.subgraphs)
            return
        origin = Defaults(scope.subgraphs[0] if scope.subgraphs else None)
        attributes = tuple(attribute._replace(origin=origin) for attribute in statement.attributes)
        target = scope.own_node_defaults() if statement.target == "node" else scope.edge_defaults
        self._laid_over(target, attributes, warn=False)

    def _laid_over(
        self, target: _Attributes, added: tuple[Attribute, ...], node_id: str | None = None, *, warn: bool = True
    ) -> _Attributes:
        """`target` with `added` put in; two different explicit values of one attribute are a warning."""
        for attribute in added:
            earlier = target.get(attribute.key)
            if warn and earlier is not None and earlier.text != attribute.text:
                self._report_conflict(earlier, attribute, node_id)
            target[attribute.key] = attribute
        return target

    def _report_conflict(self, earlier: Attribute, attribute: Attribute, node_id: str | None) -> None:
        line = earlier.span.line
        message = f"`{attribute.key}` is given a second value; the first, in line {line}, is overridden"
        span = Span(attribute.source, attribute.key_start, attribute.end)
        fix = "keep one of the two"
        self.found.append(Diagnostic("attribute_conflict", Severity.WARNING, message, span, node_id=node_id, fix=fix))


def _finished(node_id: str, draft: _Draft, role: str = "") -> Node:
    attributes = {**draft.defaults, **draft.own} if draft.defaults else draft.own
    classes = draft.subgraph_classes
    if "class" in attributes:
        explicit = parse_list(attributes["class"].text)
        classes = explicit + tuple(name for name in classes if name not in explicit)
    subgraphs, defaults = draft.subgraphs, draft.defaults
    return Node(node_id, attributes, classes, draft.span, draft.subgraph_classes, role, subgraphs, defaults)


def _inner(statement: SubgraphStatement, scope: _Scope) -> _Scope:
    name = derived_class(_subgraph_label(statement))
    classes = scope.classes if not name or name in scope.classes else (*scope.classes, name)
    own: _Attributes = {}
    parent = scope.subgraphs[0] if scope.subgraphs else None
    subgraph = Subgraph(statement.name, own, statement.span, parent, name)
    return _Scope(statement.statements, scope.node_defaults, dict(scope.edge_defaults), classes, own, (subgraph,))


def _subgraph_label(statement: SubgraphStatement) -> str:
    label = ""
    for inner in statement.statements:
        if isinstance(inner, DefaultsStatement) and inner.target == "graph":
            for attribute in inner.attributes:
                if attribute.key == "label":
                    label = attribute.text
    return label
