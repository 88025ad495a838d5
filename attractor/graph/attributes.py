"""The table of attributes this engine knows: where each may stand, its type, its default, its meaning.

Rules kept here: one row an attribute and scope. The rows of the spec's Appendix A have its section numbers;
the rest is ours and says so. A row's default is what the engine uses when the attribute is absent, as text;
"" is unset. Graphviz's own drawing attributes are listed by name only: the engine passes them over in
silence.

Must not know: nodes, edges. Lint rules, documentation and getters read this table; nothing else lists
attributes.
"""

from enum import StrEnum
from typing import NamedTuple

from attractor.graph.values import parse_boolean, parse_duration, parse_integer, parse_list, parse_number

__all__ = [
    "ATTRIBUTES",
    "CONTEXT_FIDELITY_MODES",
    "GRAPHVIZ_ATTRIBUTES",
    "AttributeSpec",
    "Scope",
    "ValueType",
    "attribute_spec",
    "value_problem",
]


class Scope(StrEnum):
    """What an attribute belongs to."""

    GRAPH = "graph"
    NODE = "node"
    EDGE = "edge"


class ValueType(StrEnum):
    """What a value must look like. COUNT is an integer of at least 0, CHOICE one of the row's words."""

    TEXT = "text"
    INTEGER = "integer"
    COUNT = "count"
    POSITIVE = "positive count"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DURATION = "duration"
    LIST = "comma-separated list"
    CHOICE = "choice"


class AttributeSpec(NamedTuple):
    key: str
    scope: Scope
    type: ValueType
    default: str
    section: str
    doc: str
    choices: tuple[str, ...] = ()


_G, _N, _E = Scope.GRAPH, Scope.NODE, Scope.EDGE
_TEXT, _COUNT, _BOOL, _DURATION = ValueType.TEXT, ValueType.COUNT, ValueType.BOOLEAN, ValueType.DURATION
_OURS = "engine"

CONTEXT_FIDELITY_MODES = ("full", "truncate", "compact", "summary:low", "summary:medium", "summary:high")
_EFFORTS = ("low", "medium", "high")
_RETRY_POLICIES = ("none", "standard", "aggressive", "linear", "patient")
_ACTIONS = ("observe", "steer", "wait")  # spec 4.11
_JOIN_POLICIES = ("wait_all", "first_success")
_QUESTION_TYPES = ("yes_no", "multiple_choice", "freeform", "confirmation")
_ERROR_POLICIES = ("continue", "fail_fast", "ignore")

