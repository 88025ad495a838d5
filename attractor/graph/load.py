"""From the text of a graph file to a graph ready to be linted and run.

Rules kept here: parse, build, transform, in that order (spec 9.1); every problem is returned, none raised.
Where the file could be read in part, there is a graph of that part. Must not know: lint rules, files.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from attractor.diagnostics import Diagnostic, in_file_order
from attractor.dot import parse
from attractor.graph.build import build
from attractor.graph.model import Graph
from attractor.graph.transforms import Transform, apply_transforms

__all__ = ["collector_paused", "load_graph_text", "read_graph"]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keeps the cycle collector out while a graph is built: hundreds of thousands of objects are made, none
    of them garbage, and looking through them again and again takes as long as making them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def load_graph_text(
    text: str | bytes, name: str, *, transforms: Sequence[Transform] = ()
) -> tuple[Graph | None, tuple[Diagnostic, ...]]:
    """The graph of a file's text, transforms applied, and the problems of reading it; `name` is shown in
    messages.

    A graph beside an error is for showing and linting only: it may lack what could not be read.
    """
    graph, diagnostics, _ = read_graph(text, name, transforms=transforms)
    return graph, diagnostics


def read_graph(
    text: str | bytes, name: str, *, transforms: Sequence[Transform] = ()
) -> tuple[Graph | None, tuple[Diagnostic, ...], bool]:
    """Like `load_graph_text`, and whether every statement of the file is in the graph."""
    with collector_paused():
        tree, problems = parse(text, name)
        if tree is None:
            return None, problems, False
        graph, found = build(tree)
        return apply_transforms(graph, transforms), in_file_order((*problems, *found)), tree.complete
