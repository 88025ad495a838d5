"""Each rule: a snippet that triggers it and one beside it that must not."""

import pytest

from attractor.lint import RULES, validate_text

ENDS = "start [shape=Mdiamond]; exit [shape=Msquare];"
LINE = f"{ENDS} a [prompt=x]; start -> a -> exit;"
GATE = f'{ENDS} a [shape=hexagon]; start -> a; a -> exit [label="[Y] Yes"];'
FAN = f"{ENDS} f [shape=component]; j [shape=tripleoctagon]; a [prompt=x]; b [prompt=x]; start -> f;"
FORK = f"{ENDS} a [shape=diamond]; start -> a;"

# rule -> (snippets that trigger it, snippets that must not)
CASES: dict[str, tuple[list[str], list[str]]] = {
    "start_node": (
        [
            "exit [shape=Msquare]",
            "start [shape=Mdiamond] s [shape=Mdiamond] exit",
            "begin exit; begin -> exit",
        ],
        [LINE, "start exit; start -> exit", "Start end; Start -> end", "go [type=start] exit; go -> exit"],
    ),
    "terminal_node": (
        [
            "start [shape=Mdiamond]",
            "start exit end; start -> exit; start -> end",
            "start x [shape=Msquare] y [shape=Msquare]",
        ],
        [LINE, "start end [prompt=x] done [shape=Msquare]; start -> end -> done"],
    ),
    "reachability": (
        [f"{LINE} island [prompt=x]; island -> exit", f"{LINE} nodes [shape=box]"],
        [LINE, f"{LINE} fix [prompt=x]; a [retry_target=fix]; fix -> exit", "a [prompt=x]"],
    ),
    "edge_target_exists": ([f"{LINE} a -> exitt [label=x]"], [LINE]),
    "edge_source_exists": ([f"{LINE} aa -> exit"], [LINE, f"{LINE} a -> ghost -> exit"]),
    "start_no_incoming": ([f"{LINE} a -> start"], [LINE]),
    "exit_no_outgoing": ([f"{LINE} exit -> a"], [LINE]),
    "condition_syntax": (
        [
            f'{LINE} a -> exit [condition="outcome==success"]',
            f'{LINE} m [shape=house, manager.stop_condition="a||b"]',
        ],
        [
            f'{LINE} a -> exit [condition="outcome=success && context.x"]',
            f'{LINE} a -> exit [condition="", label=x]',
        ],
    ),
    "stylesheet_syntax": (
        [f'model_stylesheet="* llm_model"; {LINE}'],
        [f'model_stylesheet="* {{ llm_model: x }}"; {LINE}', f'model_stylesheet=""; {LINE}'],
    ),
    "type_known": ([f"{LINE} a [type=codegen]"], [f'{LINE} a [type="wait.human"]', f'{LINE} a [type=""]']),
    "fidelity_valid": (
        [f"{LINE} a [fidelity=fulll]", f"default_fidelity=x; {LINE}", f"{LINE} a -> exit [fidelity=summary]"],
        [f'{LINE} a [fidelity="summary:high"]', f"default_fidelity=compact; {LINE}"],
    ),
    "retry_target_exists": (
        [f"{LINE} a [retry_target=b]", f"fallback_retry_target=b; {LINE}"],
        [f"{LINE} a [retry_target=a]", f'{LINE} a [retry_target=""]'],
    ),
    "goal_gate_has_retry": (
        [f"{LINE} a [goal_gate=true]"],
        [
            f"{LINE} a [goal_gate=true, retry_target=a]",
            f"retry_target=a; {LINE} a [goal_gate=true]",
            f"{LINE} a [goal_gate=false]",
        ],
    ),
    "prompt_on_llm_nodes": (
        [f"{ENDS} a; start -> a -> exit"],
        [LINE, f"{ENDS} a [label=Plan]; start -> a -> exit", f"{ENDS} a [shape=diamond]; start -> a -> exit"],
    ),
    "dead_end": ([f"{LINE} b [prompt=x]; a -> b"], [LINE]),
    "exit_reachable": (
        [f"{LINE} b [prompt=x] c [prompt=x]; a -> b -> c -> b"],
        [LINE, f"{LINE} b [prompt=x]; a -> b", f"{LINE} b [prompt=x]; a -> b -> a"],
    ),
    "edge_duplicate": (
        [f"{LINE} a -> exit"],
        [f"{LINE} a -> exit [label=other]", f'{LINE} a -> exit [condition="outcome=fail"]'],
    ),
    "node_id_reserved": ([f"{LINE} worktree"], [f"{LINE} Worktree", f"{LINE} restart_1", f"{LINE} manifest"]),
    "node_id_length": ([f"{LINE} {'n' * 201}"], [f"{LINE} {'n' * 200}"]),
    "node_id_case": ([f"{LINE} A [prompt=x]"], [LINE]),
    "condition_key": (
        [f'{LINE} a -> exit [condition="outcom=fail"]', f'{LINE} a -> exit [condition="contxt.x=1"]'],
        [
            f'{LINE} a -> exit [condition="context.outcom=fail"]',
            f'{LINE} a -> exit [condition="tool.exit_code=0"]',
            f'{LINE} a -> exit [condition="preferred_label=x"]',
        ],
    ),
    "condition_outcome": (
        [f'{LINE} a -> exit [condition="outcome=sucess"]', f'{LINE} a -> exit [condition="outcome!=done"]'],
        [
            f'{LINE} a -> exit [condition="outcome={status}"]'
            for status in ("success", "fail", "retry", "partial_success")
        ],
    ),
    "conditional_fallback": (
        [
            f'{ENDS} a [shape=diamond]; start -> a -> exit [condition="outcome=success"]',
            f'{ENDS} a [prompt=x]; start -> a; a -> exit [condition="context.done=true"]',
            f'{ENDS} a [prompt=x]; start -> a; a -> exit [condition="outcome=fail"]',
        ],
        [
            LINE,
            f'{LINE} a -> exit [condition="context.done=true"]',
            f'{ENDS} a [prompt=x]; start -> a; a -> exit [condition="outcome=success"]',
            f'{FORK} a -> exit [condition="outcome=success"]; a -> exit [condition="outcome!=success"]',
            f'{FORK} a -> exit [condition="outcome=success"]; a -> exit [condition="outcome=fail"]',
            f'{FORK} a -> exit [condition="context.x=1"]; a -> exit [condition="context.x!=1"]',
        ],
    ),
    "loop_bounded": (
        [f"{LINE} b [prompt=x]; a -> b -> a", f"{LINE} a -> a"],
        [
            LINE,
            f"{LINE} b [prompt=x, max_node_visits=3]; a -> b -> a",
            f"max_node_visits=9; {LINE} a -> a",
            f'{LINE} b [prompt=x]; a -> b; b -> a [condition="outcome=fail"]; b -> exit',
            f"{GATE} b [prompt=x]; a -> b -> a",
            f"{LINE} b [prompt=x]; a -> b; b -> a [loop_restart=true]",
        ],
    ),
    "human_default_exists": (
        [f"{GATE} a [human.default_choice=nobody]"],
        [f"{GATE} a [human.default_choice={choice}]" for choice in ("exit", "Yes", "Y", '"[Y] Yes"')],
    ),
    "human_timeout_default": (
        [f"{GATE} a [timeout=60s]"],
        [
            GATE,
            f"{GATE} a [timeout=60s, human.default_choice=exit]",
            f"{GATE} a [timeout=60s, retry_target=a]",
            f'{GATE} a [timeout=60s]; b [prompt=x]; a -> b [condition="outcome=fail"]; b -> exit',
            f"{LINE} a [timeout=60s]",
        ],
    ),
    "human_type_fits": (
        [f"{GATE} a [human.type=yes_no]", f"{GATE} a [human.type=confirmation]; b [prompt=x]; a -> b -> exit"],
        [
            f"{GATE} a [human.type=confirmation]",
            f"{GATE} a [human.type=freeform]",
            f"{GATE} a [human.type=yes_no]; b [prompt=x]; a -> b [label=No]; b -> exit",
        ],
    ),
    "human_key_unique": (
        [f'{GATE} a -> exit [label="Y) Yet another"]'],
        [f'{GATE} a -> exit [label="[N] No"]', f'{GATE} a -> exit [label="Yes but later"]'],
    ),
    "fan_out_branches": (
        [FAN, f'{FAN} f -> a [condition="outcome=fail"]'],
        [f"{FAN} f -> a -> j; f -> b -> j; j -> exit"],
    ),
    "fan_out_joined": (
        [f"{FAN} f -> a -> exit; f -> b -> exit", f"{FAN} f -> a; f -> b; a -> exit"],
        [
            f"{FAN} f -> a -> j; f -> b -> j; j -> exit",
            f"{FAN} f -> a -> j; f -> b -> c -> j; j -> exit; c [prompt=x]",
        ],
    ),
    "attribute_type": (
        [
            f"{LINE} a [timeout=soon]",
            f"{LINE} a [max_retries=-1]",
            f"{LINE} a -> exit [weight=heavy]",
            f"max_restarts=x; {LINE}",
            f"node [goal_gate=yes]; {LINE}",
        ],
        [f"{LINE} a [timeout=15m, max_retries=0]", f'{LINE} a [timeout=""]', f"{LINE} a [fontsize=big]"],
    ),
    "attribute_misspelled": (
        [
            f"{LINE} a [promt=x]",
            f"goall=x; {LINE}",
            f"{LINE} a -> exit [wieght=1]",
            f"{LINE} a [tool_comand=x]",
        ],
        [
            f"{LINE} a [color=red, URL=x, margin=1]",
            f"{LINE} a [team.owner=x]",
            f"rankdir=LR; ranksep=1; {LINE}",
        ],
    ),
    "attribute_misplaced": (
        [f"{LINE} a [goal=x]", f"{LINE} a -> exit [prompt=x]"],
        [f"goal=x; {LINE}", f"{LINE} a -> exit [label=x, color=red]"],
    ),
    "attribute_unknown": (
        [f"{LINE} a [zebra=1]"],
        [f"{LINE} a [fontname=x, style=filled]", f"{LINE} a [my.zebra=1]"],
    ),
    "shape_known": (
        [f"{LINE} a [shape=parallelogramm]"],
        [f"{LINE} a [shape=ellipse]", f"{LINE} a [shape=own, type=tool, tool_command=x]"],
    ),
    "tool_command_required": (
        [
            f"{LINE} a [shape=parallelogram]",
            f"{LINE} a [type=tool, command=x]",
            f'{LINE} a [type=tool, tool_command=" "]',
        ],
        [f"{LINE} a [shape=parallelogram, tool_command=x]", LINE],
    ),
    "stylesheet_selector": (
        [f'model_stylesheet="{selector} {{ llm_model: x }}"; {LINE}' for selector in ("#aa", ".none", "hexagonn")],
        [f'model_stylesheet="{selector} {{ llm_model: x }}"; {LINE}' for selector in ("#a", "*", "box", "hexagon")],
    ),
}
TRIGGERS = [(rule, body) for rule, (triggering, _) in CASES.items() for body in triggering]
SILENT = [(rule, body) for rule, (_, silent) in CASES.items() for body in silent]

