"""What a graph file consists of for a formatter: parts with the comments around them.

Must not know: tokens, layout.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from attractor.dot.trivia import Comment

__all__ = ["Attribute", "Block", "Brace", "Chain", "Entry", "Part"]


@dataclass(slots=True, eq=False, repr=False)
class Part:
    """A piece of text with the comments around it: above it, before and after it on its line, at the line's end."""

    text: str = ""
    above: tuple[Comment, ...] = ()
    before: tuple[Comment, ...] = ()
    after: tuple[Comment, ...] = ()
    trailing: tuple[Comment, ...] = ()
    after_blank: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Attribute(Part):
    """`text` is `key=`, and the value is one piece, or several that `+` joins."""

    pieces: list[Part] = field(default_factory=list)


@dataclass(slots=True, eq=False, repr=False)
class Block:
    """The inside of `[...]`: comments behind the `[`, attributes, comments above the `]`."""

    opening: tuple[Comment, ...] = ()
    attributes: list[Attribute] = field(default_factory=list)
    closing: tuple[Comment, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.opening or self.attributes or self.closing)


@dataclass(slots=True, eq=False, repr=False)
class Chain(Part):
    """A node, an edge chain, or a keyword with defaults. `nodes` are its ids; its own `text` is empty, its own comments
    are those of the whole statement.
    """

    nodes: list[Part] = field(default_factory=list)
    block: Block | None = None


@dataclass(slots=True, eq=False, repr=False)
class Brace(Part):
    """`digraph G {`, `subgraph s {` or `}`; `depth` counts what is open around it."""

    depth: int = 0
    opens: bool = True


Entry: TypeAlias = Chain | Attribute | Brace | Part  # a bare Part has no text: comments at the end of the file
