"""Rules about single attributes: known, in the right place, of the right type, sensible for their node.

Rules kept here: see `rule`. What an attribute must look like comes from the table in `attractor.graph`; only
rules that look at more than one attribute say anything of their own. Must not know: edges between nodes.
"""

from collections.abc import Iterator

from attractor.graph import (
    ATTRIBUTES,
    CONTEXT_FIDELITY_MODES,
    DEFAULT_HANDLER_TYPE,
    SHAPE_TO_HANDLER_TYPE,
    Scope,
    ValueType,
    attribute_spec,
    parse_stylesheet,
    value_problem,
)
from attractor.lint.rule import Facts, Finding, Suggestions

# Shapes Graphviz draws; those without a handler of their own are LLM stages (spec 2.8).
_SHAPE_NAMES = """
    Mcircle Mdiamond Mrecord Msquare assembly box box3d cds circle component cylinder diamond doublecircle
    doubleoctagon egg ellipse fivepoverhang folder hexagon house insulator invhouse invtrapezium invtriangle
    larrow lpromoter none note noverhang octagon oval parallelogram pentagon plain plaintext point polygon
    primersite promoter proteasesite proteinstab rarrow record rect rectangle restrictionsite ribosite
    rnastab rpromoter septagon signature square star tab terminator threepoverhang trapezium triangle
    tripleoctagon underline utr
"""
_GRAPHVIZ_SHAPES = frozenset(_SHAPE_NAMES.split())


def attribute_type(facts: Facts) -> Iterator[Finding]:
    for scope, key in facts.owners:
        spec = attribute_spec(scope, key)
        if spec is None or (spec.type in (ValueType.TEXT, ValueType.LIST) and not spec.choices):
            continue
        for place in facts.places(scope, key):
            needed = value_problem(spec, place.attribute.text)
            if needed:
                message = f"{key} must be {needed}, not `{place.attribute.text[:60]}`"
                yield Finding(
                    message,
                    place.attribute.span,
                    place.node_id,
                    place.edge_ids,
                    _value_fix(place.attribute.text),
                    (needed,),
                )


def _value_fix(text: str) -> str | None:
    lowered = text.strip().lower()
    if lowered in {"yes", "on", "1", "true"}:
        return "write true, if a yes was meant"
    if lowered in {"no", "off", "false"}:
        return "write false"
    return f"write {text.strip()}s, if seconds were meant" if text.strip().isdigit() else None


def _elsewhere(key: str) -> list[Scope]:
    return [scope for scope in Scope if (scope, key) in ATTRIBUTES]


def attribute_misspelled(facts: Facts) -> Iterator[Finding]:
    for (scope, key), near in facts.unknown_keys.items():
        if near and not _elsewhere(key):
            message = f"unknown {scope.value} attribute `{key}`"
            yield from _each(facts, scope, key, message, f"did you mean `{near}`?")


def attribute_misplaced(facts: Facts) -> Iterator[Finding]:
    for scope, key in facts.unknown_keys:
        others = _elsewhere(key)
        if others:
            where = " or ".join(other.value for other in others)
            message = f"`{key}` is an attribute of a {where}; on a {scope.value} it has no effect"
            yield from _each(facts, scope, key, message, f"move it to the {where}")


def attribute_unknown(facts: Facts) -> Iterator[Finding]:
    for (scope, key), near in facts.unknown_keys.items():
        # A dotted key is somebody's own name space.
        if not near and not _elsewhere(key) and "." not in key:
            message = f"unknown {scope.value} attribute `{key}`: the engine ignores it"
            yield from _each(facts, scope, key, message, None)


def _each(facts: Facts, scope: Scope, key: str, message: str, fix: str | None) -> Iterator[Finding]:
    for place in facts.places(scope, key):
        yield Finding(message, place.attribute.key_span, place.node_id, place.edge_ids, fix)


def stylesheet_syntax(facts: Facts) -> Iterator[Finding]:
    sheet = facts.graph.attributes.get("model_stylesheet")
    if sheet is not None:
        locate = sheet.locator()
        for problem in parse_stylesheet(sheet.text)[1]:
            span = locate(problem.start, problem.end)
            yield Finding(problem.message, span, fix=problem.fix, expected=problem.expected)


def stylesheet_selector(facts: Facts) -> Iterator[Finding]:
    sheet = facts.graph.attributes.get("model_stylesheet")
    if sheet is None:
        return
    nodes = facts.graph.nodes.values()
    names = {
        "id": set(facts.graph.nodes),
        "class": {name for node in nodes for name in node.classes},
        "shape": {node.shape for node in nodes} | _GRAPHVIZ_SHAPES,
    }
    locate = sheet.locator()
    suggestions = {kind: Suggestions(known) for kind, known in names.items()}
    for rule in parse_stylesheet(sheet.text)[0]:
        if rule.kind in names and rule.name not in names[rule.kind]:
            message = f"this rule matches nothing: no node has the {rule.kind} `{rule.name}`"
            fix = suggestions[rule.kind].fix(rule.name)
            yield Finding(message, locate(rule.start, rule.end), fix=fix)


def type_known(facts: Facts) -> Iterator[Finding]:
    for place in facts.places(Scope.NODE, "type"):
        name = place.attribute.text
        if name and name not in facts.known_types:
            fix = Suggestions(facts.known_types).fix(name)
            message = f"handler type `{name}` is not known"
            yield Finding(message, place.attribute.span, place.node_id, fix=fix, expected=facts.known_types)


def shape_known(facts: Facts) -> Iterator[Finding]:
    for place in facts.places(Scope.NODE, "shape"):
        name = place.attribute.text
        if name and name not in _GRAPHVIZ_SHAPES and not (place.node and place.node.text("type")):
            fix = Suggestions(SHAPE_TO_HANDLER_TYPE).fix(name)
            message = f"shape `{name}` is not known: the node is taken for an LLM stage"
            yield Finding(message, place.attribute.span, place.node_id, fix=fix)


def fidelity_valid(facts: Facts) -> Iterator[Finding]:
    for scope, key in ((Scope.GRAPH, "default_fidelity"), (Scope.NODE, "fidelity"), (Scope.EDGE, "fidelity")):
        for place in facts.places(scope, key):
            mode = place.attribute.text
            if mode and mode not in CONTEXT_FIDELITY_MODES:
                yield Finding(
                    f"{key} `{mode[:60]}` is no fidelity mode",
                    place.attribute.span,
                    place.node_id,
                    place.edge_ids,
                    Suggestions(CONTEXT_FIDELITY_MODES).fix(mode[:60]),
                    CONTEXT_FIDELITY_MODES,
                )


def prompt_on_llm_nodes(facts: Facts) -> Iterator[Finding]:
    for node in facts.of_type(DEFAULT_HANDLER_TYPE):
        if not node.prompt.strip() and not node.text("label").strip():
            yield Finding(f"LLM stage `{node.id}` has neither prompt nor label", node.span, node.id)


def tool_command_required(facts: Facts) -> Iterator[Finding]:
    for node in facts.of_type("tool"):
        if node.tool_command.strip():
            continue
        other = next((key for key in ("command", "cmd", "script", "tool") if key in node.attributes), None)
        fix = f"rename `{other}` to `tool_command`" if other else None
        span = node.attributes[other].key_span if other else node.span
        yield Finding(f"tool node `{node.id}` has no tool_command", span, node.id, fix=fix)
