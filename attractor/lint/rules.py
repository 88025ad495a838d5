"""The table of lint rules: every id, how bad it is, what it means, what usually fixes it (spec 7.2, then
ours).

Rules kept here: ids are stable; a rule that changes its meaning gets a new id. Rows in the spec's order,
then our own by subject. Must not know: how findings are shown.
"""

from attractor.diagnostics import Severity
from attractor.lint import attribute_rules, routing, structure
from attractor.lint.rule import Rule

__all__ = ["RULES"]

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

RULES: tuple[Rule, ...] = (
    # Spec 7.2
    Rule(
        "start_node",
        _ERROR,
        "There is exactly one start node: shape=Mdiamond, or the id start.",
        "keep one start node",
        structure.start_node,
        whole_graph=True,
    ),
    Rule(
        "terminal_node",
        _ERROR,
        "There is exactly one exit node: shape=Msquare, or the id exit or end.",
        "keep one exit node; several edges may lead to it",
        structure.terminal_node,
        whole_graph=True,
    ),
    Rule(
        "reachability",
        _ERROR,
        "Every node can be reached from the start node, by edges or retry targets.",
        "add an edge to it, or remove it",
        structure.reachability,
        whole_graph=True,
    ),
    Rule(
        "edge_target_exists",
        _ERROR,
        "Every edge leads to a declared node.",
        "declare the node",
        structure.edge_target_exists,
        whole_graph=True,
    ),
    Rule(
        "start_no_incoming",
        _ERROR,
        "No edge leads to the start node.",
        "lead the edge to the first working node",
        structure.start_no_incoming,
    ),
    Rule(
        "exit_no_outgoing",
        _ERROR,
        "No edge leaves the exit node.",
        "remove the edge",
        structure.exit_no_outgoing,
    ),
    Rule(
        "condition_syntax",
        _ERROR,
        "Conditions parse (spec 10).",
        "write clauses such as outcome=success && context.key!=value",
        routing.condition_syntax,
    ),
    Rule(
        "stylesheet_syntax",
        _ERROR,
        "The model_stylesheet parses (spec 8).",
        "write rules such as .class { llm_model: name; }",
        attribute_rules.stylesheet_syntax,
    ),
    Rule(
        "type_known",
        _WARNING,
        "A node's type is a known handler type.",
        "use a known type, or register a handler for it",
        attribute_rules.type_known,
    ),
    Rule(
        "fidelity_valid",
        _WARNING,
        "Fidelity is one of the modes of spec 5.4.",
        "use one of the modes",
        attribute_rules.fidelity_valid,
    ),
    Rule(
        "retry_target_exists",
        _WARNING,
        "Retry targets are nodes.",
        "name a declared node",
        routing.retry_target_exists,
        whole_graph=True,
    ),
    Rule(
        "goal_gate_has_retry",
        _WARNING,
        "A goal gate has somewhere to go back to.",
        "add retry_target to the node or the graph",
        routing.goal_gate_has_retry,
    ),
    Rule(
        "prompt_on_llm_nodes",
        _WARNING,
        "An LLM stage has a prompt, or at least a label.",
        "add prompt",
        attribute_rules.prompt_on_llm_nodes,
    ),
    # Structure
    Rule(
        "edge_source_exists",
        _ERROR,
        "Every edge starts at a declared node.",
        "declare the node",
        structure.edge_source_exists,
        whole_graph=True,
    ),
    Rule(
        "dead_end",
        _WARNING,
        "Every node but the exit has an outgoing edge.",
        "add an edge, to the exit if nothing else",
        structure.dead_end,
        whole_graph=True,
    ),
    Rule(
        "exit_reachable",
        _WARNING,
        "The exit can be reached from every node.",
        "add an edge that leaves the loop",
        structure.exit_reachable,
        whole_graph=True,
    ),
    Rule(
        "edge_duplicate",
        _WARNING,
        "No edge is written twice.",
        "remove one, or give them different labels or conditions",
        structure.edge_duplicate,
    ),
    Rule(
        "node_id_reserved",
        _ERROR,
        "No node id is the name of another entry of the run directory.",
        "choose another id",
        structure.node_id_reserved,
    ),
    Rule(
        "node_id_length",
        _ERROR,
        "Node ids fit a file name.",
        "shorten the id and keep the long name in label",
        structure.node_id_length,
    ),
    Rule(
        "node_id_case",
        _WARNING,
        "Node ids differ in more than case.",
        "rename one of them",
        structure.node_id_case,
    ),
    # Routing
    Rule(
        "condition_key",
        _WARNING,
        "A condition's key is not a misspelt outcome, preferred_label or context.",
        "use outcome, preferred_label or context.<path>",
        routing.condition_key,
    ),
    Rule(
        "condition_outcome",
        _WARNING,
        "A condition compares outcome with a status that exists.",
        "use one of the statuses",
        routing.condition_outcome,
    ),
    Rule(
        "conditional_fallback",
        _WARNING,
        "When all edges of a node are conditional, one of them is sure to match.",
        "add an edge without a condition",
        routing.conditional_fallback,
        whole_graph=True,
    ),
    Rule(
        "loop_bounded",
        _WARNING,
        "A loop has a condition, a visit limit or a human in it.",
        "set max_node_visits, or put a condition on an edge",
        routing.loop_bounded,
        whole_graph=True,
    ),
    Rule(
        "human_default_exists",
        _WARNING,
        "human.default_choice is one of the gate's choices.",
        "name a target of one of its edges",
        routing.human_default_exists,
        whole_graph=True,
    ),
    Rule(
        "human_key_unique",
        _WARNING,
        "The choices of a human gate have different keys.",
        "change the key in one of the labels",
        routing.human_key_unique,
    ),
    # Attributes
    Rule(
        "attribute_type",
        _ERROR,
        "A value is of its attribute's type.",
        "change the value",
        attribute_rules.attribute_type,
    ),
    Rule(
        "attribute_misspelled",
        _WARNING,
        "No attribute is one letter or two away from a known one.",
        "correct the name",
        attribute_rules.attribute_misspelled,
    ),
    Rule(
        "attribute_misplaced",
        _WARNING,
        "Attributes stand where they have an effect.",
        "move it",
        attribute_rules.attribute_misplaced,
    ),
    Rule(
        "attribute_unknown",
        _INFO,
        "Attributes are known to the engine or to Graphviz.",
        "remove it, unless a custom handler reads it",
        attribute_rules.attribute_unknown,
    ),
    Rule(
        "shape_known",
        _WARNING,
        "A shape is one Graphviz has.",
        "use a shape of spec 2.8",
        attribute_rules.shape_known,
    ),
    Rule(
        "tool_command_required",
        _ERROR,
        "A tool node has a command.",
        'add tool_command="..."',
        attribute_rules.tool_command_required,
    ),
    Rule(
        "stylesheet_selector",
        _WARNING,
        "A stylesheet rule matches a node.",
        "correct the selector, or remove the rule",
        attribute_rules.stylesheet_selector,
        whole_graph=True,
    ),
    Rule(
        "fan_out_joined",
        _WARNING,
        "The branches of a fan-out meet in a fan-in: without one their work stays on their own git branches.",
        "lead all branches to one node with shape=tripleoctagon",
        routing.fan_out_joined,
    ),
    Rule(
        "fan_out_branches",
        _ERROR,
        "A fan-out has at least one branch.",
        "add edges to the nodes that are to run side by side",
        routing.fan_out_branches,
    ),
)
