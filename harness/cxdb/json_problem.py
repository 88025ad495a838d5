"""Says what is wrong with a JSON text in the words the real server uses, for refused bundles.

The golden answers show those words ("key must be a string at line 1 column 2"), and clients print them.
Only texts that were already refused come here. Syntax is covered; a text whose syntax is sound but whose
shape is not (a missing field, a number for a string) gets the decoder's own explanation instead.
"""

from __future__ import annotations

import re

__all__ = ["describe_problem"]

_SPACE = re.compile(rb"[ \t\n\r]*")
_NUMBER = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_FRACTIONS = (b".", b"e", b"E")
_WOULD_GO_ON = (*_FRACTIONS, *(b"%d" % digit for digit in range(10)))
_ESCAPES = b'"\\/bfnrt'


class _Problem(Exception):
    """Found: `what` is wrong, seen after consuming `at` bytes."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(what)
        self.what = what
        self.at = at


def describe_problem(text: bytes, decoder_says: str) -> str:
    """One line naming the first problem with line and column, else `decoder_says` unchanged."""
    try:
        end = _value(text, _skip(text, 0))
        end = _skip(text, end)
        if end < len(text):
            raise _Problem("trailing characters", end + 1)
    except RecursionError:
        return decoder_says
    except _Problem as problem:
        at = min(problem.at, len(text))
        line_start = text.rfind(b"\n", 0, at) + 1
        line = text.count(b"\n", 0, at) + 1
        return f"{problem.what} at line {line} column {at - line_start}"
    return decoder_says


def _skip(text: bytes, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None  # it can match nothing at all
    return match.end()


def _value(text: bytes, at: int) -> int:
    """The end of the value that begins at `at`."""
    first = text[at : at + 1]
    if not first:
        raise _Problem("EOF while parsing a value", at)
    if first in b"{[":
        return (_object if first == b"{" else _array)(text, at + 1)
    if first == b'"':
        return _string(text, at + 1)
    if first in b"-0123456789":
        return _number(text, at)
    for word in (b"true", b"false", b"null"):
        if first == word[:1]:
            return _word(text, at, word)
    raise _Problem("expected value", at + 1)


def _word(text: bytes, at: int, word: bytes) -> int:
    for index, expected in enumerate(word):
        if at + index >= len(text):
            raise _Problem("EOF while parsing a value", len(text))
        if text[at + index] != expected:
            raise _Problem("expected ident", at + index + 1)
    return at + len(word)


def _number(text: bytes, at: int) -> int:
    match = _NUMBER.match(text, at)
    end = match.end() if match else at + 1
    following = text[end : end + 1]
    if match and following not in _WOULD_GO_ON:
        return end
    wrong = end + 1 if following in _FRACTIONS and match else end
    if wrong >= len(text):
        raise _Problem("EOF while parsing a value", len(text))
    raise _Problem("invalid number", wrong + 1)


def _string(text: bytes, at: int) -> int:
    while True:
        match = _PLAIN.match(text, at)
        assert match is not None  # it can match nothing at all
        at = match.end()
        if at >= len(text):
            raise _Problem("EOF while parsing a string", at)
        if text[at] == ord('"'):
            return at + 1
        if text[at] != ord("\\"):
            raise _Problem("control character (\\u0000-\\u001F) found while parsing a string", at)
        at = _escape(text, at + 1)


def _escape(text: bytes, at: int) -> int:
    if at >= len(text):
        raise _Problem("EOF while parsing a string", at)
    if text[at] in _ESCAPES:
        return at + 1
    if text[at] != ord("u"):
        raise _Problem("invalid escape", at + 1)
    if at + 5 > len(text):
        raise _Problem("EOF while parsing a string", len(text))
    if not re.fullmatch(rb"[0-9a-fA-F]{4}", text[at + 1 : at + 5]):
        raise _Problem("invalid escape", at + 5)
    return at + 5


def _array(text: bytes, at: int) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == b"]":
        return at + 1
    if at >= len(text):
        raise _Problem("EOF while parsing a list", at)
    while True:
        at = _skip(text, _value(text, at))
        if at >= len(text):
            raise _Problem("EOF while parsing a list", at)
        if text[at] == ord("]"):
            return at + 1
        if text[at] != ord(","):
            raise _Problem("expected `,` or `]`", at + 1)
        at = _skip(text, at + 1)


def _object(text: bytes, at: int) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == b"}":
        return at + 1
    while True:
        at = _skip(text, _member(text, at))
        if at >= len(text):
            raise _Problem("EOF while parsing an object", at)
        if text[at] == ord("}"):
            return at + 1
        if text[at] != ord(","):
            raise _Problem("expected `,` or `}`", at + 1)
        at = _skip(text, at + 1)
        if text[at : at + 1] == b"}":
            raise _Problem("trailing comma", at + 1)
        if at >= len(text):
            raise _Problem("EOF while parsing a value", at)


def _member(text: bytes, at: int) -> int:
    if at >= len(text):
        raise _Problem("EOF while parsing an object", at)
    if text[at] != ord('"'):
        raise _Problem("key must be a string", at + 1)
    at = _skip(text, _string(text, at + 1))
    if at >= len(text):
        raise _Problem("EOF while parsing an object", at)
    if text[at] != ord(":"):
        raise _Problem("expected `:`", at + 1)
    return _value(text, _skip(text, at + 1))