_Row = AttributeSpec
_ROWS = (
    # Graph (spec 2.5, Appendix A)
    _Row("goal", _G, _TEXT, "", "2.5", "What the pipeline is for; $goal in prompts"),
    _Row("label", _G, _TEXT, "", "2.5", "Display name"),
    _Row("model_stylesheet", _G, _TEXT, "", "8", "Rules that set models on nodes"),
    _Row("default_max_retries", _G, _COUNT, "0", "2.5", "Additional attempts of nodes without max_retries"),
    _Row("default_max_retry", _G, _COUNT, "0", "2.5", "Old name of default_max_retries"),
    # Fidelity is text here, not a choice: the spec makes a wrong mode a warning with a rule of its own (7.2).
    _Row("default_fidelity", _G, _TEXT, "", "5.4", "Context fidelity of nodes without their own"),
    _Row("retry_target", _G, _TEXT, "", "3.4", "Node to jump to when a goal gate is unsatisfied at the exit"),
    _Row("fallback_retry_target", _G, _TEXT, "", "3.4", "Second choice after retry_target"),
    _Row("stack.child_dotfile", _G, _TEXT, "", "4.11", "Child pipeline a manager node supervises"),
    _Row("stack.child_workdir", _G, _TEXT, "", "4.11", "Where the child pipeline runs"),
    _Row("tool_hooks.pre", _G, _TEXT, "", "9.7", "Shell command before each tool call"),
    _Row("tool_hooks.post", _G, _TEXT, "", "9.7", "Shell command after each tool call"),
    _Row("llm_model", _G, _TEXT, "", "8.5", "Model of nodes that nothing else gives one"),
    _Row("llm_provider", _G, _TEXT, "", "8.5", "Provider of nodes that nothing else gives one"),
    _Row("reasoning_effort", _G, ValueType.CHOICE, "", "8.5", "Effort of nodes without their own", _EFFORTS),
    _Row("thread_id", _G, _TEXT, "", "5.4", "Session shared by nodes without their own thread"),
    _Row("max_restarts", _G, _COUNT, "5", _OURS, "How often loop_restart edges may restart the run"),
    _Row(
        "loop_restart_signature_limit",
        _G,
        ValueType.POSITIVE,
        "3",
        _OURS,
        "Same failure this often: stop restarting",
    ),
    _Row("loop_restart_persist_keys", _G, ValueType.LIST, "", _OURS, "Context keys that survive a restart"),
    _Row("max_node_visits", _G, _COUNT, "0", _OURS, "How often one node may run; 0 is unlimited"),
    _Row("stop_grace", _G, _DURATION, "5s", _OURS, "From SIGTERM to SIGKILL when a stage is ended"),
    _Row("retry_policy", _G, ValueType.CHOICE, "", "3.6", "Preset of attempts and retry delays", _RETRY_POLICIES),
    _Row("retry_initial_delay", _G, _DURATION, "200ms", "3.6", "Delay before the first retry"),
    _Row("retry_max_delay", _G, _DURATION, "60s", "3.6", "Longest delay before a retry"),
    _Row("retry_backoff_factor", _G, ValueType.NUMBER, "2.0", "3.6", "Each delay is this many times the last"),
    _Row("retry_jitter", _G, _BOOL, "true", "3.6", "Spread delays at random"),
    _Row("max_agent_turns", _G, _COUNT, "0", _OURS, "Tool calls an agent may make in one attempt; 0 is unlimited"),
    _Row("max_tokens", _G, _COUNT, "0", _OURS, "Tokens an agent may use in one attempt; 0 is unlimited"),
    # Node (spec 2.6, Appendix A)
    _Row("label", _N, _TEXT, "", "2.6", "Display name; the node id when absent"),
    _Row("shape", _N, _TEXT, "box", "2.8", "Graphviz shape; chooses the handler"),
    _Row("type", _N, _TEXT, "", "2.6", "Handler type; wins over the shape"),
    _Row("prompt", _N, _TEXT, "", "2.6", "Instruction for the stage; $goal is expanded"),
    _Row("max_retries", _N, _COUNT, "", "3.5", "Additional attempts after the first"),
    _Row("goal_gate", _N, _BOOL, "false", "3.4", "Must succeed before the pipeline may exit"),
    _Row("retry_target", _N, _TEXT, "", "3.7", "Node to jump to when this one has failed"),
    _Row("fallback_retry_target", _N, _TEXT, "", "3.7", "Second choice after retry_target"),
    _Row("fidelity", _N, _TEXT, "", "5.4", "Context fidelity"),
    _Row("thread_id", _N, _TEXT, "", "5.4", "Session shared under full fidelity"),
    _Row("class", _N, ValueType.LIST, "", "2.12", "Stylesheet classes"),
    _Row("timeout", _N, _DURATION, "", "2.6", "Longest time one attempt may take"),
    _Row("llm_model", _N, _TEXT, "", "2.6", "Model"),
    _Row("llm_provider", _N, _TEXT, "", "2.6", "Provider"),
    _Row("reasoning_effort", _N, ValueType.CHOICE, "high", "2.6", "Reasoning effort", _EFFORTS),
    _Row("escalation_models", _N, ValueType.LIST, "", _OURS, "Stronger provider:model pairs after a budget failure"),
    _Row("simulate", _N, _TEXT, "", _OURS, "What the stage does with --simulate"),
    _Row("auto_status", _N, _BOOL, "false", "2.6", "A handler that wrote no status counts as success"),
    _Row("allow_partial", _N, _BOOL, "false", "2.6", "Partial success when the retries are used up"),
    _Row("tool_command", _N, _TEXT, "", "4.10", "Shell command of a tool node"),
    _Row("human.default_choice", _N, _TEXT, "", "4.6", "Target taken when a human gate gets no answer"),
    _Row("human.type", _N, ValueType.CHOICE, "", _OURS, "What a gate asks; unset: its edges say", _QUESTION_TYPES),
    _Row("join_policy", _N, ValueType.CHOICE, "wait_all", "4.8", "When a fan-out is done", _JOIN_POLICIES),
    _Row("error_policy", _N, ValueType.CHOICE, "continue", "4.8", "What a failed branch does", _ERROR_POLICIES),
    _Row("max_parallel", _N, ValueType.POSITIVE, "4", "4.8", "Branches that run at the same time"),
    _Row("manager.poll_interval", _N, _DURATION, "45s", "4.11", "Pause between looks at the child"),
    _Row("manager.max_cycles", _N, ValueType.POSITIVE, "1000", "4.11", "Looks at the child before giving up"),
    _Row("manager.stop_condition", _N, _TEXT, "", "4.11", "Condition that ends the supervision"),
    _Row("manager.actions", _N, ValueType.LIST, "observe,wait", "4.11", "What the manager does in a cycle", _ACTIONS),
    _Row("manager.steer_cooldown", _N, _DURATION, "", "4.11", "Shortest time between two interventions"),
    _Row("stack.child_autostart", _N, _BOOL, "true", "4.11", "Start the child pipeline with the manager"),
    _Row("stack.child_dotfile", _N, _TEXT, "", "4.11", "Child pipeline of this manager"),
    _Row("stack.child_workdir", _N, _TEXT, "", "4.11", "Where this manager's child runs"),
    _Row("tool_hooks.pre", _N, _TEXT, "", "9.7", "Shell command before each tool call"),
    _Row("tool_hooks.post", _N, _TEXT, "", "9.7", "Shell command after each tool call"),
    _Row("max_node_visits", _N, _COUNT, "", _OURS, "How often this node may run; 0 is unlimited"),
    _Row("stop_grace", _N, _DURATION, "", _OURS, "From SIGTERM to SIGKILL"),
    _Row("retry_policy", _N, ValueType.CHOICE, "", "3.6", "Preset of attempts and retry delays", _RETRY_POLICIES),
    _Row("retry_initial_delay", _N, _DURATION, "", "3.6", "Delay before the first retry"),
    _Row("retry_max_delay", _N, _DURATION, "", "3.6", "Longest delay before a retry"),
    _Row("retry_backoff_factor", _N, ValueType.NUMBER, "", "3.6", "Each delay is this many times the last"),
    _Row("retry_jitter", _N, _BOOL, "", "3.6", "Spread delays at random"),
    _Row("max_agent_turns", _N, _COUNT, "", _OURS, "Tool calls an agent may make in one attempt; 0 is unlimited"),
    _Row("max_tokens", _N, _COUNT, "", _OURS, "Tokens the agent may use in one attempt; 0 is unlimited"),
    # Edge (spec 2.7, Appendix A)
    _Row("label", _E, _TEXT, "", "2.7", "Caption and routing key"),
    _Row("condition", _E, _TEXT, "", "10", "Guard; empty is unconditional"),
    _Row("weight", _E, ValueType.INTEGER, "0", "2.7", "Higher wins among edges equally fit"),
    _Row("fidelity", _E, _TEXT, "", "5.4", "Context fidelity of the target node"),
    _Row("thread_id", _E, _TEXT, "", "5.4", "Session of the target node"),
    _Row("loop_restart", _E, _BOOL, "false", "2.7", "Start over in a fresh run directory"),
)

