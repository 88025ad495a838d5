"""The canonical layout of a graph file, with what the attribute table knows about values.

Must not know: layout, which is `dot`'s.
"""

from attractor.dot import Formatted, format_dot
from attractor.graph.attributes import ATTRIBUTES, ValueType
from attractor.graph.load import collector_paused

__all__ = ["format_graph_text"]

# A shape is a word of Graphviz's and no text; the spec's examples write it bare.
_TEXT_KEYS = frozenset(
    row.key for row in ATTRIBUTES.values() if row.type in (ValueType.TEXT, ValueType.LIST) and row.key != "shape"
)


def format_graph_text(data: str | bytes, name: str) -> Formatted:
    """The text of a graph file laid out anew, the same graph with the same comments; or what is wrong with it.

    Raises InternalError where the layout would change the graph. `name` is shown in messages.
    """
    with collector_paused():
        return format_dot(data, name, _TEXT_KEYS.__contains__)
