"""Model stylesheets (spec 8) and the other built-in transform."""

import pytest

from attractor.graph import Graph, load_graph_text, parse_stylesheet


def _model(sheet: str, node: str, extra: str = "") -> str:
    text = f'digraph {{ graph [model_stylesheet="{sheet}"] {extra} n [{node}] }}'
    graph, problems = load_graph_text(text, "g.dot")
    assert graph is not None
    assert problems == ()
    return graph.nodes["n"].text("llm_model")


SPECIFICITY = [
    (".c { llm_model: one } .d { llm_model: two }", 'class="c,d"', "two"),
    ("* { llm_model: all }", "", "all"),
    ("box { llm_model: boxes } * { llm_model: all }", "", "boxes"),
    (".c { llm_model: class } box { llm_model: boxes }", "class=c", "class"),
    ("#n { llm_model: id } .c { llm_model: class }", "class=c", "id"),
    (".c { llm_model: one } .d { llm_model: two }", 'class=\\"d,c\\"', "two"),
    (".c { llm_model: one } .d { llm_model: two } .c { llm_model: three }", 'class=\\"c,d\\"', "three"),
    ("* { llm_model: all }", "llm_model=own", "own"),
    (".other { llm_model: x }", "", ""),
    ('* { llm_model: \\"quoted name\\" }', "", "quoted name"),
    ("* { llm_model: openai/gpt-5.2:free; /* why */ llm_provider:openai; }", "", "openai/gpt-5.2:free"),
]


@pytest.mark.spec("11.1.8", "11.10.1", "11.10.2", "11.10.3", "11.10.4", "11.10.5", "11.10.6")
@pytest.mark.parametrize(("sheet", "node", "model"), SPECIFICITY)
def test_the_most_specific_rule_wins_and_of_equals_the_later(sheet: str, node: str, model: str) -> None:
    assert _model(sheet, node.replace("\\", "")) == model


def test_a_graph_s_own_attribute_comes_after_the_stylesheet() -> None:
    assert _model("box { llm_model: sheet }", "", "llm_model=whole;") == "sheet"
    assert _model("hexagon { llm_model: sheet }", "", "llm_model=whole;") == "whole"


def test_classes_derived_from_subgraphs_can_be_selected() -> None:
    text = 'digraph { model_stylesheet=".loop-a { reasoning_effort: low }"; subgraph { label="Loop A"; n } }'
    graph, _ = load_graph_text(text, "g.dot")
    assert graph is not None
    assert graph.nodes["n"].text("reasoning_effort") == "low"


@pytest.mark.parametrize(
    ("sheet", "marked"),
    [
        ("* { llm_modle: x }", "llm_modle"),
        ("* { llm_model x }", "x"),
        ("* llm_model: x }", "llm_model:"),
        ("* { llm_model: x", ""),
        ("* { }", "}"),
        ("* { reasoning_effort: huge }", "huge"),
        (".a, .b { llm_model: x }", ","),
        ("{ llm_model: x }", "{"),
        ("* { llm_model: x llm_provider: y }", "llm_provider:"),
    ],
)
def test_a_wrong_rule_is_marked(sheet: str, marked: str) -> None:
    problems = parse_stylesheet(sheet)[1]
    assert sheet[problems[0].start : problems[0].end] == marked


def test_rules_around_a_wrong_one_still_count() -> None:
    rules, problems = parse_stylesheet("a { llm_model: x } b { oops } c { llm_model: y }")
    assert ([rule.name for rule in rules], len(problems)) == (["a", "c"], 1)


def _prompt(goal: str, prompt: str) -> str:
    graph, _ = load_graph_text(f'digraph {{ goal="{goal}"; n [prompt="{prompt}", tool_command="$goal"] }}', "g")
    assert graph is not None
    assert graph.nodes["n"].tool_command == "$goal"
    return graph.nodes["n"].prompt


@pytest.mark.spec("11.11.3", "11.12.19")
@pytest.mark.parametrize(
    ("prompt", "expanded"),
    [
        ("do $goal now", "do win now"),
        ("$goal$goal", "winwin"),
        ("$goals $goal_2", "$goals $goal_2"),
        ("x", "x"),
    ],
)
def test_the_goal_is_put_into_prompts_and_nowhere_else(prompt: str, expanded: str) -> None:
    assert _prompt("win", prompt) == expanded


def test_a_goal_is_text_not_a_pattern() -> None:
    assert _prompt(r"\\1 $goal", "$goal") == r"\1 $goal"


def test_custom_transforms_run_last_and_see_the_expanded_prompt() -> None:
    seen: list[str] = []

    def record(graph: Graph) -> Graph:
        seen.append(graph.nodes["n"].prompt)
        return graph

    load_graph_text('digraph { goal=g; n [prompt="$goal"] }', "g", transforms=[record])
    assert seen == ["g"]
