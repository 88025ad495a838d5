"""The grammar: what is accepted without a word, what is refused and where, and what is read after a slip."""

import pytest

from attractor.dot import (
    MAX_SUBGRAPH_DEPTH,
    DefaultsStatement,
    EdgeStatement,
    NodeStatement,
    SubgraphStatement,
    parse,
)


def _rules(text: str | bytes) -> list[str]:
    return [problem.rule for problem in parse(text, "g.dot")[1]]


def _attributes(block: str) -> dict[str, str]:
    tree, problems = parse(f"digraph {{ a {block} }}", "g.dot")
    assert problems == ()
    assert tree is not None
    (statement,) = tree.statements
    assert isinstance(statement, NodeStatement)
    return {attribute.key: attribute.text for attribute in statement.attributes}


ACCEPTED = {
    "spec form": ('[label="x", shape=box]', {"label": "x", "shape": "box"}),
    "semicolons between attributes": ("[a=1; b=2]", {"a": "1", "b": "2"}),
    "a trailing comma": ("[a=1,]", {"a": "1"}),
    "several lines": ("[\n a=1,\n b=2\n]", {"a": "1", "b": "2"}),
    "blocks in a row": ("[a=1] [] [b=2]", {"a": "1", "b": "2"}),
    "quoted keys": ('["a"=1]', {"a": "1"}),
    "dotted keys": ("[human.default_choice=ship]", {"human.default_choice": "ship"}),
    "bare durations": (
        "[a=250ms, b=900s, c=15m, d=2h, e=1d]",
        dict(zip("abcde", ["250ms", "900s", "15m", "2h", "1d"], strict=True)),
    ),
    "numbers": ("[a=-1, b=.5, c=-3.14]", {"a": "-1", "b": ".5", "c": "-3.14"}),
    "bare values": ("[a=summary:high, b=gpt-5.2]", {"a": "summary:high", "b": "gpt-5.2"}),
    "joined strings": ('[a="x" + "y" + "z"]', {"a": "xyz"}),
    "a joined line": ('[a="x\\\ny"]', {"a": "xy"}),
    "text over several lines": ('[a="x\ny"]', {"a": "x\ny"}),
    "comments inside": ("[a=1, // one\n /* two */ b=2]", {"a": "1", "b": "2"}),
    "no blanks at all": ('[a="1",b=2]', {"a": "1", "b": "2"}),
    "an empty string": ('[a=""]', {"a": ""}),
}


