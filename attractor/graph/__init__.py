"""The graph model: nodes, edges, attributes, conditions, stylesheets, transforms (spec 2, 8, 9, 10)."""

from attractor.dot import Attribute, Formatted
from attractor.graph.accelerators import choice_keys, split_accelerator
from attractor.graph.attributes import (
    ATTRIBUTES,
    CONTEXT_FIDELITY_MODES,
    GRAPHVIZ_ATTRIBUTES,
    AttributeSpec,
    Scope,
    ValueType,
    attribute_spec,
    value_problem,
)
from attractor.graph.build import build, derived_class
from attractor.graph.canonical import format_graph_text
from attractor.graph.conditions import Clause, Condition, ConditionProblem, parse_condition
from attractor.graph.fan_out import FAN_IN, FAN_OUT, asks_for_outcome, branch_edges, join_of
from attractor.graph.fidelity import (
    DEFAULT_FIDELITY,
    FULL,
    FidelitySource,
    ThreadSource,
    fidelity_along,
    thread_along,
    uses_full,
)
from attractor.graph.load import collector_paused, load_graph_text, read_graph
from attractor.graph.model import (
    DEFAULT_HANDLER_TYPE,
    EXIT_IDS,
    SHAPE_TO_HANDLER_TYPE,
    START_IDS,
    Edge,
    Graph,
    Node,
)
from attractor.graph.origin import Defaults, GraphAttribute, StylesheetRule, Subgraph, Transformed
from attractor.graph.stylesheet import PROPERTIES, apply_stylesheet, parse_stylesheet, stylesheet_offers
from attractor.graph.transforms import BUILT_IN_TRANSFORMS, Transform, apply_transforms, expand_goal
from attractor.graph.values import parse_boolean, parse_duration, parse_integer, parse_list, parse_number

__all__ = [
    "ATTRIBUTES",
    "BUILT_IN_TRANSFORMS",
    "CONTEXT_FIDELITY_MODES",
    "DEFAULT_FIDELITY",
    "DEFAULT_HANDLER_TYPE",
    "EXIT_IDS",
    "FAN_IN",
    "FAN_OUT",
    "FULL",
    "GRAPHVIZ_ATTRIBUTES",
    "PROPERTIES",
    "SHAPE_TO_HANDLER_TYPE",
    "START_IDS",
    "Attribute",
    "AttributeSpec",
    "Clause",
    "Condition",
    "ConditionProblem",
    "Defaults",
    "Edge",
    "FidelitySource",
    "Formatted",
    "Graph",
    "GraphAttribute",
    "Node",
    "Scope",
    "StylesheetRule",
    "Subgraph",
    "ThreadSource",
    "Transform",
    "Transformed",
    "ValueType",
    "apply_stylesheet",
    "apply_transforms",
    "asks_for_outcome",
    "attribute_spec",
    "branch_edges",
    "build",
    "choice_keys",
    "collector_paused",
    "derived_class",
    "expand_goal",
    "fidelity_along",
    "format_graph_text",
    "join_of",
    "load_graph_text",
    "parse_boolean",
    "parse_condition",
    "parse_duration",
    "parse_integer",
    "parse_list",
    "parse_number",
    "parse_stylesheet",
    "read_graph",
    "split_accelerator",
    "stylesheet_offers",
    "thread_along",
    "uses_full",
    "value_problem",
]
