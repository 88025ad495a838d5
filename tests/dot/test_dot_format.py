"""The canonical layout, one golden a rule; what is refused; and that a wrong result never gets out."""

from collections.abc import Callable

import pytest

from attractor.dot import formatting
from attractor.dot.layout import laid_out
from attractor.errors import InternalError
from attractor.graph import format_graph_text


def _formatted(text: str | bytes) -> str:
    formatted, problems = format_graph_text(text, "g.dot")
    assert formatted is not None, problems
    return formatted


def _inside(body: str) -> str:
    """What becomes of statements inside a graph, without the graph's own two lines and indentation."""
    lines = _formatted(f"digraph G {{\n{body}\n}}").splitlines()
    assert (lines[0], lines[-1]) == ("digraph G {", "}")
    return "\n".join(line.removeprefix("  ") for line in lines[1:-1])


LONG = "word " * 18
GOLDENS = {
    "a statement a line, without semicolons": ("a; b;c", "a\nb\nc"),
    "one blank line at most, none at the ends": ("\n\na\n\n\nb\nc\n\n", "a\n\nb\nc"),
    "spaces around arrows": ("a->b", "a -> b"),
    "chains stay chains": ("a->b ->\n c", "a -> b -> c"),
    "attributes on one line": ("a[shape=box,\nlabel=x ]", 'a [shape=box, label="x"]'),
    "commas between attributes": ("a [x=1; y=2;]", "a [x=1, y=2]"),
    "blocks in a row are one": ("a [x=1] [y=2]", "a [x=1, y=2]"),
    "empty blocks of nodes and edges go": ("a [] a -> b []", "a\na -> b"),
    "empty defaults stay": ("node []", "node []"),
    "bare assignments": ("rankdir = LR;", "rankdir=LR"),
    "subgraphs are indented": ("subgraph s{a subgraph {b}}", "subgraph s {\n  a\n  subgraph {\n    b\n  }\n}"),
    "empty subgraphs": ("subgraph s { ; }", "subgraph s {}"),
    "long attributes one a line": (
        f'a [shape=box, prompt="{LONG}"]',
        f'a [\n  shape=box,\n  prompt="{LONG}"\n]',
    ),
    "a blank line between attributes": ("a [x=1,\n\ny=2]", "a [\n  x=1,\n\n  y=2\n]"),
    "long chains are broken before the arrow": (
        " -> ".join(f"node_number_{number}" for number in range(9)) + " [weight=1]",
        " -> ".join(f"node_number_{number}" for number in range(6))
        + "\n    -> node_number_6 -> node_number_7 -> node_number_8 [weight=1]",
    ),
    "joined strings stay joined": ('a [x="1" +\n"2"]', 'a [x="1" + "2"]'),
    "long joined strings one a line": (
        f'a [x="{LONG}" + "more"]',
        f'a [\n  x="{LONG}" +\n    "more"\n]',
    ),
    # comments
    "a line above": ("// why\na", "// why\na"),
    "a line above keeps its blank line": ("a\n\n// why\n\nb", "a\n\n// why\n\nb"),
    "at the end of the line": ("a // why\nb /* and */; /* c */ c", "a  // why\nb  /* and */\n/* c */ c"),
    "before the end": ("a\n// last", "a\n// last"),
    "behind braces": ("subgraph s { // in\na } // out", "subgraph s {  // in\n  a\n}  // out"),
    "between a head and its brace": ("subgraph s // in\n{ a }", "subgraph s {  // in\n  a\n}"),
    "in an empty subgraph": ("subgraph s { // {\n}", "subgraph s {  // {\n}"),
    "at attributes": (
        "a [ // all\n x=1, // one\n /* two */ y=2 /* after */, // end\n // alone\n z=3\n // last\n]",
        "a [  // all\n  x=1,  // one\n  /* two */ y=2 /* after */,  // end\n  // alone\n  z=3\n  // last\n]",
    ),
    "inside one line of attributes": ("a [x=1 /* one */, /* two */ y=2]", "a [x=1 /* one */, /* two */ y=2]"),
    "inside an attribute": ("a [x /* k */ = /* v */ 1]", "a [x /* k */ = /* v */ 1]"),
    "inside an attribute, to the line's end": ("a [x = // why\n 1]", "a [\n  // why\n  x=1\n]"),
    "along a chain": ("a // one\n -> b // two\n -> c", "a  // one\n    -> b  // two\n    -> c"),
    "behind an arrow": ("a -> // one\n b", "a  // one\n    -> b"),
    "of several lines before a statement": ("/* x\n y */ a", "/* x\n y */\na"),
    "of several lines inside a chain": ("a /* x\n y */ -> b", "a  /* x\n y */\n    -> b"),
    "inside a chain": ("a /* x */ -> /* y */ b", "a /* x */ -> /* y */ b"),
    "between joined strings": (
        'a [x="1" + // one\n "2" // two\n]',
        'a [\n  x="1" +  // one\n    "2"  // two\n]',
    ),
    "starred lines are aligned": ("      /* a\n       * b\n       */\na", "/* a\n * b\n */\na"),
}


