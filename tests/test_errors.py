"""The error tree: drawn as it is, exit codes, fields."""

import inspect
import re

import pytest

from attractor import errors
from attractor.diagnostics import Diagnostic, Severity
from attractor.errors import AttractorError, ConfigError, GraphError, UsageError
from attractor.source import Source, Span

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, AttractorError)]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_error_is_drawn_in_the_tree_and_exported(error: type[AttractorError]) -> None:
    assert re.search(rf"^ +{error.__name__}\b", errors.__doc__ or "", re.MULTILINE)
    assert error.__name__ in errors.__all__


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_only_wrong_usage_and_configuration_exit_with_2(error: type[AttractorError]) -> None:
    assert error.exit_code == (2 if issubclass(error, UsageError | ConfigError) else 1)


def test_the_hint_is_shown_below_the_message() -> None:
    error = AttractorError("no such run", hint="see `attractor runs list`")
    assert str(error) == "no such run\n  hint: see `attractor runs list`"


def test_a_graph_error_shows_where_its_diagnostics_point() -> None:
    span = Span(Source("digraph", "g.dot"), 0, 7)
    problem = Diagnostic("start_node", Severity.ERROR, "no start", span)
    assert "g.dot:1:1: error[start_node]: no start" in str(GraphError("bad graph", diagnostics=(problem,)))


def test_a_config_error_names_its_place_first() -> None:
    assert str(ConfigError("not a port", place="run.yaml: cxdb.port")) == "run.yaml: cxdb.port: not a port"
