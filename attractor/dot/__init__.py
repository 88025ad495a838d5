"""DOT text to a syntax tree: the subset of spec section 2, with spans on everything and no exceptions."""

from attractor.dot.formatting import Formatted, format_dot
from attractor.dot.lexer import decode_string
from attractor.dot.parser import MAX_SUBGRAPH_DEPTH, parse
from attractor.dot.syntax import (
    Attribute,
    DefaultsStatement,
    DigraphSyntax,
    EdgeStatement,
    Identifier,
    NodeStatement,
    Origin,
    Statement,
    SubgraphStatement,
)

__all__ = [
    "MAX_SUBGRAPH_DEPTH",
    "Attribute",
    "DefaultsStatement",
    "DigraphSyntax",
    "EdgeStatement",
    "Formatted",
    "Identifier",
    "NodeStatement",
    "Origin",
    "Statement",
    "SubgraphStatement",
    "decode_string",
    "format_dot",
    "parse",
]
