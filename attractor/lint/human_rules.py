"""Rules about human gates: their choices, and what becomes of them when nobody answers (spec 4.6).

Rules kept here: see `rule`. Must not know: how people are asked.
"""

from collections.abc import Iterator

from attractor.graph import Edge, Node, Scope, choice_keys, split_accelerator
from attractor.lint.rule import Facts, Finding


def human_default_exists(facts: Facts) -> Iterator[Finding]:
    for place in facts.places(Scope.NODE, "human.default_choice"):
        node, choice = place.node, place.attribute.text.strip()
        if node is None or not choice or facts.handler_types[node.id] != "wait.human":
            continue
        edges = facts.graph.outgoing(node.id)
        if choice.lower() not in {name.lower() for name in _choice_names(edges)}:
            targets = tuple(edge.target_id for edge in edges)
            message = f"human.default_choice `{choice}` is none of the choices of `{node.id}`"
            yield Finding(message, place.attribute.span, node.id, expected=targets)


def _choice_names(edges: tuple[Edge, ...]) -> Iterator[str]:
    labels = [edge.label or edge.target_id for edge in edges]
    for edge, label, key in zip(edges, labels, choice_keys(labels), strict=True):
        yield from (edge.target_id, label.strip(), split_accelerator(label)[1], key)
    if len(edges) == 1 and not edges[0].label:
        yield from ("yes", "no", "y", "n")  # a confirmation


def human_key_unique(facts: Facts) -> Iterator[Finding]:
    for node in facts.of_type("wait.human"):
        yield from _repeated_keys(facts, node)


def _repeated_keys(facts: Facts, node: Node) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for edge in facts.graph.outgoing(node.id):
        key = split_accelerator(edge.label)[0].lower()
        if not key:
            continue
        other = seen.setdefault(key, edge.label)
        if other != edge.label:
            message = f"key `{key}` of `{node.id}` stands for two choices: `{other}` and `{edge.label}`"
            span = edge.attributes["label"].span
            yield Finding(message, span, node.id, (edge.source_id, edge.target_id))


def human_timeout_default(facts: Facts) -> Iterator[Finding]:
    for node in facts.of_type("wait.human"):
        # Where the gate's failure goes: a jump, or a conditional edge.
        ways = [node.retry_target, node.fallback_retry_target]
        ways += [edge.condition_text for edge in facts.graph.outgoing(node.id)]
        if node.text("timeout") and not node.text("human.default_choice") and not any(ways):
            message = f"`{node.id}` has a timeout and no human.default_choice: when nobody answers in time it fails"
            yield Finding(message, node.attributes["timeout"].span, node.id)


def human_type_fits(facts: Facts) -> Iterator[Finding]:
    for place in facts.places(Scope.NODE, "human.type"):
        node, kind = place.node, place.attribute.text
        if node is None or facts.handler_types[node.id] != "wait.human":
            continue
        edges = facts.graph.outgoing(node.id)
        labels = sorted(split_accelerator(edge.label)[1].lower() for edge in edges)
        if kind == "yes_no" and labels != ["no", "yes"]:
            message = f"`{node.id}` asks for yes or no, and its edges are not labelled Yes and No"
            yield Finding(message, place.attribute.span, node.id)
        elif kind == "confirmation" and len(edges) != 1:
            message = f"`{node.id}` asks for a confirmation and has {len(edges)} ways on; one is what it can confirm"
            yield Finding(message, place.attribute.span, node.id)
