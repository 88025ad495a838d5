"""Linting a graph, and everything that can be said about a graph file in one call (spec 7.3).

Rules kept here: findings are sorted by place. A file with problems is linted all the same where a graph
could be built, without the rules that would only find missing what could not be read. Must not know: single
rules, files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from attractor.diagnostics import Diagnostic, has_errors, in_file_order
from attractor.errors import GraphError
from attractor.graph import Graph, Transform, collector_paused, read_graph
from attractor.lint.rule import Facts, Rule
from attractor.lint.rules import RULES

__all__ = ["Validation", "lint", "require_valid", "validate_text"]


@dataclass(frozen=True, slots=True)
class Validation:
    """What is known about a graph file. `graph` is there beside errors too, as far as it could be read."""

    graph: Graph | None
    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        """Whether the graph may run: warnings are no obstacle."""
        return self.graph is not None and not has_errors(self.diagnostics)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(diagnostic for diagnostic in self.diagnostics if diagnostic.is_error)

    def require(self) -> Graph:
        """The graph, or GraphError with the errors among the diagnostics."""
        if self.graph is None or not self.ok:
            count = len(self.errors)
            raise GraphError(f"the graph has {count} error{'s' * (count != 1)}", diagnostics=self.errors)
        return self.graph


def lint(
    graph: Graph, extra_rules: Sequence[Rule] = (), *, whole_graph: bool = True, handler_types: Sequence[str] = ()
) -> tuple[Diagnostic, ...]:
    """All findings about a graph, sorted by place. `whole_graph=False` says that a part of it may be
    missing; `handler_types` are those with a handler beside the built-in ones.
    """
    facts = Facts(graph, handler_types)
    rules = [rule for rule in (*RULES, *extra_rules) if whole_graph or not rule.whole_graph]
    return in_file_order(finding for rule in rules for finding in rule.apply(facts))


def validate_text(
    text: str | bytes,
    name: str,
    *,
    transforms: Sequence[Transform] = (),
    extra_rules: Sequence[Rule] = (),
    handler_types: Sequence[str] = (),
) -> Validation:
    """Parses, transforms and lints a graph file's text. Never raises, whatever the text, but for what
    `transforms` and `extra_rules` raise; `name` is for messages.
    """
    with collector_paused():
        graph, problems, complete = read_graph(text, name, transforms=transforms)
        if graph is None:
            return Validation(None, problems)
        findings = lint(graph, extra_rules, whole_graph=complete, handler_types=handler_types)
    return Validation(graph, in_file_order((*problems, *findings)))


def require_valid(graph: Graph, extra_rules: Sequence[Rule] = ()) -> tuple[Diagnostic, ...]:
    """The findings about a graph without errors; GraphError for one that has some (spec 7.3
    validate_or_raise).
    """
    validation = Validation(graph, lint(graph, extra_rules))
    validation.require()
    return validation.diagnostics
