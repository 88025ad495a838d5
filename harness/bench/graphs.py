"""The graphs that are measured: a straight line of tool nodes that do nothing.

Pure. Besides the tool nodes there is a start and an exit node, which are committed and saved like any other: a
run of n tool nodes saves n + 2. Times are divided by n, so the two count against the engine.
"""

from __future__ import annotations

from itertools import pairwise

__all__ = ["ENDS", "linear_graph", "node_name"]

ENDS = 2


def node_name(number: int) -> str:
    return f"n{number}"


def linear_graph(nodes: int) -> str:
    names = ["start", *(node_name(number) for number in range(1, nodes + 1)), "done"]
    declared = "\n".join(f'  {name} [shape=parallelogram, tool_command="true"]' for name in names[1:-1])
    edges = "\n".join(f"  {source} -> {target}" for source, target in pairwise(names))
    return f"digraph bench {{\n  start [shape=Mdiamond]\n  done [shape=Msquare]\n{declared}\n{edges}\n}}\n"
