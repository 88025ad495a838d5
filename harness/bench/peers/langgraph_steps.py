"""LangGraph with its SQLite checkpointer: a chain of STEPS nodes, each `sh -c true`. Prints how long it took.

Run by the benchmark as `python langgraph_steps.py STEPS FOLDER [sync]`; knows nothing of the project. By default
LangGraph writes a checkpoint while the next node runs; `sync` has each checkpoint written before the next node
begins, which is what the other contenders do. No tracing: nothing leaves the machine.
"""

# mypy: ignore-errors
# The peers are an extra and seldom installed where this project is checked.

from __future__ import annotations

import json
import operator
import subprocess
import sys
import time
from typing import Annotated, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph


class State(TypedDict):
    done: Annotated[int, operator.add]


def step(state: State) -> dict[str, int]:
    subprocess.run(["sh", "-c", "true"], check=True)
    return {"done": 1}


def chain(steps: int) -> StateGraph:
    graph = StateGraph(State)
    names = [f"n{number}" for number in range(steps)]
    for name in names:
        graph.add_node(name, step)
    for source, target in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(source, target)
    return graph


def main() -> None:
    steps, folder = int(sys.argv[1]), sys.argv[2]
    durability = {"durability": "sync"} if "sync" in sys.argv[3:] else {}
    with SqliteSaver.from_conn_string(f"{folder}/langgraph.sqlite") as saver:
        graph = chain(steps).compile(checkpointer=saver)
        config = {"configurable": {"thread_id": "bench"}, "recursion_limit": steps + 10}
        began = time.perf_counter()
        result = graph.invoke({"done": 0}, config, **durability)
        seconds = time.perf_counter() - began
        recorded = graph.get_state(config).values["done"]
    assert result["done"] == recorded == steps, (result, recorded, steps)
    sys.stdout.write(json.dumps({"seconds": seconds, "steps": recorded}) + "\n")


if __name__ == "__main__":
    main()
