"""Rules about the shape of the graph: its ends, its edges, what can be reached.

Rules kept here: see `rule`. Retry targets count as ways to reach a node, because the engine jumps there
(spec 3.7).
Must not know: what handlers do with a node.
"""

from collections.abc import Iterator

from attractor.graph import EXIT_IDS, START_IDS, Node
from attractor.lint.rule import Facts, Finding, Suggestions

# Entries of a run directory that have no dot in their name; all others cannot be node ids.
_RESERVED_IDS = frozenset({"artifacts", "worktree"})
# File names end at 255 bytes, and branch and temporary names add to the id.
_MAX_ID_LENGTH = 200
_KEYWORDS = ("node", "edge", "graph", "subgraph")


def start_node(facts: Facts) -> Iterator[Finding]:
    yield from _exactly_one(facts, "start", "add: start [shape=Mdiamond]", START_IDS)


def terminal_node(facts: Facts) -> Iterator[Finding]:
    yield from _exactly_one(facts, "exit", "add: exit [shape=Msquare]", EXIT_IDS)


def _exactly_one(facts: Facts, handler_type: str, fix: str, ids: frozenset[str]) -> Iterator[Finding]:
    found = facts.of_type(handler_type)
    if not found:
        nearest = next((node for node_id, node in facts.graph.nodes.items() if node_id in ids), None)
        span = nearest.span if nearest else facts.header
        yield Finding(f"the graph has no {handler_type} node; it needs exactly one", span, fix=fix)
    for node in found[1:]:
        message = f"`{node.id}` is a second {handler_type} node beside `{found[0].id}`; there must be exactly one"
        yield Finding(message, node.span, node.id)


def start_no_incoming(facts: Facts) -> Iterator[Finding]:
    for node in facts.of_type("start"):
        for edge in facts.graph.incoming(node.id):
            message = f"the start node `{node.id}` has an incoming edge from `{edge.source_id}`"
            yield Finding(message, edge.span, node.id, (edge.source_id, edge.target_id))


def exit_no_outgoing(facts: Facts) -> Iterator[Finding]:
    for node in facts.of_type("exit"):
        for edge in facts.graph.outgoing(node.id):
            message = f"the exit node `{node.id}` has an outgoing edge to `{edge.target_id}`"
            yield Finding(message, edge.span, node.id, (edge.source_id, edge.target_id))


def edge_target_exists(facts: Facts) -> Iterator[Finding]:
    nodes = facts.graph.nodes
    suggestions = Suggestions(nodes)
    for edge in facts.graph.edges:
        if edge.target_id not in nodes:
            yield Finding(
                f"edge target `{edge.target_id}` is not declared as a node",
                edge.span._replace(start=max(edge.span.start, edge.span.end - len(edge.target_id))),
                edge=(edge.source_id, edge.target_id),
                fix=suggestions.fix(edge.target_id),
            )


def edge_source_exists(facts: Facts) -> Iterator[Finding]:
    nodes = facts.graph.nodes
    suggestions = Suggestions(nodes)
    reported: set[str] = set()
    # A node that is missing as a target as well is reported there: one slip, one finding.
    targets = {edge.target_id for edge in facts.graph.edges}
    for edge in facts.graph.edges:
        name = edge.source_id
        if name not in nodes and name not in targets and name not in reported:
            reported.add(name)
            yield Finding(
                f"edge source `{name}` is not declared as a node",
                edge.span._replace(end=min(edge.span.end, edge.span.start + len(name))),
                edge=(name, edge.target_id),
                fix=suggestions.fix(name),
            )


def reachability(facts: Facts) -> Iterator[Finding]:
    starts = [node.id for node in facts.of_type("start")]
    if not starts:
        return
    reached = facts.reachable(starts, facts.successors)
    suggestions = Suggestions(_KEYWORDS)
    for node in facts.graph.nodes.values():
        if node.id not in reached:
            lonely = not facts.graph.incoming(node.id) and not facts.graph.outgoing(node.id)
            fix = suggestions.fix(node.id) if lonely else None
            yield Finding(f"node `{node.id}` cannot be reached from the start node", node.span, node.id, fix=fix)


def dead_end(facts: Facts) -> Iterator[Finding]:
    for node in _dead_ends(facts):
        yield Finding(f"node `{node.id}` has no outgoing edge: the run ends there", node.span, node.id)


def _dead_ends(facts: Facts) -> list[Node]:
    types = facts.handler_types
    return [
        node for node in facts.graph.nodes.values() if types[node.id] != "exit" and not facts.graph.outgoing(node.id)
    ]


def exit_reachable(facts: Facts) -> Iterator[Finding]:
    """Nodes on a cycle without a way out; nodes that lead to a dead end have had their finding."""
    ends = [node.id for node in facts.of_type("exit")] + [node.id for node in _dead_ends(facts)]
    backwards: dict[str, list[str]] = {}
    for source_id, targets in facts.successors.items():
        for target in targets:
            backwards.setdefault(target, []).append(source_id)
    # An edge to an undeclared node leads somewhere the author has yet to write.
    ends += [edge.source_id for edge in facts.graph.edges if edge.target_id not in facts.graph.nodes]
    reached = facts.reachable(ends, backwards)
    for node in facts.graph.nodes.values():
        if node.id not in reached:
            yield Finding(f"no path leads from `{node.id}` to the exit: the run cannot end", node.span, node.id)


def edge_duplicate(facts: Facts) -> Iterator[Finding]:
    seen: set[tuple[str, str, str, str]] = set()
    for edge in facts.graph.edges:
        key = (edge.source_id, edge.target_id, edge.condition_text, edge.label)
        if key in seen:
            message = f"a second edge {edge.source_id} -> {edge.target_id} with the same label and condition"
            yield Finding(message, edge.span, edge=(edge.source_id, edge.target_id))
        seen.add(key)


def node_id_reserved(facts: Facts) -> Iterator[Finding]:
    for node_id in sorted(_RESERVED_IDS & facts.graph.nodes.keys()):
        message = f"node id `{node_id}` is the name of an entry of the run directory"
        yield Finding(message, facts.graph.nodes[node_id].span, node_id)


def node_id_length(facts: Facts) -> Iterator[Finding]:
    for node in facts.graph.nodes.values():
        if len(node.id) > _MAX_ID_LENGTH:
            message = f"node id is {len(node.id)} characters long; it names a folder, at most {_MAX_ID_LENGTH} fit"
            yield Finding(message, node.span, node.id)


def node_id_case(facts: Facts) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for node in facts.graph.nodes.values():
        other = seen.setdefault(node.id.lower(), node.id)
        if other != node.id:
            message = f"node ids `{other}` and `{node.id}` differ only in case: one folder on some systems"
            yield Finding(message, node.span, node.id)
