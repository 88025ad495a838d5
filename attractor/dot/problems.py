"""Collects what the parser finds wrong and words the messages that need more than one line of thought.

Rules kept here: at most MAX_PROBLEMS are kept, then parsing stops: nobody reads more, and a 10 MB file of
rubbish must not become 10 MB of complaints. Must not know: the parser's state, tokens to come.
"""

import re

from attractor.diagnostics import Diagnostic, Severity, closest_name
from attractor.dot import lexer
from attractor.source import Source, Span

__all__ = ["MAX_PROBLEMS", "GiveUp", "Problems", "bare_id", "describe", "runaway_string"]

MAX_PROBLEMS = 100

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_]+")
_LINE_BREAK = re.compile(r"\r\n|\n|\r")


class GiveUp(Exception):
    """Inside the parser only: nothing sensible can be said about the rest of the file."""


class Problems:
    """The findings of one file, in the order they were found."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Diagnostic] = []

    def error(
        self,
        rule: str,
        message: str,
        start: int,
        end: int,
        *,
        fix: str | None = None,
        expected: tuple[str, ...] = (),
    ) -> None:
        span = Span(self.source, start, end)
        self.found.append(Diagnostic(rule, Severity.ERROR, message, span, fix=fix, expected=expected))
        if len(self.found) == MAX_PROBLEMS:
            message = f"more than {MAX_PROBLEMS} problems; the rest of the file was not read"
            self.found.append(Diagnostic("too_many_problems", Severity.ERROR, message, Span(self.source, end, end)))
            raise GiveUp


_SHOWN = 40
_SMART_QUOTES = frozenset("“”„‟«»‘’‚")


def describe(kind: str, text: str) -> str:
    """A token as a message names it."""
    if kind == lexer.END:
        return "end of the file"
    if len(text) > _SHOWN:
        text = text[:_SHOWN] + "…"
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if kind == lexer.STRING else f"`{shown}`"


def junk_fix(text: str) -> str | None:
    if _SMART_QUOTES & set(text):
        return 'use straight double quotes: "'
    if "'" in text:
        return "strings take double quotes"
    if text == "/":
        return "a comment starts with // or /*"
    return None


def bare_id(text: str) -> str:
    """The nearest legal node id (spec 2.3) to what was written."""
    candidate = _NOT_IN_ID.sub("_", text).strip("_")
    if not candidate:
        return "node_1"
    return f"n{candidate}" if candidate[0].isdigit() else candidate


def near_keyword(word: str, keywords: tuple[str, ...]) -> str | None:
    folded = word.casefold()
    return folded if folded in keywords else closest_name(word, keywords)


def runaway_string(text: str) -> lexer.Token | None:
    """The first string that seems to have lost its closing quote, or None.

    A forgotten quote turns the file inside out: the string runs on until the opening quote of a later value.
    So it covers a line break, ends in `key=`, and what follows it is the inside of a value. Reporting that
    string instead of the rubbish after it is worth reading the file twice, which happens only when there is
    an error anyway.
    """
    for token in lexer.tokens(text):
        if token.kind == lexer.END:
            return None
        if token.kind != lexer.STRING or not text[token.start + 1 : token.end - 1].rstrip().endswith("="):
            continue
        follows = text[token.end : token.end + 1]
        if _LINE_BREAK.search(text, token.start, token.end) and follows.strip(",;]} \t\r\n"):
            return token
    return None