ATTRIBUTES: dict[tuple[Scope, str], AttributeSpec] = {(row.scope, row.key): row for row in _ROWS}

# Names only, from Graphviz's attribute reference: they change the drawing and nothing else.
# `model` is left out: here it is a slip for llm_model far more often than a layout model.
_GRAPHVIZ_NAMES = """
    _background area arrowhead arrowsize arrowtail bb beautify bgcolor center charset class cluster
    clusterrank color colorscheme comment compound concentrate constraint Damping decorate defaultdist dim
    dimen dir diredgeconstraints distortion dpi edgehref edgetarget edgetooltip edgeURL epsilon esep
    fillcolor fixedsize fontcolor fontname fontnames fontpath fontsize forcelabels gradientangle group
    head_lp headclip headhref headlabel headport headtarget headtooltip headURL height href id image
    imagepath imagepos imagescale inputscale K label label_scheme labelangle labeldistance labelfloat
    labelfontcolor labelfontname labelfontsize labelhref labeljust labelloc labeltarget labeltooltip labelURL
    landscape layer layerlistsep layers layerselect layersep layout len levels levelsgap lhead lheight
    linelength lp ltail lwidth margin maxiter mclimit mindist minlen mode newrank nodesep nojustify
    normalize notranslate nslimit nslimit1 oneblock ordering orientation outputorder overlap overlap_scaling
    overlap_shrink pack packmode pad page pagedir pencolor penwidth peripheries pin pos quadtree quantum
    radius rank rankdir ranksep ratio rects regular remincross repulsiveforce resolution root rotate rotation
    samehead sametail samplepoints scale searchsize sep shape shapefile showboxes sides size skew smoothing
    sortv splines start style stylesheet tail_lp tailclip tailhref taillabel tailport tailtarget tailtooltip
    tailURL target TBbalance tooltip truecolor URL vertices viewport voro_margin weight width xdotversion
    xlabel xlp z
"""
GRAPHVIZ_ATTRIBUTES = frozenset(_GRAPHVIZ_NAMES.split())