@pytest.mark.spec("11.1.3", "11.1.9", "11.1.10", "11.12.3")
@pytest.mark.parametrize(("block", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_attribute_blocks_accept(block: str, expected: dict[str, str]) -> None:
    assert _attributes(block) == expected


@pytest.mark.spec("11.1.1")
def test_statements_keep_the_order_of_the_file() -> None:
    tree, problems = parse("digraph G { graph [a=1] b=2; node [c=3] n; n -> m -> o [d=4]; subgraph s { p } }", "g")
    assert problems == ()
    assert tree is not None
    kinds = [type(statement) for statement in tree.statements]
    assert kinds == [DefaultsStatement] * 3 + [NodeStatement, EdgeStatement, SubgraphStatement]


def test_spans_cover_keys_and_values_exactly() -> None:
    tree, _ = parse('digraph {\n  n [label = "two words"]\n}', "g.dot")
    assert tree is not None
    (statement,) = tree.statements
    assert isinstance(statement, NodeStatement)
    attribute = statement.attributes[0]
    assert (attribute.key_span.place, attribute.key_span.text) == ("g.dot:2:6", "label")
    assert (attribute.span.place, attribute.span.text) == ("g.dot:2:14", '"two words"')


REFUSED = {
    "an empty file": (b"", ["empty_file"]),
    "only comments": (b"// nothing\n", ["empty_file"]),
    "binary": (b"\x7fELF\x00\x01", ["binary_file"]),
    "UTF-16": ("digraph {}".encode("utf-16"), ["encoding"]),
    "invalid UTF-8": (b'digraph { a [label="\xff"] }', ["encoding"]),
    "prose": (b"Dear engine,", ["syntax"]),
    "an undirected graph": (b"graph G { }", ["undirected_graph"]),
    "an undirected edge": (b"digraph { a -- b }", ["undirected_edge"]),
    "strict": (b"strict digraph { }", ["strict_graph"]),
    "a misspelt keyword": (b"digrahp G { }", ["keyword_misspelled"]),
    "a misspelt subgraph": (b"digraph { subgrph { a } }", ["keyword_misspelled"]),
    "two graphs": (b"digraph A { } digraph B { }", ["multiple_graphs"]),
    "a graph inside": (b"digraph A { digraph B { } }", ["multiple_graphs"]),
    "text after the end": (b"digraph A { } }", ["syntax"]),
    "an HTML label": (b"digraph { a [label=<<b>x, y</b>>, shape=box] }", ["html_label"]),
    "an unfinished HTML label": (b"digraph { a [label=<b] }", ["html_label"]),
    "ports": (b'digraph { a:n -> b; "c":x }', ["port", "port"]),
    "ids with dashes": (b"digraph { my-node }", ["node_id_invalid"]),
    "ids with digits first": (b"digraph { 1st }", ["node_id_invalid"]),
    "quoted ids that are no identifiers": (b'digraph { "two words" }', ["node_id_invalid"]),
    "keywords as ids": (b"digraph { node -> a }", ["keyword_as_id"]),
    "missing commas": (b"digraph { a [x=1 y=2 z=3] }", ["missing_comma", "missing_comma"]),
    "a missing bracket": (b"digraph { a [x=1\n b [y=2] }", ["unclosed_bracket"]),
    "a missing brace": (b"digraph { subgraph { a }", ["unclosed_brace"]),
    "an unterminated string": (b'digraph { a [x="1] }', ["unterminated_string"]),
    "an unterminated comment": (b"digraph { a /* }", ["unterminated_comment"]),
    "edges to a group": (b"digraph { a -> {b c} }", ["edge_to_group"]),
    "edges from a group": (b"digraph { subgraph s { a } -> b }", ["edge_to_group"]),
    "a group without a keyword": (b"digraph { { a } }", ["subgraph_keyword_missing"]),
    "preprocessor lines": (b'# 1 "f"\ndigraph { }', ["preprocessor_line"]),
    "colours without quotes": (b"digraph { a [color=#ff0000, x=1] }", ["value_needs_quotes"]),
    "slashes without quotes": (b"digraph { a [URL=http://h/p, x=openai/gpt] }", ["value_needs_quotes"] * 2),
    "arrows of other languages": ("digraph { a => b; c → d; e <- f }".encode(), ["edge_operator"] * 3),
    "colons for equals signs": (b'digraph { a [label: "x"] }', ["syntax"]),
    "attributes without a value": (b"digraph { a [x=, y] }", ["syntax", "syntax"]),
    "curly quotes": ("digraph { a [x=“y”] }".encode(), ["syntax"]),
    "ids listed with commas": (b"digraph { a, b }", ["syntax"]),
    "too deep nesting": (b"digraph {" + b"subgraph {" * 100_000, ["nesting_limit"]),
}


@pytest.mark.parametrize(("text", "rules"), REFUSED.values(), ids=REFUSED)
def test_one_slip_is_one_complaint(text: bytes, rules: list[str]) -> None:
    assert _rules(text) == rules


def test_quoted_ids_that_are_identifiers_are_accepted() -> None:
    assert _rules('digraph { "a" -> "b" }') == []


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_endings_and_a_byte_order_mark_do_not_move_places(ending: str) -> None:
    text = ending.join(["digraph {", "  a -- b", "}"])
    (problem,) = parse(b"\xef\xbb\xbf" + text.encode(), "g.dot")[1]
    assert problem.span is not None
    assert problem.span.place == "g.dot:2:5"


def test_an_invalid_byte_is_placed_at_its_line_and_column() -> None:
    (problem,) = parse('digraph {\n a [x="é'.encode() + b'\xff"] }', "g.dot")[1]
    assert problem.span is not None
    assert problem.span.place == "g.dot:2:9"


def test_all_problems_of_a_file_are_found_in_one_pass() -> None:
    text = "digraph {\n a -- b\n c [x=1 y=2]\n d-e\n f -> {g h}\n k [label=<i>]\n}"
    lines = [problem.span.line for problem in parse(text, "g")[1] if problem.span]
    assert lines == [2, 3, 4, 5, 6]


def test_a_lost_quote_is_placed_at_the_string_that_lost_it() -> None:
    text = 'digraph {\n a [label="one]\n b [label="two"]\n c [label="three"]\n}'
    (problem,) = parse(text, "g.dot")[1]
    assert problem.rule == "unterminated_string"
    assert problem.span is not None
    assert problem.span.place == "g.dot:2:11"


def test_a_lost_quote_behind_many_other_slips_is_still_told() -> None:
    text = "digraph {" + "a--b\n" * 99 + ' a [label="one]\n b [label="two"]\n}'
    assert "unterminated_string" in _rules(text)


def test_an_unclosed_file_is_complained_about_at_its_end() -> None:
    (problem,) = parse("digraph {\n  a\n", "g.dot")[1]
    assert problem.span is not None
    assert problem.span.place == "g.dot:3:1"
    assert "line 1, column 9" in problem.message


def test_what_follows_a_slip_is_still_read() -> None:
    tree, _ = parse("digraph { a -- b; c [x=1 y=2]; d }", "g")
    assert tree is not None
    assert tree.complete
    assert len(tree.statements) == 3


def test_a_tree_with_skipped_parts_says_so() -> None:
    tree, _ = parse("digraph { a -> ; b ] c }", "g")
    assert tree is not None
    assert not tree.complete


def test_subgraphs_nest_to_the_limit() -> None:
    depth = MAX_SUBGRAPH_DEPTH
    assert _rules("digraph {" + "subgraph {" * depth + "a" + "}" * depth + "}") == []


def test_a_file_of_rubbish_stops_at_a_hundred_complaints() -> None:
    rules = _rules("digraph {" + "]\n" * 1_000_000)
    assert len(rules) == 101
    assert rules.count("too_many_problems") == 1


def test_a_file_of_too_many_statements_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attractor.dot.parser.MAX_STATEMENTS", 5)
    assert _rules("digraph { a b c d }") == []
    assert _rules("digraph { subgraph { a b c d e f g } }") == ["graph_too_large"]
    assert _rules("digraph { a -> b -> c -> d -> e -> f }") == ["graph_too_large"]


def test_a_file_past_the_size_limit_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attractor.dot.decoding.MAX_SOURCE_SIZE", 20)
    assert _rules("digraph { a b c d e f }") == ["file_too_large"]
