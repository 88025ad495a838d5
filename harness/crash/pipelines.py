"""The pipelines that are crashed, each with what a crash may cost it.

Values only. Stages are tools whose work shows in files: most append, so that a stage that ran twice on top of its own
half-done work would leave another tree. Each also notes in `{scratch}/ran` that it was begun, outside of git, where
no resume takes it back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from harness.errors import HarnessError
from harness.toml_table import did_you_mean

__all__ = ["PIPELINES", "Pipeline", "named_pipeline"]

_HEAD = """\
  graph [goal="survive", retry_initial_delay="1ms", retry_jitter=false, stop_grace="200ms", max_restarts=3]
  node [shape=parallelogram]
  start [shape=Mdiamond]
  exit [shape=Msquare]
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """`repeats`: how many starts of a stage one crash may add, at most: as many as can be at work at a time, times
    the attempts that one stage makes. `answer`: what a person says at its gates.
    """

    name: str
    title: str
    graph: str
    repeats: int = 1
    answer: str = ""
    at_work: int = 1  # stages at a time


def _graph(body: str) -> str:
    return f"digraph crash {{\n{_HEAD}{body}}}\n"


def _ran(name: str) -> str:
    return f"echo {name} >> '{{scratch}}/ran'"


PIPELINES: Mapping[str, Pipeline] = {
    pipeline.name: pipeline
    for pipeline in (
        Pipeline(
            name="linear",
            title="one stage after the other",
            graph=_graph(f"""\
  plan  [tool_command="{_ran("plan")}; echo plan >> plan.txt"]
  build [tool_command="{_ran("build")}; cat plan.txt plan.txt >> build.txt"]
  check [tool_command="{_ran("check")}; wc -l < build.txt >> check.txt"]
  start -> plan -> build -> check -> exit
"""),
        ),
        Pipeline(
            name="retry",
            title="a stage fails twice with a passing failure and is retried",
            repeats=3,
            graph=_graph(f"""\
  flaky [max_retries=3, tool_command="{_ran("flaky")}; echo try >> tries.txt; \
test $ATTRACTOR_ATTEMPT -ge 3 || {{ echo connection refused >&2; exit 1; }}"]
  after [tool_command="{_ran("after")}; echo after >> after.txt"]
  start -> flaky -> after -> exit
"""),
        ),
        Pipeline(
            name="restart",
            title="a passing failure begins the run anew, over a loop_restart edge",
            graph=_graph(f"""\
  work  [tool_command="{_ran("work")}; echo try >> tries.txt; \
test -e $ATTRACTOR_LOGS_ROOT/restart-1 || {{ echo connection refused >&2; exit 1; }}"]
  check [shape=diamond]
  start -> work -> check
  check -> exit [condition="outcome=success"]
  check -> work [condition="outcome=fail", loop_restart=true]
"""),
        ),
        Pipeline(
            name="parallel",
            title="two branches of two stages, and a fan-in",
            repeats=2,
            at_work=2,
            graph=_graph(f"""\
  fan  [shape=component]
  pick [shape=tripleoctagon]
  a1 [tool_command="{_ran("a1")}; echo a1 >> a.txt"]
  a2 [tool_command="{_ran("a2")}; cat a.txt a.txt >> a2.txt"]
  b1 [tool_command="{_ran("b1")}; echo b1 >> b.txt"]
  b2 [tool_command="{_ran("b2")}; cat b.txt b.txt >> b2.txt"]
  start -> fan
  fan -> a1 -> a2 -> pick
  fan -> b1 -> b2 -> pick
  pick -> exit
"""),
        ),
        Pipeline(
            name="gate",
            title="a person answers a question between two stages",
            answer="A",
            graph=_graph(f"""\
  draft  [tool_command="{_ran("draft")}; echo draft >> draft.txt"]
  review [shape=hexagon, label="Ship it?"]
  ship   [tool_command="{_ran("ship")}; cat draft.txt >> shipped.txt"]
  redo   [tool_command="{_ran("redo")}; echo redo >> redo.txt"]
  start -> draft -> review
  review -> ship [label="[A] Approve"]
  review -> redo [label="[R] Reject"]
  ship -> exit
  redo -> exit
"""),
        ),
    )
}


def named_pipeline(name: str) -> Pipeline:
    """One of the table, or a graph file of the user's own, of which nobody knows how often a stage may run."""
    if name in PIPELINES:
        return PIPELINES[name]
    path = Path(name)
    if path.suffix in (".dot", ".gv"):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise HarnessError(f"cannot read the graph {name}: {error}") from error
        return Pipeline(name=str(path.absolute()), title="a graph file", graph=text, repeats=1_000_000, answer="A")
    raise HarnessError(f"no pipeline {name!r}; {did_you_mean(name, PIPELINES)}; or name a file that ends in .dot")