_TYPE_EXAMPLES = {
    ValueType.INTEGER: "a whole number such as 3",
    ValueType.COUNT: "a whole number, 0 or more",
    ValueType.POSITIVE: "a whole number, 1 or more",
    ValueType.NUMBER: "a number such as 1.5",
    ValueType.BOOLEAN: "true or false",
    ValueType.DURATION: "a whole number with a unit: 250ms, 900s, 15m, 2h or 1d",
}


def attribute_spec(scope: Scope, key: str) -> AttributeSpec | None:
    return ATTRIBUTES.get((scope, key))


def value_problem(spec: AttributeSpec, text: str) -> str | None:
    """What a value of this attribute has to be, when `text` is not that; an empty text always means unset."""
    if not text.strip():
        return None
    if spec.type is ValueType.CHOICE:
        return None if text.strip() in spec.choices else f"one of {', '.join(spec.choices)}"
    if spec.type is ValueType.LIST and spec.choices:
        return None if set(parse_list(text)) <= set(spec.choices) else f"a list of {', '.join(spec.choices)}"
    return None if _fits(spec.type, text) else _TYPE_EXAMPLES[spec.type]


def _fits(value_type: ValueType, text: str) -> bool:
    if value_type is ValueType.BOOLEAN:
        return parse_boolean(text) is not None
    if value_type is ValueType.DURATION:
        return parse_duration(text) is not None
    if value_type is ValueType.NUMBER:
        return parse_number(text) is not None
    if value_type in (ValueType.TEXT, ValueType.LIST):
        return True
    least = {ValueType.COUNT: 0, ValueType.POSITIVE: 1}.get(value_type)
    number = parse_integer(text)
    return number is not None and (least is None or number >= least)
