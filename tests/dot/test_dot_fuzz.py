"""Whatever the bytes, the pipeline answers with diagnostics: it never raises and never hangs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.diagnostics import Diagnostic
from attractor.lint import Validation, validate_text

VALID = """digraph Demo {
  graph [goal="ship it", model_stylesheet="* { llm_model: a; } .loop-a { llm_model: \\"b\\" } #plan {
  llm_provider: c; }"] rankdir=LR; node [shape=box, timeout=900s] edge [weight=0]
  start [shape=Mdiamond] /* in */ exit [shape=Msquare] // out
  subgraph cluster_a { label="Loop A"; plan [prompt="do $goal", class="x,y"] check [shape=parallelogram,
  tool_command="make\\n"] } gate [shape=hexagon, human.default_choice=exit, max_retries=2, goal_gate=true,
  retry_target=plan] start -> plan -> check
  check -> gate [condition="outcome=success && context.a.b!=\\"x y\\"", label="[Y] Yes"]
  check -> plan [condition="outcome!=success", loop_restart=true]
  check -> plan [weight=-1]
  gate -> exit [weight=-3]
}
"""
WORDS = [
    "subgraph",
    "digraph",
    "node",
    "graph",
    "start",
    "exit",
    "-1",
    "1.5h",
    "é",
    "$goal",
    "&&",
    "'",
    "->",
    "--",
    "==",
    "//",
    "/*",
    "*/",
]
PIECES = '{}[]"=;,:+#<>\\\n\r\0\ufeff\ud800'
FRAGMENTS = st.sampled_from([*PIECES, *WORDS])


def _holds_together(validation: Validation) -> None:
    """Every finding can be shown as text and as data, and lies inside its source."""
    for diagnostic in validation.diagnostics:
        assert isinstance(diagnostic, Diagnostic)
        assert diagnostic.render()
        assert diagnostic.as_dict()["rule"] == diagnostic.rule
        assert diagnostic.span is not None
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(diagnostic.span.source.text)
    assert validation.graph is not None or not validation.ok


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes(data: bytes) -> None:
    _holds_together(validate_text(data, "g.dot"))


@given(st.lists(FRAGMENTS | st.text(max_size=3), max_size=60).map(" ".join))
@settings(max_examples=300, deadline=None)
def test_any_heap_of_tokens_inside_a_graph(body: str) -> None:
    _holds_together(validate_text("digraph {" + body, "g.dot"))


@given(st.lists(st.tuples(st.integers(0, len(VALID)), st.integers(0, 12), FRAGMENTS), min_size=1, max_size=4))
@settings(max_examples=500, deadline=None)
def test_a_valid_graph_with_pieces_cut_out_and_put_in(edits: list[tuple[int, int, str]]) -> None:
    text = VALID
    for place, length, inserted in edits:
        text = text[:place] + inserted + text[place + length :]
    _holds_together(validate_text(text, "g.dot"))


@pytest.mark.timeout(15)
def test_a_long_run_of_one_piece_come_to_an_end() -> None:
    """A generous bound against work that grows with the square of the input: then this would take minutes."""
    for piece in ['"', "/*", "<", "\\", "{", "[", "#", "-", "a ", "->a", "a[", "=", '"=', "\n"]:
        _holds_together(validate_text("digraph { a [x=" + piece * (100_000 // len(piece)), "g.dot"))
        validate_text("digraph { " + piece * (100_000 // len(piece)), "g.dot")


def test_the_graph_the_mutations_start_from_has_no_findings() -> None:
    assert validate_text(VALID, "g.dot").diagnostics == ()
