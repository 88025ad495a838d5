"""`attractor explain`: every source of a value, the handler, the classes, the ways out; for people and programs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calls import Calls

GRAPH = """\
digraph Loop {
  graph [goal="ship it", default_max_retries=2, default_fidelity=full, llm_provider=openai,
    model_stylesheet="* { llm_model: gpt-5; reasoning_effort: low } .loop-a { llm_model: big } .x { llm_model: no }"]
  node [timeout=15m, shape=box]
  start [shape=Mdiamond]
  exit [shape=Msquare]
  subgraph cluster_a {
    label="Loop A"
    node [thread_id="loop"]
    plan [prompt="Plan to $goal", class="planning", timeout=1h, retry_target=fix, max_retries=""]
    fix [fidelity=""]
  }
  gate [type="conditional"]
  start -> plan
  plan -> gate [weight=1]
  plan -> fix [label="[F] Fix", fidelity="summary:high"]
  plan -> exit [condition="outcome=success && context.done=true"]
  plan -> plan [condition="outcome=fail", loop_restart=true, weight=2]
  gate -> exit
}
"""


@pytest.fixture
def calls(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    Path("g.dot").write_text(GRAPH)
    return Calls(capfd)


def _facts(calls: Calls, *arguments: str) -> dict[str, Any]:
    done = calls("explain", *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    facts: dict[str, Any] = json.loads(done.out)
    return facts


def _attributes(calls: Calls, *arguments: str) -> dict[str, dict[str, Any]]:
    return {each["key"]: each for each in _facts(calls, *arguments)["attributes"]}


SOURCES = {
    "prompt": ("Plan to ship it", "node", "", 10),
    "timeout": ("1h", "node", "", 10),
    "shape": ("box", "node defaults", "", 4),
    "thread_id": ("loop", "node defaults", "of subgraph cluster_a", 9),
    "llm_model": ("big", "stylesheet", "rule .loop-a, specificity 2", 3),
    "reasoning_effort": ("low", "stylesheet", "rule *, specificity 0", 3),
    "llm_provider": ("openai", "graph", "llm_provider", 2),
    "max_retries": ("2", "graph", "default_max_retries", 2),
    "fidelity": ("full", "graph", "default_fidelity", 2),
    "goal_gate": ("false", "built-in default", "spec 3.4", None),
    "label": ("plan", "built-in default", "the node's id", None),
}


@pytest.mark.parametrize(("key", "expected"), SOURCES.items(), ids=SOURCES)
def test_every_value_has_its_source_and_place(
    calls: Calls, key: str, expected: tuple[str, str, str, int | None]
) -> None:
    found = _attributes(calls, "g.dot", "plan")[key]
    assert (found["value"], found["source"], found["detail"], found["line"]) == expected


def test_what_a_value_was_preferred_to_stands_beside_it(calls: Calls) -> None:
    found = _attributes(calls, "g.dot", "plan")
    over = {key: [(other["value"], other["source"]) for other in each["passed_over"]] for key, each in found.items()}
    assert over["timeout"] == [("15m", "node defaults")]
    assert over["llm_model"] == [("gpt-5", "stylesheet")]
    assert over["max_retries"] == [("", "node")]
    assert over["shape"] == []


def test_a_transform_shows_before_and_after(calls: Calls) -> None:
    prompt = _attributes(calls, "g.dot", "plan")["prompt"]
    assert (prompt["before_transform"], prompt["value"]) == ("Plan to $goal", "Plan to ship it")


def test_classes_come_from_the_attribute_and_from_subgraphs(calls: Calls) -> None:
    classes = _facts(calls, "g.dot", "plan")["classes"]
    assert [(each["name"], each["source"], each["line"]) for each in classes] == [
        ("planning", "node", 10),
        ("loop-a", "subgraph", 8),
    ]


@pytest.mark.parametrize(
    ("node_id", "handler", "reason"),
    [
        ("start", "start", "shape=Mdiamond"),
        ("plan", "codergen", "shape=box"),
        ("gate", "conditional", "type=conditional"),
    ],
)
def test_the_handler_and_why(calls: Calls, node_id: str, handler: str, reason: str) -> None:
    assert _facts(calls, "g.dot", node_id)["handler"] == {"type": handler, "reason": reason}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("end", "its id is end, and no node has the shape of exit nodes"),
        ("end [shape=ellipse]", "its id is end, and no node has the shape of exit nodes"),
        ("end [shape=ellipse] x [shape=Msquare]", "shape=ellipse has no handler of its own"),
        ("end x [shape=Msquare]", "no type and no shape: a box"),
    ],
)
def test_handlers_by_id_and_by_default(calls: Calls, text: str, reason: str) -> None:
    Path("h.dot").write_text(f"digraph {{ {text} }}")
    assert _facts(calls, "h.dot", "end")["handler"]["reason"] == reason


def test_ways_out_in_routing_s_order_with_what_they_give(calls: Calls) -> None:
    ways = _facts(calls, "g.dot", "plan")["ways_out"]
    assert [(way["to"], way["kind"], way["on_success"], way["on_failure"]) for way in ways] == [
        ("plan", "condition", True, True),
        ("exit", "condition", True, True),
        ("fix", "retry_target", False, True),
        ("gate", "unconditional", True, False),
        ("fix", "unconditional", True, False),
    ]
    assert ways[0]["loop_restart"]
    assert (ways[4]["label"], ways[4]["fidelity"], ways[4]["fidelity_from"]) == ("[F] Fix", "summary:high", "edge")
    assert (ways[0]["fidelity"], ways[0]["thread"], ways[0]["thread_from"]) == ("full", "loop", "node")
    assert (ways[3]["thread"], ways[3]["thread_from"], ways[3]["line"]) == ("plan", "previous node", 15)


def test_the_run_configuration_gives_what_nobody_else_does(calls: Calls) -> None:
    Path("run.yaml").write_text(
        "version: 1\nruntime_policy: {stage_timeout_ms: 90000}\n"
        "llm: {providers: {openai: {failover: [google]}, google: {model: gemini-x}}}\n"
    )
    Path("h.dot").write_text("digraph { start work [llm_model=gpt-5] exit start -> work -> exit }")
    facts = _facts(calls, "h.dot", "work", "--config", "run.yaml")
    (timeout,) = [each for each in facts["attributes"] if each["key"] == "timeout"]
    assert (timeout["value"], timeout["source"]) == ("90s", "run configuration")
    assert facts["agent"] == {"runs": "openai:gpt-5", "escalation": [], "failover": ["google:gemini-x"]}
    assert "timeout" not in _attributes(calls, "h.dot", "start", "--config", "run.yaml")
    assert _attributes(calls, "g.dot", "plan", "--config", "run.yaml")["timeout"]["source"] == "node"


def test_an_agent_that_cannot_run_says_why(calls: Calls) -> None:
    Path("h.dot").write_text("digraph { work }")
    assert "no llm_provider" in _facts(calls, "h.dot", "work")["agent"]["problem"]
    assert _facts(calls, "g.dot", "gate")["agent"] is None


def test_the_table_is_aligned_and_says_the_same(calls: Calls) -> None:
    lines = calls("explain", "g.dot", "plan").out.splitlines()
    assert lines[0] == "plan  g.dot:10:5"
    head = next(line for line in lines if line.startswith("attribute"))
    (model,) = [line for line in lines if line.startswith("llm_model")]
    assert model.split() == ["llm_model", "big", "stylesheet", "rule", ".loop-a,", "specificity", "2", "g.dot:3:90"]
    assert [line.index(word) for line, word in ((model, "big"), (model, "stylesheet"))] == [
        head.index("value"),
        head.index("from"),
    ]
    assert any("before $goal was put in" in line for line in lines)
    assert any(line.startswith("1  plan  when outcome=fail; restarts the run") for line in lines)


@pytest.mark.parametrize("width", ["50", "80", "200"])
def test_the_table_keeps_to_the_terminal_s_width(calls: Calls, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    Path("h.dot").write_text(f'digraph {{ work [prompt="{"long word " * 50}", x="{"y" * 300}"] }}')
    lines = calls("explain", "h.dot", "work").out.splitlines()
    assert max(len(line) for line in lines) <= int(width)
    assert sum(line.count("y") for line in lines) >= 240


def test_what_would_disturb_a_terminal_is_not_printed(calls: Calls) -> None:
    Path("h.dot").write_text('digraph { work [prompt="[bold]a\x1b[31m\rb\u202e :smile:", label="修理"] }')
    done = calls("explain", "h.dot", "work")
    assert "[bold]a�[31m b� :smile:" in done.out
    assert "\x1b" not in done.out


def test_a_node_without_ways_out_says_so(calls: Calls) -> None:
    assert "no ways out" in calls("explain", "g.dot", "exit").out


FAN_OUT = """\
digraph {
  start -> fan
  fan [shape=component] a b join [shape=tripleoctagon]
  fan -> b [weight=9]
  fan -> a [condition="context.wanted=yes"]
  fan -> exit [condition="outcome=fail"]
  a -> join b -> join join -> exit
  start exit
}
"""


def test_a_fan_out_shows_branches_and_where_they_meet(calls: Calls) -> None:
    Path("h.dot").write_text(FAN_OUT)
    ways = _facts(calls, "h.dot", "fan")["ways_out"]
    assert [(way["to"], way["kind"]) for way in ways] == [
        ("b", "branch"),
        ("a", "branch"),
        ("exit", "condition"),
        ("join", "join"),
    ]
    assert "in parallel, when context.wanted=yes" in calls("explain", "h.dot", "fan").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["g.dot", "paln"], 2, "g.dot has no node 'paln'\n  hint: did you mean plan?"),
        (["g.dot", "PLAN"], 2, "did you mean plan"),
        (["g.dot", "zzzzzz"], 2, "its nodes are start, exit, plan, fix, gate"),
        (["gone.dot", "plan"], 2, "cannot read gone.dot"),
        (["g.dot"], 2, "Missing argument 'NODE'"),
        (["g.dot", "plan", "--config", "gone.yaml"], 2, "gone.yaml"),
        (["broken.dot", "a"], 1, "broken.dot:1:13: error[undirected_edge]"),
        (["weight.dot", "a"], 1, "weight='heavy' is not a whole number"),
        (["condition.dot", "a"], 1, "the condition of edge a -> a is invalid"),
    ],
)
def test_wrong_turns(calls: Calls, arguments: list[str], code: int, words: str) -> None:
    Path("broken.dot").write_text("digraph { a -- b }")
    Path("weight.dot").write_text("digraph { a a -> a [weight=heavy] }")
    Path("condition.dot").write_text('digraph { a a -> a [condition="outcome=="] }')
    done = calls("explain", *arguments)
    assert (done.code, words in done.err) == (code, True), done.err
    assert done.out == ""


def test_a_graph_with_findings_of_the_linter_is_explained(calls: Calls) -> None:
    Path("h.dot").write_text("digraph { a a -> nowhere }")
    assert _facts(calls, "h.dot", "a")["ways_out"][0]["to"] == "nowhere"
    assert "there is no such node" in calls("explain", "h.dot", "a").out
