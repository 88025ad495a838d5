"""However a run ends, it ends in order: its processes, its terminal event, its final.json, each on its own."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from attractor.app import plan_run, start_run
from attractor.errors import RunDirectoryError
from attractor.processes import StopRequest
from tests.app.runs import Ran, request, run
from tests.cli.test_commands import Cli
from tests.processes.living import living


def leaving(action: str, repo: Path) -> str:
    """A stage that starts a process which outlives it, then does `action`."""
    return f'a [tool_command="setsid sleep 300 & echo $! > {repo.parent}/pid; {action}"] start -> a -> exit'


def test_a_removed_logs_root_ends_the_run_and_all_it_started(repo: Path) -> None:
    ran = run(repo, leaving("rm -rf $ATTRACTOR_LOGS_ROOT", repo))
    assert ran.status == "fail"
    assert not living(repo.parent / "pid")
    assert any("final.json" in loss for loss in ran.result.unwritten)


def test_a_final_json_that_cannot_be_written_is_said_and_the_rest_is_done(repo: Path) -> None:
    ran = run(repo, leaving("mkdir $ATTRACTOR_LOGS_ROOT/final.json", repo))
    assert ran.status == "success"
    assert ran.names()[-1] == "run_completed"
    assert not living(repo.parent / "pid")
    assert [f"cannot write {ran.root}/final.json" in loss for loss in ran.result.unwritten] == [True]


def test_the_command_line_names_cause_and_remedy_once_and_does_not_report_success(repo: Path) -> None:
    cli = Cli(repo)
    graph = cli.graph("mkdir $ATTRACTOR_LOGS_ROOT/final.json")
    done = cli("run", "--graph", graph, "--no-cxdb", "--logs-root", "../logs", "--quiet")
    assert done.returncode == 1
    assert done.stderr.count("could not be written") == 1
    assert "final.json" in done.stderr
    assert "check disk space, quota and permissions" in done.stderr


def test_a_full_disk_fails_the_run_in_order(repo: Path) -> None:
    chain = " ".join(f"n{number} [shape=parallelogram, tool_command=true]" for number in range(30))
    edges = " -> ".join(["start", *(f"n{number}" for number in range(30)), "exit"])
    graph = repo.parent / "long.dot"
    graph.write_text(f"digraph G {{ start [shape=Mdiamond] exit [shape=Msquare] {chain} {edges} }}")
    argv = [
        sys.executable,
        "-P",
        "-m",
        "attractor",
        "run",
        "--graph",
        str(graph),
        "--no-cxdb",
        "--logs-root",
        "../logs",
    ]
    done = subprocess.run(
        argv,
        cwd=repo,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
    )
    root = repo.parent / "logs"
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    final = json.loads((root / "final.json").read_text())
    assert final["status"] == "fail"
    assert "progress.ndjson: File too large" in final["failure_reason"]
    events = [json.loads(line) for line in (root / "progress.ndjson").read_text().splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


def test_a_defect_of_ours_is_recorded_also_where_nobody_can_read_the_trace(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def observe(step: str) -> None:
        if step == "committed":
            raise RuntimeError("a defect")

    plan = plan_run(request(repo, "a start -> a -> exit"))
    with open(os.open("/dev/full", os.O_WRONLY), "w", buffering=1, closefd=True) as full:
        monkeypatch.setattr(sys, "stderr", full)
        ran = Ran(start_run(plan, environment=os.environ, stop=StopRequest(), observe=observe))
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    assert ran.json("final.json")["failure_reason"] == "internal error: RuntimeError: a defect"


@pytest.mark.parametrize("use_git", [True, False])
def test_a_plan_that_has_become_stale_changes_nothing_of_the_run_that_came_first(repo: Path, use_git: bool) -> None:
    asked = request(repo, "a start -> a -> exit", use_git=use_git)
    first, second = plan_run(asked), plan_run(asked)
    ran = Ran(start_run(first, environment=os.environ, stop=StopRequest()))
    owner = ("run.lock", "run.pid")
    before = {p: p.read_bytes() for p in ran.root.rglob("*") if p.is_file() and p.name not in owner}
    owned: list[bool] = []
    with pytest.raises(RunDirectoryError, match="already holds a run"):
        start_run(second, environment=os.environ, stop=StopRequest(), on_owned=lambda: owned.append(True))
    assert {path: path.read_bytes() for path in before} == before
    assert owned == []
