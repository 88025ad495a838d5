"""Rules about where the engine goes next: conditions, fallbacks, loops, retries.

Rules kept here: see `rule`. Loops are looked for without recursion. Must not know: how the engine picks an
edge beyond what spec 3.3 to 3.7 promises.
"""

from collections.abc import Iterator
from itertools import islice

from attractor.diagnostics import closest_name
from attractor.graph import (
    FAN_IN,
    FAN_OUT,
    Clause,
    Condition,
    ConditionProblem,
    Edge,
    Scope,
    branch_edges,
    join_of,
    parse_condition,
    parse_integer,
)
from attractor.graph import parse_boolean as _flag
from attractor.lint.rule import Facts, Finding, Suggestions

# Spec 5.2. `skipped` is a status of its own there and can be waited for like the others.
_STATUSES = ("success", "partial_success", "retry", "fail", "skipped")
# Loops can contain each other; naming more of them helps nobody and would cost the square of the graph.
_MAX_LOOPS = 20
_SPECIAL_KEYS = ("outcome", "preferred_label", "context")


def condition_syntax(facts: Facts) -> Iterator[Finding]:
    reported: set[int] = set()
    for edge in facts.graph.edges:
        problem = edge.parsed_condition
        # The edges of a chain share the attribute: one slip, one finding.
        if isinstance(problem, ConditionProblem) and id(edge.attributes["condition"]) not in reported:
            reported.add(id(edge.attributes["condition"]))
            found = edge.condition_diagnostic(problem)
            yield Finding(found.message, found.span, None, found.edge, found.fix, found.expected)
    for place in facts.places(Scope.NODE, "manager.stop_condition"):
        parsed = parse_condition(place.attribute.text)
        if isinstance(parsed, ConditionProblem):
            span = place.attribute.span_within(parsed.start, parsed.end)
            yield Finding(parsed.message, span, place.node_id, None, parsed.fix, parsed.expected)


def condition_key(facts: Facts) -> Iterator[Finding]:
    for edge, clause in _clauses(facts):
        first, dot, rest = clause.key.partition(".")
        near = None if first in _SPECIAL_KEYS and (dot or first != "context") else closest_name(first, _SPECIAL_KEYS)
        if near is None or (near == "context") != bool(dot):
            continue
        span = edge.attributes["condition"].span_within(clause.start, clause.start + len(clause.key))
        message = f"`{clause.key}` is looked up in the context: no outcome or label has that name"
        fix = f"did you mean `{near}{dot}{rest}`?"
        yield Finding(message, span, None, (edge.source_id, edge.target_id), fix)


def condition_outcome(facts: Facts) -> Iterator[Finding]:
    for edge, clause in _clauses(facts):
        if clause.key != "outcome" or not clause.operator or clause.literal in _STATUSES:
            continue
        effect = "never" if clause.operator == "=" else "always"
        near = closest_name(clause.literal, _STATUSES)
        yield Finding(
            f"`{clause.literal}` is no outcome: this clause {effect} holds",
            edge.attributes["condition"].span_within(clause.start, clause.start + len(clause.key)),
            edge=(edge.source_id, edge.target_id),
            fix=f"did you mean `{near}`?" if near else None,
            expected=_STATUSES,
        )


def _clauses(facts: Facts) -> Iterator[tuple[Edge, Clause]]:
    seen: set[int] = set()
    for edge in facts.graph.edges:
        condition = edge.parsed_condition
        if isinstance(condition, Condition) and id(edge.attributes["condition"]) not in seen:
            seen.add(id(edge.attributes["condition"]))
            for clause in condition.clauses:
                yield edge, clause


def conditional_fallback(facts: Facts) -> Iterator[Finding]:
    """All edges conditional and success, for a conditional node also failure, matched by none of them for
    sure.

    Failure of any other node without an edge for it is no slip: spec 3.7 says what happens then.
    """
    for node in facts.graph.nodes.values():
        edges = facts.graph.outgoing(node.id)
        if not edges or any(edge.parsed_condition is None for edge in edges):
            continue
        conditions = [edge.parsed_condition for edge in edges if isinstance(edge.parsed_condition, Condition)]
        if len(conditions) < len(edges) or _complementary(conditions):
            continue
        needed = ("success", "fail") if facts.handler_types[node.id] == "conditional" else ("success",)
        missing = [status for status in needed if not any(_matches_surely(one, status) for one in conditions)]
        if missing:
            outcomes = " or ".join(missing)
            message = f"every edge of `{node.id}` has a condition, and none is sure to match on {outcomes}"
            yield Finding(message, node.span, node.id)


