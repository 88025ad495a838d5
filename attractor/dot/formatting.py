"""A graph file's text in canonical layout, or what is wrong with it.

Rules kept here:
- Only a file without problems is laid out; `#` lines are the one exception, because they are comments to Graphviz and
  stay what they are.
- The result means the same and has the same comments. That is checked on every call, against the parser and not
  against the formatter's own reading: a defect here must never reach somebody's file.
- Line ends are those of the file's first line, LF or CRLF; strings keep their own. A byte order mark is dropped.

Must not know: which attributes are text, files.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from attractor.diagnostics import Diagnostic, in_file_order
from attractor.dot.concrete import concrete_entries
from attractor.dot.decoding import decode_source
from attractor.dot.layout import laid_out
from attractor.dot.lexer import BLOCK_COMMENT, HASH_LINE, LINE_COMMENT, tokens_and_comments
from attractor.dot.parser import parse_source
from attractor.dot.spelling import IsText
from attractor.dot.syntax import (
    Attribute,
    DefaultsStatement,
    DigraphSyntax,
    EdgeStatement,
    NodeStatement,
    Statement,
)
from attractor.dot.trivia import line_end_of
from attractor.errors import InternalError
from attractor.source import Source

__all__ = ["Formatted", "format_dot"]


class Formatted(NamedTuple):
    """`text` is None where `diagnostics` has errors: then nothing was formatted."""

    text: str | None
    diagnostics: tuple[Diagnostic, ...]


def format_dot(data: str | bytes, name: str, is_text: IsText) -> Formatted:
    """The canonical layout of a graph file; `name` is for messages, `is_text` tells which attributes hold text.

    Raises InternalError where the result would not mean the same.
    """
    source, problems = decode_source(data, name)
    tree, found = (None, ()) if problems else parse_source(source)
    problems = tuple(problem for problem in (*problems, *found) if not _is_hash_line(problem))
    if tree is None or problems:
        return Formatted(None, in_file_order(problems or found))
    line_end = line_end_of(source.text)
    text = "".join(line + line_end for line in laid_out(concrete_entries(source.text, is_text)))
    _check_same(tree, text)
    return Formatted(text, ())


def _is_hash_line(problem: Diagnostic) -> bool:
    """Whether a problem is a `#` line, with nothing in front of the `#`."""
    span = problem.span
    if problem.rule != "preprocessor_line" or span is None:
        return False
    line_start = span.source.line_bounds(span.line)[0]
    return not span.source.text[line_start : span.start].strip()


def _check_same(before: DigraphSyntax, text: str) -> None:
    source = Source(text, before.source.name)
    after, problems = parse_source(source)
    broken = [problem for problem in problems if not _is_hash_line(problem)]
    if after is None or broken:
        raise InternalError(f"{source.name}: the formatter's result cannot be read", hint=_first(broken))
    if after.name != before.name or _meaning(after.statements) != _meaning(before.statements):
        raise InternalError(f"{source.name}: the formatter's result is another graph; nothing was written")
    if _comments(source.text) != _comments(before.source.text):
        raise InternalError(f"{source.name}: the formatter's result has other comments; nothing was written")


def _first(problems: list[Diagnostic]) -> str | None:
    return problems[0].headline if problems else None


def _comments(text: str) -> Counter[str]:
    """All comments, whatever their line ends and indentation."""
    return Counter(
        " ".join(text[token.start : token.end].split())
        for token in tokens_and_comments(text)
        if token.kind in (LINE_COMMENT, BLOCK_COMMENT, HASH_LINE)
    )


def _meaning(statements: Iterable[Statement]) -> list[object]:
    """The statements without places and quotes, flat: what `graph.build` makes of equal ones is equal."""
    flat: list[object] = []
    rest = [iter(statements)]
    while rest:
        statement = next(rest[-1], None)
        if statement is None:
            rest.pop()
            flat.append("}")
        elif isinstance(statement, NodeStatement):
            flat.append(("node", statement.node.text, _pairs(statement.attributes)))
        elif isinstance(statement, EdgeStatement):
            flat.append(("edge", tuple(node.text for node in statement.nodes), _pairs(statement.attributes)))
        elif isinstance(statement, DefaultsStatement):
            flat.append(("defaults", statement.target, _pairs(statement.attributes)))
        else:
            flat.append(("subgraph", statement.name))
            rest.append(iter(statement.statements))
    return flat


def _pairs(attributes: tuple[Attribute, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((attribute.key, attribute.text) for attribute in attributes)
