"""Validation of whole files: order, fixes, parse problems and lints together, growth with size."""

import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest

from attractor.errors import GraphError
from attractor.graph import Graph, load_graph_text
from attractor.lint import Facts, Finding, Rule, Severity, lint, require_valid, validate_text

GOOD = "digraph { start [shape=Mdiamond] a [prompt=x] exit [shape=Msquare] start -> a -> exit }"

# The first graph of the plan this project grew from.
SEED = """
digraph G {
  start [shape=Mdiamond]
  t [shape=parallelogram, tool_command="sleep 1"]
  exit [shape=Msquare]
  start -> t -> exit
}"""

SPEC_EXAMPLES = {
    "linear": """digraph Simple {
        graph [goal="Run tests and report"]
        rankdir=LR
        start [shape=Mdiamond, label="Start"]
        exit  [shape=Msquare, label="Exit"]
        run_tests [label="Run Tests", prompt="Run the suite"]
        report    [label="Report", prompt="Summarize"]
        start -> run_tests -> report -> exit
    }""",
    "branching": """digraph Branch {
        node [shape=box, timeout="900s"]
        start     [shape=Mdiamond]
        exit      [shape=Msquare]
        work      [prompt="Plan"]
        gate      [shape=diamond, label="Tests passing?"]
        start -> work -> gate
        gate -> exit [label="Yes", condition="outcome=success"]
        gate -> work [label="No", condition="outcome!=success"]
    }""",
}


def _by_rule(text: str, rule: str) -> list[tuple[str, str | None]]:
    found = validate_text(text, "g.dot").diagnostics
    return [(item.span.text if item.span else "", item.fix) for item in found if item.rule == rule]


@pytest.mark.spec("11.1.1", "11.12.1")
@pytest.mark.parametrize("text", [SEED, *SPEC_EXAMPLES.values()], ids=["seed", *SPEC_EXAMPLES])
def test_the_seed_s_graph_and_the_spec_s_have_no_findings(text: str) -> None:
    assert validate_text(text, "g.dot").diagnostics == ()


@pytest.mark.parametrize(
    ("snippet", "rule", "marked", "fix"),
    [
        ("a -> exitt", "edge_target_exists", "exitt", "did you mean `exit`?"),
        ("a [retry_target=exi]", "retry_target_exists", "exi", "did you mean `exit`?"),
        ("grahp [goal=x]", "reachability", "grahp", "did you mean `graph`?"),
        ("a [promt=x]", "attribute_misspelled", "promt", "did you mean `prompt`?"),
        (
            "a [type=tool, command=x]",
            "tool_command_required",
            "command",
            "rename `command` to `tool_command`",
        ),
        ("a [timeout=90]", "attribute_type", "90", "write 90s, if seconds were meant"),
        ('a -> exit [condition="outcome==x"]', "condition_syntax", "==", "write a single `=`"),
        ('a -> exit [condition="outcome=sucess"]', "condition_outcome", "outcome", "did you mean `success`?"),
        ("a [shape=parallelogramm]", "shape_known", "parallelogramm", "did you mean `parallelogram`?"),
        ("a [type=tol]", "type_known", "tol", "did you mean `tool`?"),
    ],
)
def test_a_finding_marks_the_slip_and_suggests_the_fix(snippet: str, rule: str, marked: str, fix: str) -> None:
    assert _by_rule(GOOD.replace("}", f"{snippet} }}"), rule) == [(marked, fix)]


@pytest.mark.spec("11.2.10")
def test_a_finding_names_rule_severity_and_node_or_edge() -> None:
    text = GOOD.replace("}", "b [prompt=x, timeout=soon] a -> b -> nobody }")
    found = validate_text(text, "g.dot").diagnostics
    assert [(item.rule, item.severity, item.node_id, item.edge) for item in found] == [
        ("attribute_type", Severity.ERROR, "b", None),
        ("edge_target_exists", Severity.ERROR, None, ("b", "nobody")),
    ]
    assert "not `soon`" in found[0].message
    assert "`nobody`" in found[1].message


@pytest.mark.spec("11.11.1")
def test_what_a_transform_changes_is_what_is_linted() -> None:
    text = GOOD.replace("}", "island [prompt=x] }")

    def without_island(graph: Graph) -> Graph:
        return replace(graph, nodes={key: node for key, node in graph.nodes.items() if key != "island"})

    assert {item.node_id for item in validate_text(text, "g.dot").errors} == {"island"}
    validation = validate_text(text, "g.dot", transforms=[without_island])
    assert validation.ok
    assert "island" not in validation.require().nodes


