"""Where a node's or edge's attribute comes from, where it was not written there itself.

Rules kept here:
- An attribute carries its origin (`Attribute.origin`) from the place where it is made or passed on: the builder for
  defaults, the stylesheet for its rules, a transform for what it changes. Nothing is worked out afterwards, so an
  explanation cannot differ from what happened.
- An origin is shared by all nodes that have the value from there: recording costs nothing a node.

Must not know: how a graph is built.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from attractor.dot import Attribute, Origin
from attractor.source import Span

__all__ = ["Defaults", "GraphAttribute", "StylesheetRule", "Subgraph", "Transformed"]


@dataclass(frozen=True, slots=True, eq=False)
class Subgraph:
    """One `subgraph name {`: its own attributes, and the subgraph around it; None: the graph itself."""

    name: str
    attributes: Mapping[str, Attribute]
    span: Span
    parent: "Subgraph | None" = None
    class_name: str = ""

    @property
    def label(self) -> str:
        """What its own `label` says; '' without one."""
        attribute = self.attributes.get("label")
        return attribute.text if attribute is not None else ""

    def outwards(self) -> "Iterator[Subgraph]":
        """This subgraph and those around it, innermost first."""
        here: Subgraph | None = self
        while here is not None:
            yield here
            here = here.parent


@dataclass(frozen=True, slots=True, eq=False)
class Defaults(Origin):
    """A `node [...]` or `edge [...]`, in a subgraph or in the graph itself."""

    subgraph: Subgraph | None


@dataclass(frozen=True, slots=True, eq=False)
class StylesheetRule(Origin):
    """A rule of the model stylesheet (spec 8.3). `kind` is `*`, `shape`, `class` or `id`; higher specificity wins."""

    selector: str
    kind: str
    specificity: int


@dataclass(frozen=True, slots=True, eq=False)
class GraphAttribute(Origin):
    """An attribute of the graph that nodes without their own take over (spec 8.5)."""


@dataclass(frozen=True, slots=True, eq=False)
class Transformed(Origin):
    """A transform has set the text; `before` is the attribute as it was, with its own origin, None where it is new."""

    transform: str
    before: Attribute | None
