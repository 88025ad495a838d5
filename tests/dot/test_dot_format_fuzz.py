"""The formatter over drawn files: the same graph, every comment kept, nothing left to do the second time.

Files are drawn as tokens with anything allowed between them: comments of both kinds, `#` lines where they may stand,
blank lines, every kind of line end.
"""

import re
from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from attractor.dot.lexer import BLOCK_COMMENT, HASH_LINE, LINE_COMMENT, tokens_and_comments
from attractor.graph import Graph, format_graph_text, load_graph_text

IDS = st.sampled_from(["a", "b", "start", "exit", '"c"', '"node"', "Graph", '"d"+"e"'])
KEYS = st.sampled_from(
    ["label", "shape", "x", '"y"', "human.default_choice", '"x.y"', "prompt", "timeout", '"node"', "class"]
)
TEXT = st.text(st.sampled_from('ab ,;{}[]#/*\\"\n\r\té'), max_size=8)
STRINGS = TEXT.map(lambda text: '"' + re.sub(r'[\\"]', r"\\\g<0>", text) + '"') | st.sampled_from(
    [r'"\l\n\t"', '"two\\\nlines"', '"' + "long " * 25 + '"', '"box"', '"900s"', '"3"', '""']
)
BARE = st.sampled_from(["box", "true", "-3", ".5", "1.", "900s", "gpt-5.2", "summary:high", "node", "größe"])
COMMENT_TEXT = st.text(st.sampled_from('ab "{}[]=;,\\#é\t'), max_size=6)
BLANK = st.sampled_from(["", " ", "\t", "\n", "\r\n", "\n\n\n", "\r\n\r\n", "\r"])
LINE_COMMENTS = st.builds("//{}{}".format, COMMENT_TEXT, st.sampled_from(["\n", "\r\n", "\n\n"]))
BLOCK_COMMENTS = st.builds(
    "/*{}{}*/".format, COMMENT_TEXT, st.sampled_from(["", "\n", "\r\n  * more\n  ", "\n\n x \n"])
)
GAP = st.lists(BLANK | LINE_COMMENTS | BLOCK_COMMENTS, max_size=3).map("".join)
HASH_LINES = st.builds("\n# {}\n".format, COMMENT_TEXT)
# Between statements, `#` lines are read as well. Marked, so that it stays alone when tokens are joined.
BETWEEN = st.lists(HASH_LINES, max_size=1)


def _flat(parts: list[list[str]]) -> list[str]:
    return [token for part in parts for token in part]


def _joined(strings: list[str]) -> list[str]:
    return _flat([["+", string] for string in strings])[1:]


VALUES = BARE.map(lambda text: [text]) | st.lists(STRINGS, min_size=1, max_size=3).map(_joined)
ATTRIBUTES = st.tuples(KEYS, VALUES).map(lambda pair: [pair[0], "=", *pair[1]])


def _block(attributes: list[list[str]], separator: str, ending: list[str]) -> list[str]:
    inside = _flat([[separator, *attribute] for attribute in attributes])[1:]
    return ["[", *inside, *(ending if attributes else []), "]"]


BLOCKS = st.builds(_block, st.lists(ATTRIBUTES, max_size=4), st.sampled_from(",;"), st.lists(st.just(","), max_size=1))
SOME_BLOCKS = st.lists(BLOCKS, max_size=2).map(_flat)
CHAINS = st.builds(
    lambda ids, blocks: [*_flat([["->", each] for each in ids])[1:], *blocks],
    st.lists(IDS, min_size=1, max_size=5) | st.just(["a", "b"] * 30),
    SOME_BLOCKS,
)
DEFAULTS = st.builds(
    lambda target, block, more: [target, *block, *more],
    st.sampled_from(["graph", "node", "edge"]),
    BLOCKS,
    SOME_BLOCKS,
)
SIMPLE = CHAINS | DEFAULTS | ATTRIBUTES


def _braced(name: list[str], statements: list[list[str]]) -> list[str]:
    return [*name, "{", *_flat(statements), "}"]


def _statements(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[list[str]]]:
    end = st.sampled_from([[], [";"], [";", ";"]])
    return st.lists(st.builds(lambda hashes, body, ending: [*hashes, *body, *ending], BETWEEN, inner, end), max_size=4)


NAMES = st.sampled_from([[], ["s"], ['"Two words"'], ["cluster_a"], ["2"], ["node"], ['"a"', "+", '"b"']])
SUBGRAPHS = st.recursive(
    SIMPLE, lambda inner: st.builds(lambda n, s: _braced(["subgraph", *n], s), NAMES, _statements(inner)), max_leaves=6
)
GRAPH_NAMES = st.sampled_from([[], ["G"], ['"My graph"'], ['"x"', "+", '"y"']])
FILES = st.builds(
    lambda before, name, body, after: [*before, *_braced(["digraph", *name], body), *after],
    BETWEEN,
    GRAPH_NAMES,
    _statements(SUBGRAPHS),
    BETWEEN,
)


@st.composite
def dot_files(draw: st.DrawFn) -> str:
    tokens = draw(FILES)
    text = ""
    for token in ["", *tokens, ""]:
        gap = draw(GAP)
        if text[-1:].isalnum() or text[-1:] in tuple("_.-") or gap.startswith("/"):
            gap = " " + gap
        if token.startswith("\n#") or text.endswith("*/"):
            gap += "\n"
        text += gap + token
    return text


def _comments(text: str) -> Counter[str]:
    return Counter(
        " ".join(text[token.start : token.end].split())
        for token in tokens_and_comments(text)
        if token.kind in (LINE_COMMENT, BLOCK_COMMENT, HASH_LINE)
    )


def _between_tokens(text: str) -> str:
    """The text with a `_` for every token and comment."""
    ends = [(0, 0), *(token[1:] for token in tokens_and_comments(text))]
    return "_".join(text[left[1] : right[0]] for left, right in pairwise(ends))


def _graph(text: str) -> Graph:
    graph, _ = load_graph_text(text, "g.dot")
    assert graph is not None
    return graph


def _facts(graph: Graph) -> object:
    return (
        graph.name,
        {key: attribute.text for key, attribute in graph.attributes.items()},
        [
            (node.id, node.classes, node.role, {key: attribute.text for key, attribute in node.attributes.items()})
            for node in graph.nodes.values()
        ],
        [
            (edge.source_id, edge.target_id, {key: attribute.text for key, attribute in edge.attributes.items()})
            for edge in graph.edges
        ],
    )


@given(dot_files())
@settings(max_examples=200, deadline=None)
def test_layout_keeps_graph_and_comments_and_is_final(text: str) -> None:
    formatted, problems = format_graph_text(text, "g.dot")
    assert formatted is not None, problems
    assert _facts(_graph(formatted)) == _facts(_graph(text))
    assert _comments(formatted) == _comments(text)
    assert format_graph_text(formatted, "g.dot").text == formatted
    assert formatted.endswith("\n")
    assert not re.search(r"[ \t]\r?\n|(\r?\n){3}", _between_tokens(formatted))