def _matches_surely(condition: Condition, status: str) -> bool:
    return all(clause.key == "outcome" and clause.holds(status, "", {}) for clause in condition.clauses)


def _complementary(conditions: list[Condition]) -> bool:
    """Whether two of them are `k=v` and `k!=v`, so that one holds always."""
    single = {one.clauses[0][:3] for one in conditions if len(one.clauses) == 1}
    return any(operator == "=" and (key, "!=", literal) in single for key, operator, literal in single)


def loop_bounded(facts: Facts) -> Iterator[Finding]:
    """Cycles of unconditional edges that nothing counts. A human gate on the way is a bound: somebody
    decides.
    """
    graph = facts.graph
    if _limits_visits(graph.text("max_node_visits")):
        return
    following: dict[str, list[str]] = {}
    for node in graph.nodes.values():
        if facts.handler_types[node.id] == "wait.human" or _limits_visits(node.text("max_node_visits")):
            continue
        edges = graph.outgoing(node.id)
        # A node with a conditional edge has a way of leaving that depends on what happens.
        if not any(edge.parsed_condition for edge in edges):
            free = [edge.target_id for edge in edges if not _restarts(edge)]
            following[node.id] = free
    for cycle in islice(_cycles(following), _MAX_LOOPS):
        names = " -> ".join([*cycle[:6], *(["..."] if len(cycle) > 6 else []), cycle[0]])
        yield Finding(
            f"nothing bounds the loop {names}: no condition, no visit limit, no human",
            graph.nodes[cycle[0]].span,
            cycle[0],
        )


def _restarts(edge: Edge) -> bool:
    return "loop_restart" in edge.attributes and _flag(edge.text("loop_restart")) is True


def _limits_visits(text: str) -> bool:
    return (parse_integer(text) or 0) > 0


def _cycles(following: dict[str, list[str]]) -> Iterator[list[str]]:
    """Cycles a depth-first walk meets, none closed between two nodes of cycles met before."""
    done: set[str] = set()
    met: set[str] = set()
    for root in following:
        if root in done:
            continue
        path, on_path = [root], {root: 0}
        stack = [iter(following[root])]
        while stack:
            target = next(stack[-1], None)
            if target is None:
                stack.pop()
                done.add(path.pop())
                del on_path[next(reversed(on_path))]
            elif target in on_path:
                if target not in met and path[-1] not in met:
                    cycle = path[on_path[target] :]
                    met.update(cycle)
                    yield cycle
            elif target in following and target not in done:
                on_path[target] = len(path)
                path.append(target)
                stack.append(iter(following[target]))


def retry_target_exists(facts: Facts) -> Iterator[Finding]:
    suggestions = Suggestions(facts.graph.nodes)
    for scope in (Scope.GRAPH, Scope.NODE):
        for key in ("retry_target", "fallback_retry_target"):
            for place in facts.places(scope, key):
                name = place.attribute.text
                if name and name not in facts.graph.nodes:
                    message = f"{key} `{name}` is not a node"
                    yield Finding(message, place.attribute.span, place.node_id, fix=suggestions.fix(name))


def goal_gate_has_retry(facts: Facts) -> Iterator[Finding]:
    graph = facts.graph
    if graph.retry_target or graph.fallback_retry_target:
        return
    for node in graph.nodes.values():
        is_gate = _flag(node.text("goal_gate")) is True
        if is_gate and not node.retry_target and not node.fallback_retry_target:
            message = f"goal gate `{node.id}` has no retry target: when it is unsatisfied the run fails at the exit"
            yield Finding(message, node.span, node.id)


def fan_out_branches(facts: Facts) -> Iterator[Finding]:
    for node in facts.of_type(FAN_OUT):
        if not branch_edges(facts.graph, node.id):
            yield Finding(f"the fan-out `{node.id}` has no branch", node.span, node.id)


def fan_out_joined(facts: Facts) -> Iterator[Finding]:
    for node in facts.of_type(FAN_OUT):
        meeting = join_of(facts.graph, node.id) if branch_edges(facts.graph, node.id) else FAN_IN
        if meeting is None:
            message = f"the branches of the fan-out `{node.id}` never meet: the run ends behind it"
            yield Finding(message, node.span, node.id)
        elif facts.handler_types.get(meeting, FAN_IN) != FAN_IN:
            message = f"the branches of the fan-out `{node.id}` meet at `{meeting}`, which is no fan-in"
            yield Finding(message, node.span, node.id)
