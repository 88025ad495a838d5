"""The graphs that are measured: a straight line of tool nodes, and a fan-out with one tool node a branch.

Pure. Besides the tool nodes there are nodes that are committed and saved like any other: a start and an exit, so that
a run of n tool nodes saves n + 2, and around branches a fan-out and a fan-in. Times are divided by n, so these count
against the engine.
"""

from __future__ import annotations

from itertools import pairwise

__all__ = ["ENDS", "FAN_OUT_ENDS", "fan_out_graph", "linear_graph", "node_name"]

ENDS = 2
FAN_OUT_ENDS = ENDS + 2  # and on the run's branch a copy of the winner's commit


def node_name(number: int) -> str:
    return f"n{number}"


def linear_graph(nodes: int, command: str = "true") -> str:
    names = ["start", *_tool_names(nodes), "done"]
    edges = "\n".join(f"  {source} -> {target}" for source, target in pairwise(names))
    return _graph(f"{_declared(nodes, command)}\n{edges}")


def fan_out_graph(branches: int, command: str = "true", *, max_parallel: int) -> str:
    fan = f"  fan [shape=component, max_parallel={max_parallel}]\n  pick [shape=tripleoctagon]"
    edges = "\n".join(f"  fan -> {name} -> pick" for name in _tool_names(branches))
    return _graph(f"{fan}\n{_declared(branches, command)}\n  start -> fan\n{edges}\n  pick -> done")


def _graph(body: str) -> str:
    return f"digraph bench {{\n  start [shape=Mdiamond]\n  done [shape=Msquare]\n{body}\n}}\n"


def _tool_names(count: int) -> list[str]:
    return [node_name(number) for number in range(1, count + 1)]


def _declared(count: int, command: str) -> str:
    return "\n".join(f'  {name} [shape=parallelogram, tool_command="{command}"]' for name in _tool_names(count))
