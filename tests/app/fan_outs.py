"""Graphs with one fan-out, and what it leaves."""

from typing import Any

from tests.app.runs import Ran

FAN = "fan [shape=component%s] pick [shape=tripleoctagon] start -> fan pick -> exit "


def fan(body: str, attributes: str = "") -> str:
    return FAN % (f", {attributes}" if attributes else "") + body


def results(ran: Ran) -> dict[str, dict[str, Any]]:
    return {result["id"]: result for result in ran.json("fan/parallel_results.json")}


AB = fan("""
  a [tool_command="pwd > where.txt; echo a > a.txt"] a2 [tool_command="echo 2 >> a.txt"]
  b [tool_command="echo b > b.txt"]
  fan -> a -> a2 -> pick fan -> b -> pick
""")
