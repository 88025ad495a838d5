"""Tokens together with what a reader sees between them: comments, and which lines they were given.

Rules kept here:
- A comment belongs to the gap in front of the next token; `Gap` says whether a person would read it as being at
  the end of the line before, on lines of its own, or in front of the token on its line.
- A `#` line counts as a comment: the grammar complains about it, a formatter must not lose it.

Must not know: grammar, layout.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from attractor.dot.lexer import BLOCK_COMMENT, HASH_LINE, LINE_COMMENT, tokens_and_comments

__all__ = ["Comment", "Gap", "Lexeme", "lexemes", "line_end_of", "split_gap"]

_LINE_BREAK = re.compile(r"\r\n|\n|\r")
_COMMENTS = frozenset({LINE_COMMENT, BLOCK_COMMENT, HASH_LINE})


class Comment(NamedTuple):
    """A comment as written, its lines without blanks at their ends and with the file's line ends."""

    text: str
    starts_line: bool  # nothing but white space before it on its line
    ends_line: bool  # nothing after it on its line, or nothing should be: `//`, `#`, and what has lines of its own
    after_blank: bool  # an empty line before it


class Lexeme(NamedTuple):
    """A token that counts, with the comments between it and the one before."""

    kind: str
    text: str
    start: int
    comments: tuple[Comment, ...]
    after_blank: bool  # an empty line directly before it


class Gap(NamedTuple):
    """The comments between two lexemes, by where they stand."""

    trailing: tuple[Comment, ...]  # behind the first lexeme, up to the end of its line
    above: tuple[Comment, ...]  # on lines of their own
    inline: tuple[Comment, ...]  # in front of the second lexeme, on its line


_NO_COMMENTS = Gap((), (), ())


def lexemes(text: str) -> Iterator[Lexeme]:
    """All lexemes of a text; the last one is END and carries the comments after everything else."""
    comments: list[Comment] = []
    line_end = line_end_of(text)
    end = 0
    for token in tokens_and_comments(text):
        kind, start = token.kind, token.start
        line_breaks = len(_LINE_BREAK.findall(text, end, start)) if start > end else 0
        if comments and (line_breaks or start == len(text)):
            comments[-1] = comments[-1]._replace(ends_line=True)
        after_blank = line_breaks > 1 and end > 0
        if kind in _COMMENTS:
            lines = [line.rstrip() for line in _LINE_BREAK.split(text[start : token.end])]
            ends_line = kind != BLOCK_COMMENT or len(lines) > 1
            comments.append(Comment(line_end.join(lines), line_breaks > 0 or end == 0, ends_line, after_blank))
        else:
            yield Lexeme(kind, text[start : token.end], start, tuple(comments), after_blank)
            comments = []
        end = token.end


def line_end_of(text: str) -> str:
    """CRLF where the first line ends so, else LF."""
    first = _LINE_BREAK.search(text)
    return "\r\n" if first and first.group() == "\r\n" else "\n"


def split_gap(comments: Sequence[Comment]) -> Gap:
    """A gap's comments in three parts; together, in order, they are all of them."""
    if not comments:
        return _NO_COMMENTS
    rest = list(comments)
    trailing: list[Comment] = []
    for number, comment in enumerate(rest):
        if comment.starts_line:
            break
        if comment.ends_line:
            trailing = rest[: number + 1]
            break
    rest = rest[len(trailing) :]
    last = max((number for number, comment in enumerate(rest, start=1) if comment.ends_line), default=0)
    return Gap(tuple(trailing), tuple(rest[:last]), tuple(rest[last:]))
