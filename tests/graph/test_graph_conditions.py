"""Conditions (spec 10): what they mean, and what is said about those that mean nothing."""

import pytest

from attractor.graph import Condition, ConditionProblem, load_graph_text, parse_condition

CONTEXT = {"tests_passed": True, "context.name": "x y", "n": 3, "off": False, "zero": 0, "nested.key": "v"}

MEANING = [
    ("outcome=success", True),
    ("outcome = success", True),
    ("outcome!=success", False),
    ("outcome=fail", False),
    ("preferred_label=Fix", True),
    ("preferred_label=fix", False),
    ("outcome=success && context.tests_passed=true", True),
    ("outcome=success&&context.tests_passed!=true", False),
    ("context.n=3", True),
    ('context.name="x y"', True),
    ('context.name="x \\"y\\""', False),
    ("context.nested.key=v", True),
    ("nested.key=v", True),
    ("context.missing=x", False),
    ("context.missing!=x", True),
    ('context.missing=""', True),
    ("context.tests_passed", True),
    ("context.missing", False),
    ("context.off", False),
    ("context.zero", False),
    ("context.off=false", True),
    ("outcome", True),
    ("context.n!=-3", True),
]


@pytest.mark.spec("11.9.1", "11.9.2", "11.9.3", "11.9.4", "11.9.5", "11.9.6")
@pytest.mark.parametrize(("text", "holds"), MEANING)
def test_a_condition_holds(text: str, holds: bool) -> None:
    condition = parse_condition(text)
    assert isinstance(condition, Condition)
    assert condition.evaluate("success", "Fix", CONTEXT) is holds


@pytest.mark.spec("11.9.7")
@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_an_empty_condition_is_none(text: str) -> None:
    assert parse_condition(text) is None


REFUSED = [
    ("outcome==success", "==", "single `=`"),
    ("a=b || c=d", "||", "two edges"),
    ("not outcome=fail", "not", "no NOT"),
    ("!context.x", "!", "no NOT"),
    ("a=b and c=d", "and", "`&&`"),
    ("a=b & c=d", "&", "`&&`"),
    ("context.n > 3", ">", "only `=` and `!=`"),
    ("outcome~=fail", "~=", "only `=` and `!=`"),
    ("(a=b)", "(", "parentheses"),
    ("preferred_label=two words", "words", "quote"),
    ("outcome='fail'", "'fail'", "double quotes"),
]


@pytest.mark.parametrize(("text", "marked", "hint"), REFUSED)
def test_what_other_languages_offer_is_refused_with_a_hint(text: str, marked: str, hint: str) -> None:
    problem = parse_condition(text)
    assert isinstance(problem, ConditionProblem)
    assert text[problem.start : problem.end] == marked
    assert hint in (problem.fix or "")


@pytest.mark.parametrize("text", ["outcome=", "a=b &&", "&& a=b", "a=b && && c=d", "=x", "a.=b", "a=b=c", '"a"=b'])
def test_what_is_incomplete_is_refused(text: str) -> None:
    assert isinstance(parse_condition(text), ConditionProblem)


def test_a_problem_points_into_the_string_also_behind_escapes() -> None:
    text = 'digraph { a b; a -> b [condition="context.x=\\"q\\" || y=1"] }'
    graph, _ = load_graph_text(text, "g.dot")
    assert graph is not None
    (edge,) = graph.edges
    assert isinstance(edge.parsed_condition, ConditionProblem)
    span = edge.condition_diagnostic(edge.parsed_condition).span
    assert span is not None
    assert span.text == "||"
