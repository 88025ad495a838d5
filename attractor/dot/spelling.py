"""How ids and values are spelled in canonical layout: which stand in quotes, and which do not.

Rules kept here:
- An id stands in quotes only where it has to: where it is a keyword, or no identifier.
- Text always stands in quotes (`label="Plan"`), as in all examples of the spec, so that a value does not change its
  looks with its second word. Other values (`shape=box`, `max_retries=3`, `goal_gate=true`) stand bare where Graphviz's
  own programs can read them bare. They cannot read `900s`, `gpt-5.2` and `summary:high`, so these stand in quotes,
  again as in the spec's examples.
- A dotted key stays as it is written: the spec has it bare (2.2), Graphviz's own programs only read it in quotes, and
  which of the two a file has to please only its author knows.
- A quoted string is never written anew: its escapes and line breaks stay as they are.

Must not know: which attributes are text; the caller says.
"""

import re
from collections.abc import Callable
from typing import TypeAlias

from attractor.dot.lexer import STRING, decode_string

__all__ = ["IsText", "spelled_id", "spelled_key", "spelled_value"]

# Whether the values of an attribute are text for people, agents or shells.
IsText: TypeAlias = Callable[[str], bool]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_BARE_VALUE = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*|-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+))\Z")
# Graphviz compares them without case.
_KEYWORDS = frozenset({"strict", "graph", "digraph", "subgraph", "node", "edge"})


def spelled_id(kind: str, text: str) -> str:
    """A node id, or the name of a graph or subgraph, from one token."""
    name = decode_string(text) if kind == STRING else text
    if _IDENTIFIER.match(name) and name.casefold() not in _KEYWORDS:
        return name
    return text if kind == STRING else f'"{text}"'


def spelled_key(kind: str, key: str) -> str:
    """An attribute's key, decoded, from a token of this kind."""
    keeps_quotes = kind == STRING and "." in key
    return f'"{key}"' if keeps_quotes or key.casefold() in _KEYWORDS else key


def spelled_value(key: str, kind: str, text: str, is_text: IsText) -> str:
    """An attribute's value that is one token. Text of bare tokens needs no escapes: it is letters, digits, `_.:-`."""
    value = decode_string(text) if kind == STRING else text
    is_bare = _BARE_VALUE.match(value) and value.casefold() not in _KEYWORDS and not is_text(key)
    if kind == STRING:
        return value if is_bare and text == f'"{value}"' else text
    return text if is_bare else f'"{text}"'