SPEC_RULES = {
    "start_node": "error",
    "terminal_node": "error",
    "reachability": "error",
    "edge_target_exists": "error",
    "start_no_incoming": "error",
    "exit_no_outgoing": "error",
    "condition_syntax": "error",
    "stylesheet_syntax": "error",
    "type_known": "warning",
    "fidelity_valid": "warning",
    "retry_target_exists": "warning",
    "goal_gate_has_retry": "warning",
    "prompt_on_llm_nodes": "warning",
}


def _found(body: str) -> list[str]:
    return [diagnostic.rule for diagnostic in validate_text(f"digraph {{ {body} }}", "g.dot").diagnostics]


@pytest.mark.spec(
    "11.2.1", "11.2.2", "11.2.3", "11.2.4", "11.2.5", "11.2.6", "11.2.7", "11.2.8", "11.12.4", "11.12.5", "11.12.6"
)
@pytest.mark.parametrize(("rule", "body"), TRIGGERS)
def test_rule_triggers(rule: str, body: str) -> None:
    assert rule in _found(body)


@pytest.mark.parametrize(("rule", "body"), SILENT)
def test_rule_stays_silent(rule: str, body: str) -> None:
    assert rule not in _found(body)


def test_every_rule_of_the_table_has_its_snippets() -> None:
    assert {rule.id for rule in RULES} == set(CASES)
    assert [rule for rule, (triggering, silent) in CASES.items() if not triggering or not silent] == []


@pytest.mark.spec(
    "11.2.1", "11.2.2", "11.2.3", "11.2.4", "11.2.5", "11.2.6", "11.2.7", "11.2.8", "11.12.4", "11.12.5", "11.12.6"
)
def test_the_table_covers_the_spec_with_its_severities() -> None:
    table = {rule.id: rule.severity.value for rule in RULES}
    assert {rule: table[rule] for rule in SPEC_RULES} == SPEC_RULES


def test_ids_are_unique_and_every_rule_explains_itself() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.doc.endswith(".") and rule.fix for rule in RULES)


def test_a_good_graph_has_no_findings() -> None:
    assert _found(LINE) == []