@pytest.mark.parametrize(("body", "expected"), GOLDENS.values(), ids=GOLDENS)
def test_layout(body: str, expected: str) -> None:
    assert _inside(body) == expected
    assert _inside(expected) == expected


SPELLINGS = {
    "ids without need for quotes": ('"a" -> "b"', "a -> b"),
    "keywords as ids": ('"node" -> node -> "Graph"', '"node" -> "node" -> "Graph"'),
    "joined ids": ('"a" + "b" [x=1]', "ab [x=1]"),
    "text is quoted": ("a [label=Plan, prompt=x, class=code]", 'a [label="Plan", prompt="x", class="code"]'),
    "shapes, numbers and booleans are bare": (
        'a [shape="box", max_retries="3", goal_gate="true", weight="-1.5"]',
        "a [shape=box, max_retries=3, goal_gate=true, weight=-1.5]",
    ),
    "what Graphviz cannot read bare is quoted": (
        "a [timeout=900s, llm_model=gpt-5.2, default_fidelity=summary:high, x=1.]",
        'a [timeout="900s", llm_model="gpt-5.2", default_fidelity="summary:high", x="1."]',
    ),
    "keywords as values": ("a [x=node]", 'a [x="node"]'),
    "other attributes only where they must": ('a [color="red", x="#ff0000"]', 'a [color=red, x="#ff0000"]'),
    "dotted keys stay as they are": ('a ["x.y"=1, x.z=2] "x.y"=3', 'a ["x.y"=1, x.z=2]\n"x.y"=3'),
    "quoted keys": ('a ["x"=1, "node"=2] "y"=3', 'a [x=1, "node"=2]\ny=3'),
    "escapes are nobody's to change": (r'a [label="\l\n\"\\", x="a\tb"]', r'a [label="\l\n\"\\", x="a\tb"]'),
    "names": (
        'subgraph "cluster_a" {} subgraph "two words" {} subgraph 2 {}',
        'subgraph cluster_a {}\nsubgraph "two words" {}\nsubgraph "2" {}',
    ),
    "joined names": ('subgraph "a" + "b" {}', 'subgraph "a" + "b" {}'),
}


@pytest.mark.parametrize(("body", "expected"), SPELLINGS.values(), ids=SPELLINGS)
def test_spelling(body: str, expected: str) -> None:
    assert _inside(body) == expected
    assert _inside(expected) == expected


def test_the_spec_s_own_examples_only_change_their_alignment() -> None:
    text = """digraph Branch {
  graph [goal="Implement and validate a feature"]
  rankdir=LR
  node [shape=box, timeout="900s"]

  start [shape=Mdiamond, label="Start"]
  review_gate [shape=hexagon, label="Review Changes", type="wait.human"]
  subgraph cluster_loop {
    label="Loop A"
    node [thread_id="loop-a", timeout="900s"]
  }

  gate -> exit [label="Yes", condition="outcome=success"]
}
"""
    assert _formatted(text) == text


