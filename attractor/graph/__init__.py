"""The graph model: nodes, edges, attributes, conditions, stylesheets, transforms (spec 2, 8, 9, 10)."""

from attractor.dot import Attribute
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
from attractor.graph.conditions import Clause, Condition, ConditionProblem, parse_condition
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
from attractor.graph.stylesheet import apply_stylesheet, parse_stylesheet
from attractor.graph.transforms import BUILT_IN_TRANSFORMS, Transform, apply_transforms, expand_goal
from attractor.graph.values import parse_boolean, parse_duration, parse_integer, parse_list, parse_number

__all__ = [
    "ATTRIBUTES",
    "BUILT_IN_TRANSFORMS",
    "CONTEXT_FIDELITY_MODES",
    "DEFAULT_HANDLER_TYPE",
    "EXIT_IDS",
    "GRAPHVIZ_ATTRIBUTES",
    "SHAPE_TO_HANDLER_TYPE",
    "START_IDS",
    "Attribute",
    "AttributeSpec",
    "Clause",
    "Condition",
    "ConditionProblem",
    "Edge",
    "Graph",
    "Node",
    "Scope",
    "Transform",
    "ValueType",
    "apply_stylesheet",
    "apply_transforms",
    "attribute_spec",
    "build",
    "collector_paused",
    "derived_class",
    "expand_goal",
    "load_graph_text",
    "parse_boolean",
    "parse_condition",
    "parse_duration",
    "parse_integer",
    "parse_list",
    "parse_number",
    "parse_stylesheet",
    "read_graph",
    "value_problem",
]
