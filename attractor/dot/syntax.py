"""The syntax tree: what was written, in the order it was written, each part with its span.

Rules kept here: nothing is resolved. Defaults, subgraph scopes and repeated nodes are still apart;
`graph.build` gives them meaning. Attribute is shared with the graph model, because an attribute's value and
place stay what they are once the scopes are resolved.

Must not know: which attributes exist or what type they have.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from attractor.dot.lexer import decoded_offsets
from attractor.source import Source, Span

__all__ = [
    "Attribute",
    "DefaultsStatement",
    "DigraphSyntax",
    "EdgeStatement",
    "Identifier",
    "NodeStatement",
    "Origin",
    "Statement",
    "SubgraphStatement",
]


class Origin:
    """Where a value comes from, for attributes that apply elsewhere than where they are written: see
    `graph.origin`.
    """

    __slots__ = ()


class Attribute(NamedTuple):
    """`key=value` with the places of both. `text` is decoded. `origin` None: it applies where it is written.

    A tuple of offsets rather than a dataclass of spans: there are more of these than of anything else.
    """

    key: str
    text: str
    source: Source
    key_start: int
    key_end: int
    start: int
    end: int
    quoted: bool = True
    origin: Origin | None = None

    @property
    def key_span(self) -> Span:
        return Span(self.source, self.key_start, self.key_end)

    @property
    def span(self) -> Span:
        """The value's place, quotes included."""
        return Span(self.source, self.start, self.end)

    def span_within(self, start: int, end: int) -> Span:
        """The place of `text[start:end]` in the file, or of the whole value where that cannot be told.

        It cannot for concatenated strings and for text a transform has put in.
        """
        return self.locator()(start, end)

    def locator(self) -> Callable[[int, int], Span]:
        """`span_within` for many places of one long value: the value is looked through only once."""
        literal = self.span.text
        if self.quoted:
            offsets = decoded_offsets(literal) if literal[:1] == '"' and literal[-1:] == '"' else []
        else:
            offsets = list(range(len(literal) + 1))
        if len(offsets) != len(self.text) + 1:
            return lambda start, end: self.span
        base, source = self.start, self.source
        return lambda start, end: Span(source, base + offsets[start], base + offsets[end])


class Identifier(NamedTuple):
    """A node id as written, with its place."""

    text: str
    source: Source
    start: int
    end: int

    @property
    def span(self) -> Span:
        return Span(self.source, self.start, self.end)


@dataclass(frozen=True, slots=True)
class NodeStatement:
    node: Identifier
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class EdgeStatement:
    """A chain `a -> b -> c`: at least two nodes, one list of attributes for all its edges (spec 2.9)."""

    nodes: tuple[Identifier, ...]
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class DefaultsStatement:
    """`graph [...]`, `node [...]` or `edge [...]`; a bare `key = value` is one for `graph` (spec 2.2)."""

    target: str
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class SubgraphStatement:
    name: str
    statements: tuple["Statement", ...]
    span: Span


Statement: TypeAlias = NodeStatement | EdgeStatement | DefaultsStatement | SubgraphStatement


@dataclass(frozen=True, slots=True)
class DigraphSyntax:
    """A whole file. `complete` is False when the parser had to skip something to get to the end."""

    name: str
    statements: tuple[Statement, ...]
    source: Source
    complete: bool
