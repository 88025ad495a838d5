"""A lint rule: a graph with agents says what they are there for."""

from __future__ import annotations

from collections.abc import Iterator

from attractor import Facts, Finding, Rule, Severity


def _goal_stated(facts: Facts) -> Iterator[Finding]:
    if facts.of_type("codergen") and not facts.graph.goal:
        yield Finding("the graph has agents and no goal", facts.header)


GOAL_STATED = Rule(
    "example.goal_stated",
    Severity.WARNING,
    "A graph with agents has a goal.",
    'add goal="..." to the graph',
    _goal_stated,
    whole_graph=True,
)
