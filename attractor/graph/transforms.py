"""Transforms: graph in, new graph out, after parsing and before linting (spec 9.1 - 9.3).

Rules kept here: the input is never modified. The built-in transforms run first, in the table's order, then
custom ones in the order given. Must not know: runs; what depends on one (the preamble of spec 9.2) is not
done here.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from attractor.graph.model import Graph, Node
from attractor.graph.origin import Transformed
from attractor.graph.stylesheet import apply_stylesheet

__all__ = ["BUILT_IN_TRANSFORMS", "Transform", "apply_transforms", "expand_goal"]

Transform: TypeAlias = Callable[[Graph], Graph]

# Not followed by more of a name: `$goals` is somebody's own word.
_GOAL = re.compile(r"\$goal(?![A-Za-z0-9_])")


def expand_goal(graph: Graph) -> Graph:
    """Puts the graph's goal for `$goal` in prompts (spec 9.2). Nowhere else: in a command it is the
    shell's.
    """
    goal = graph.goal
    changed = {node.id: _expanded(node, goal) for node in graph.nodes.values() if _GOAL.search(node.prompt)}
    return replace(graph, nodes={**graph.nodes, **changed}) if changed else graph


def _expanded(node: Node, goal: str) -> Node:
    prompt = node.attributes["prompt"]
    text = _GOAL.sub(lambda _: goal, prompt.text)
    changed = prompt._replace(text=text, origin=Transformed("expand_goal", prompt))
    return node.with_attributes({**node.attributes, "prompt": changed})


BUILT_IN_TRANSFORMS: tuple[Transform, ...] = (expand_goal, apply_stylesheet)


def apply_transforms(graph: Graph, custom: Sequence[Transform] = ()) -> Graph:
    """The graph after all built-in and then all custom transforms."""
    for transform in (*BUILT_IN_TRANSFORMS, *custom):
        graph = transform(graph)
    return graph
