"""Running graphs in this process on real repositories, without CXDB, and looking at what they left."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attractor.app import RunRequest, RunResult, plan_run, resume_run, start_run
from attractor.processes import StopRequest

HEAD = """
  graph [retry_initial_delay="1ms", retry_jitter=false, stop_grace="200ms"]
  start [shape=Mdiamond] exit [shape=Msquare] node [shape=parallelogram, tool_command=true]
"""


@dataclass(frozen=True)
class Ran:
    """A run that has ended, and its directory."""

    result: RunResult

    @property
    def root(self) -> Path:
        return self.result.logs_root

    @property
    def status(self) -> str:
        return self.result.final.status

    def json(self, name: str) -> Any:
        return json.loads((self.root / name).read_text())

    def events(self, *names: str) -> list[dict[str, Any]]:
        events = [json.loads(line) for line in (self.root / "progress.ndjson").read_text().splitlines()]
        return [event for event in events if not names or event["event"] in names]

    def names(self) -> list[str]:
        return [event["event"] for event in self.events()]

    def nodes(self) -> list[str]:
        """Finished nodes of the whole run, in order, with their status."""
        return [f"{event['node_id']} {event['status']}" for event in self.events("checkpoint_saved")]

    def commits(self, repo: Path) -> list[str]:
        """Subjects of the run's commits, oldest first, without the part that names the run."""
        done = subprocess.run(
            ["git", "log", "--reverse", "--format=%s", f"main..{self.result.run_branch}"],
            cwd=repo,
            check=True,
            capture_output=True,
            text=True,
        )
        return [line.partition(": ")[2] for line in done.stdout.splitlines()]


def request(repo: Path, body: str, **fields: Any) -> RunRequest:
    graph = repo.parent / "graph.dot"
    graph.write_text(f"digraph G {{ {HEAD} {body} }}")
    defaults: dict[str, Any] = {"run_id": "r1", "logs_root": repo.parent / "logs", "use_cxdb": False}
    return RunRequest(graph=graph, cwd=repo, environment=os.environ, **(defaults | fields))


def run(repo: Path, body: str, *, stop: StopRequest | None = None, **fields: Any) -> Ran:
    """Run a graph with a start, an exit and tool nodes; `body` says which."""
    plan = plan_run(request(repo, body, **fields))
    return Ran(start_run(plan, environment=os.environ, stop=stop or StopRequest()))


def killed_in_stage(
    repo: Path, command: str, instead: str, body: str = 'a [tool_command="{command}"] start -> a -> exit'
) -> Path:
    """The logs root of a run whose engine was SIGKILLed while a stage ran; resumed, that stage does `instead`.

    `command` goes on after it has told, on the FIFO `{ready}` of its text, that the engine may be killed.
    """
    ready = repo.parent / "ready"
    os.mkfifo(ready)
    told = command.format(ready=ready)
    (repo.parent / "body.dot").write_text(body.replace("{command}", told))
    argv = [sys.executable, "-m", "tests.app.crashing", "run", str(repo), "0"]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL) as engine:
        ready.read_text()
        engine.kill()
    copy = repo.parent / "logs" / "graph.dot"
    copy.write_text(copy.read_text().replace(told, instead))
    return copy.parent


def resume(root: Path, **options: Any) -> Ran:
    return Ran(resume_run(root, environment=os.environ, stop=StopRequest(), **options))


def until_there(path: Path, seconds: float = 30.0) -> Path:
    """Wait until another process has made a file, within a bound: for those that nobody can tell when."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not made within {seconds:g} s"
        pause.wait(0.02)
    return path