def test_findings_are_in_file_order_with_parse_problems_among_them() -> None:
    text = GOOD.replace("}", "\nb -- a\nc [prompt=x y=1]\na -> nobody }")
    found = validate_text(text, "g.dot").diagnostics
    places = [item.span.start for item in found if item.span]
    assert places == sorted(places)
    assert {"undirected_edge", "missing_comma", "edge_target_exists"} <= {item.rule for item in found}


def test_nothing_is_called_missing_that_may_be_in_the_unread_part() -> None:
    text = "digraph { start [shape=Mdiamond] a [prompt=x] start -> a -> ] exit [shape=Msquare] }"
    assert [item.rule for item in validate_text(text, "g.dot").diagnostics] == ["syntax"]


def test_a_node_that_closes_many_loops_is_one_finding() -> None:
    nodes = " ".join(f"a{i} [prompt=x];" for i in range(30))
    back = " ".join(f"a29 -> a{i};" for i in range(29))
    text = f"digraph {{ start exit; {nodes} start -> {' -> '.join(f'a{i}' for i in range(30))} -> exit; {back} }}"
    assert len(_by_rule(text, "loop_bounded")) == 1


def test_a_default_with_a_wrong_value_is_reported_once() -> None:
    assert len(_by_rule(GOOD.replace("{ start", "{ node [timeout=soon] start"), "attribute_type")) == 1


def test_a_condition_shared_by_a_chain_is_reported_once() -> None:
    text = 'digraph { start a exit; start -> a -> exit [condition="a=="] }'
    assert len(_by_rule(text, "condition_syntax")) == 1


@pytest.mark.spec("11.2.9")
def test_requiring_a_graph_with_errors_raises_with_the_errors_only() -> None:
    validation = validate_text("digraph { start [zebra=1] }", "g.dot")
    with pytest.raises(GraphError) as caught:
        validation.require()
    assert {item.rule for item in caught.value.diagnostics} == {"terminal_node"}


def test_requiring_a_graph_with_warnings_gives_the_graph() -> None:
    validation = validate_text(GOOD.replace("prompt=x", "zebra=1"), "g.dot")
    assert validation.diagnostics
    assert validation.ok
    assert validation.require() is validation.graph
    assert require_valid(validation.require()) == validation.diagnostics


def test_custom_rules_run_beside_the_built_in_ones() -> None:
    graph, _ = load_graph_text(GOOD, "g.dot")
    assert graph is not None

    def no_a(facts: Facts) -> list[Finding]:
        return [Finding("a is not allowed", facts.graph.nodes["a"].span, "a")]

    rule = Rule("house_no_a", Severity.ERROR, "No a.", "use b", no_a)  # type: ignore[arg-type]
    (finding,) = lint(graph, [rule])
    assert (finding.rule, finding.node_id, finding.fix) == ("house_no_a", "a", "use b")


def _chain(count: int, *, slip: str = "") -> str:
    nodes = "".join(f'n{i} [shape=parallelogram, label="N {i}", tool_command="echo {i}"{slip}]\n' for i in range(count))
    edges = "".join(f"n{i} -> n{i + 1}\n" for i in range(count - 1))
    return (
        f"digraph {{ start [shape=Mdiamond]\n{nodes}{edges}start -> n0; n{count - 1} -> exit; exit [shape=Msquare] }}"
    )


def _broken_targets(count: int) -> str:
    return _chain(count).replace("-> n", "-> m")


def _nested_loops(count: int) -> str:
    back = "".join(f"n{i} -> n{i // 2}\n" for i in range(1, count))
    return _chain(count).replace("start -> n0", f"{back} start -> n0")


def _work(text: str) -> int:
    """How many Python lines are executed below validate_text: a count that does not depend on the machine."""
    lines = 0

    def trace(_frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    sys.settrace(trace)
    try:
        validate_text(text, "g.dot")
    finally:
        sys.settrace(None)
    return lines


@pytest.mark.parametrize("make", [_chain, _broken_targets, _nested_loops])
def test_four_times_the_graph_is_about_four_times_the_work(make: Callable[[int], str]) -> None:
    assert _work(make(800)) < 4.5 * _work(make(200))
