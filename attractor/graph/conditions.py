"""Edge conditions (spec 10): parsed once into clauses, evaluated against plain values.

Rules kept here:
- Clauses are joined by `&&` and compared as strings, exactly and case-sensitively; a missing key is the
  empty string.
- A bare key is a clause of its own and passes when its value is neither empty nor `false` nor `0`.
- A problem carries offsets into the condition's text; who knows the attribute turns them into a place in the
  file.
- The grammar is the spec's and no wider (10.7): what other languages offer is refused with a hint.

Must not know: graphs, outcomes. `evaluate` takes a status, a label and a mapping.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from attractor.diagnostics import closest_name
from attractor.dot import decode_string

__all__ = ["Clause", "Condition", "ConditionProblem", "parse_condition"]


class Clause(NamedTuple):
    """`key operator literal`, or a bare key: then the operator is empty. `start` is the key's offset in the
    text.
    """

    key: str
    operator: str
    literal: str
    start: int = 0

    def holds(self, status: str, preferred_label: str, context: Mapping[str, object]) -> bool:
        value = _resolve(self.key, status, preferred_label, context)
        if self.operator == "=":
            return value == self.literal
        if self.operator == "!=":
            return value != self.literal
        return value not in _FALSE


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition with at least one clause."""

    text: str
    clauses: tuple[Clause, ...]

    def evaluate(self, status: str, preferred_label: str, context: Mapping[str, object]) -> bool:
        """Whether every clause holds for a finished node's status and label and the run's context."""
        return all(clause.holds(status, preferred_label, context) for clause in self.clauses)


class ConditionProblem(NamedTuple):
    """Why a condition cannot be parsed; `start` and `end` are offsets into its text."""

    message: str
    start: int
    end: int
    fix: str | None = None
    expected: tuple[str, ...] = ()


# Spec 10.4 makes everything a string and calls a non-empty one true. A flag a handler stores as False or 0
# would then count as true, which nobody who writes `context.flag` means.
_FALSE = frozenset({"", "false", "0"})


def _resolve(key: str, status: str, preferred_label: str, context: Mapping[str, object]) -> str:
    if key == "outcome":
        return status
    if key == "preferred_label":
        return preferred_label
    value = context.get(key)
    if value is None and key.startswith("context."):
        value = context.get(key[len("context.") :])
    return _as_text(value)


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_LEXEME = re.compile(
    r"""\s*+(?:
      (?P<key>[A-Za-z_][A-Za-z0-9_]*+(?:\.[A-Za-z0-9_]++)*+(?![\w.:-]))
    | (?P<quoted>"(?:[^"\\]++|\\.)*+")
    | (?P<operator>[=!<>~|&]++|=)
    | (?P<literal>[^\s"=!<>~|&()]++)
    | (?P<other>.)
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_FIXES = {
    "==": "write a single `=`",
    "===": "write a single `=`",
    "<>": "write `!=`",
    "=!": "write `!=`",
    "||": "there is no OR: write two edges, one per alternative",
    "|": "there is no OR: write two edges, one per alternative",
    "&": "write `&&`",
    "!": "there is no NOT: compare with `!=`, as in context.key!=true",
    "not": "there is no NOT: compare with `!=`, as in context.key!=true",
    "or": "there is no OR: write two edges, one per alternative",
    "and": "write `&&`",
}
_WORDS = frozenset({"and", "or", "not", "AND", "OR", "NOT"})


class _Lexeme(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Refused(Exception):
    def __init__(self, problem: ConditionProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def parse_condition(text: str) -> Condition | ConditionProblem | None:
    """The parsed condition; None for an empty one, which is always true; or what is wrong with it."""
    if not text.strip():
        return None
    lexemes = _lexemes(text)
    clauses: list[Clause] = []
    position = 0
    try:
        while True:
            clause, position = _clause(lexemes, position)
            clauses.append(clause)
            following = lexemes[position]
            if following.kind == "end":
                return Condition(text, tuple(clauses))
            if following.text != "&&":
                raise _refuse(following, ("`&&`", "the end of the condition"))
            position += 1
    except _Refused as refused:
        return refused.problem


def _lexemes(text: str) -> list[_Lexeme]:
    found: list[_Lexeme] = []
    for match in _LEXEME.finditer(text):
        kind = match.lastgroup or "end"
        found.append(_Lexeme(kind, match.group(kind), *match.span(kind)))
        if kind == "end":
            break
    return found


def _clause(lexemes: list[_Lexeme], position: int) -> tuple[Clause, int]:
    key = lexemes[position]
    if key.kind != "key" or key.text in _WORDS:
        raise _refuse(key, ("outcome", "preferred_label", "context.<path>"))
    operator = lexemes[position + 1]
    if operator.kind == "end" or operator.text == "&&":
        return Clause(key.text, "", "", key.start), position + 1
    if operator.text not in ("=", "!="):
        raise _refuse(operator, ("`=`", "`!=`", "`&&`"))
    literal = lexemes[position + 2]
    if literal.kind == "quoted":
        return Clause(key.text, operator.text, decode_string(literal.text), key.start), position + 3
    if literal.kind in ("key", "literal") and "'" not in literal.text:
        return Clause(key.text, operator.text, literal.text, key.start), position + 3
    raise _refuse(literal, ("a value",), f'compare with an empty value as {key.text}{operator.text}\\"\\"')


def _refuse(lexeme: _Lexeme, expected: tuple[str, ...], fix_at_end: str | None = None) -> _Refused:
    if lexeme.kind == "end":
        message = "the condition ends too early"
        return _Refused(ConditionProblem(message, lexeme.start, lexeme.end, fix_at_end, expected))
    message = f"unexpected `{lexeme.text[:40]}` in the condition"
    fix = _FIXES.get(lexeme.text) or _FIXES.get(lexeme.text.lower())
    if fix is None and lexeme.text[0] in "<>~":
        fix = "only `=` and `!=` compare (spec 10.2)"
    if fix is None and lexeme.text[0] in "'\"":
        fix = 'put the value in escaped double quotes: key=\\"value\\"'
    if fix is None and lexeme.text in "()":
        fix = "conditions have no parentheses: clauses are joined by `&&` only"
    if fix is None and lexeme.kind in ("key", "literal") and "the end of the condition" in expected:
        fix = 'join clauses with `&&`, or quote a value of several words: key=\\"two words\\"'
    if fix is None and "`=`" in expected and (near := closest_name(lexeme.text, ("=", "!=", "&&"))):
        fix = f"did you mean `{near}`?"
    return _Refused(ConditionProblem(message, lexeme.start, lexeme.end, fix, expected))