WHOLE_FILES = {
    "a header and a footer": ("// head\n\n\ndigraph{a}// foot", "// head\n\ndigraph {\n  a\n}  // foot\n"),
    "comments in the first line": ("digraph /* a */ G // b\n{ // c\na}", "digraph /* a */ G {  // b\n  // c\n  a\n}\n"),
    "hash lines begin in the first column": ("# one\ndigraph {\n  # two\n  a }", "# one\ndigraph {\n# two\n  a\n}\n"),
    "a quoted name": ('digraph "G" {}', "digraph G {}\n"),
    "a name that needs its quotes": ('digraph "my graph" {}', 'digraph "my graph" {}\n'),
    "a mark at the beginning goes": (b"\xef\xbb\xbfdigraph {}\n", "digraph {}\n"),
    "CRLF stays": (
        "digraph {\r\n/* a\r\n b */\r\na [x=1,\r\n\r\ny=2]}",
        "digraph {\r\n  /* a\r\n b */\r\n  a [\r\n    x=1,\r\n\r\n    y=2\r\n  ]\r\n}\r\n",
    ),
    "the first line end decides": ("digraph {\na\r\n}\r\n", "digraph {\n  a\n}\n"),
    "a lone CR is no line end of ours": ("digraph {\ra}\r", "digraph {\n  a\n}\n"),
    "strings keep their line ends": ('digraph {\na [x="1\r\n2\r3"]}', 'digraph {\n  a [\n    x="1\r\n2\r3"\n  ]\n}\n'),
    "real line breaks in a value": (
        'digraph {\na [x=1, prompt="one\n    two"]}',
        'digraph {\n  a [\n    x=1,\n    prompt="one\n    two"\n  ]\n}\n',
    ),
    "block comments keep their other lines": (
        "digraph {\n/* a\n     b */\na}",
        "digraph {\n  /* a\n     b */\n  a\n}\n",
    ),
}


@pytest.mark.parametrize(("text", "expected"), WHOLE_FILES.values(), ids=WHOLE_FILES)
def test_whole_files(text: str | bytes, expected: str) -> None:
    assert _formatted(text) == expected
    assert _formatted(expected) == expected


REFUSED = {
    "an empty file": (b"", "empty_file"),
    "only comments": (b"// nothing\n", "empty_file"),
    "a syntax error": (b"digraph { a -- b }", "undirected_edge"),
    "what is not UTF-8": (b'digraph { a [label="\xff"] }', "encoding"),
    "a hash behind something": (b"digraph { a # note\n}", "preprocessor_line"),
    "a binary file": (b"\x7fELF\x00", "binary_file"),
}


@pytest.mark.parametrize(("text", "rule"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_not_formatted(text: bytes, rule: str) -> None:
    formatted, problems = format_graph_text(text, "g.dot")
    assert formatted is None
    assert rule in [problem.rule for problem in problems]


def test_the_deepest_nesting_is_formatted() -> None:
    text = "digraph {" + "subgraph {" * 250 + "a" + "}" * 250 + "}"
    assert _formatted(_formatted(text)).count("\n") == 503


DEFECTS: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "a lost statement": (lambda lines: [lines[0], *lines[2:]], "another graph"),
    "a changed value": (lambda lines: [line.replace("x=1", "x=2") for line in lines], "another graph"),
    "another order": (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "another graph"),
    "a lost comment": (lambda lines: [line.partition("//")[0] for line in lines], "other comments"),
    "a lost brace": (lambda lines: lines[:-1], "cannot be read"),
}


@pytest.mark.parametrize(("spoil", "words"), DEFECTS.values(), ids=DEFECTS)
def test_a_wrong_layout_is_refused(
    monkeypatch: pytest.MonkeyPatch, spoil: Callable[[list[str]], list[str]], words: str
) -> None:
    monkeypatch.setattr(formatting, "laid_out", lambda entries: spoil(laid_out(entries)))
    with pytest.raises(InternalError, match=words):
        format_graph_text("digraph {\n  a [x=1]\n  b // why\n  c\n}", "g.dot")
