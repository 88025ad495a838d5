"""A machine in trouble: each record of a run's end is still tried, and the next life says things in their order."""

import json
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from attractor.app import plan_run, start_run
from attractor.processes import StopRequest
from tests.app.runs import Ran, request, resume, run

FAN_OUT = """fan [shape=component] pick [shape=tripleoctagon] a [tool_command=true] b [tool_command=true]
start -> fan -> a -> pick -> exit
fan -> b -> pick"""


@pytest.fixture
def file_limit() -> Iterator[int]:
    """The hard limit of open files; the soft one is put back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_open_files_left_a_run_still_has_its_terminal_event(repo: Path, file_limit: int) -> None:
    seen: list[str] = []

    def observe(step: str) -> None:
        seen.append(step)
        if seen.count("committed") == 2:
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, file_limit))
        if step == "final_written":
            resource.setrlimit(resource.RLIMIT_NOFILE, (file_limit, file_limit))

    plan = plan_run(request(repo, 'a [tool_command="echo a > a.txt"] start -> a -> exit'))
    ran = Ran(start_run(plan, environment=os.environ, stop=StopRequest(), observe=observe))
    assert ran.status == "fail"
    assert ran.names()[-1] == "run_failed"
    assert any("processes that the run has started may go on" in loss for loss in ran.result.unwritten)
    assert all("Too many open files" in loss for loss in ran.result.unwritten)
    assert resume(ran.root).status == "success"


def test_an_event_that_a_failed_life_owes_is_told_behind_run_resumed(repo: Path) -> None:
    ran = run(repo, 'a [tool_command="test -e ../../again"] start -> a -> exit')
    assert ran.names()[-2:] == ["checkpoint_saved", "run_failed"]
    lines = [event for event in ran.events() if event != ran.events("checkpoint_saved")[-1]]
    kept = [json.dumps({**event, "seq": seq}, separators=(",", ":")) for seq, event in enumerate(lines, start=1)]
    (ran.root / "progress.ndjson").write_text("\n".join(kept) + "\n")
    (repo.parent / "again").touch()
    again = resume(ran.root)
    assert again.status == "success"
    names = again.names()
    behind = names.index("run_failed")
    assert names[behind : behind + 3] == ["run_failed", "run_resumed", "checkpoint_saved"]


def test_a_branch_whose_records_cannot_be_written_is_no_failed_branch(repo: Path) -> None:
    ran = run(
        repo,
        """
        fan [shape=component] pick [shape=tripleoctagon] start -> fan fan -> a -> pick fan -> b -> pick pick -> exit
        a [tool_command="echo a >> ../ran; mkdir -p $ATTRACTOR_LOGS_ROOT/branch_result.json/in_the_way"]
        b [tool_command="echo b >> b.txt"]
        """,
    )
    place = ran.root / "parallel.d/fan/1/a"
    assert ran.status == "fail"
    assert "branch_result.json" in ran.json("final.json")["failure_reason"]
    assert ran.nodes() == ["start success"], "the fan-out is not finished, and did not fail"
    shutil.rmtree(place / "branch_result.json")
    again = resume(ran.root)
    assert again.status == "success"
    assert again.nodes() == ["start success", "fan success", "pick success", "exit success"]
    assert (place / "ran").read_text() == "a\n", "what the branch had finished was not repeated"


@pytest.mark.parametrize("graph", ["a [tool_command=true] start -> a -> exit", FAN_OUT], ids=["stage", "branch"])
def test_a_machine_without_memory_ends_the_run_where_it_is_and_no_stage_has_failed(
    repo: Path, monkeypatch: pytest.MonkeyPatch, graph: str
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("attractor.handlers.tool.run_command", _no_memory)
        ran = run(repo, graph)
    assert ran.status == "fail"
    assert "cannot go on: out of memory" in ran.json("final.json")["failure_reason"]
    assert [event for event in ran.events("checkpoint_saved") if event["node_id"] != "start"] == []
    assert resume(ran.root).status == "success"


def test_a_machine_without_threads_ends_the_run_at_its_fan_out(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("attractor.processes.threads._thread", SimpleNamespace(start_new_thread=_no_thread))
        ran = run(repo, FAN_OUT)
    assert ran.status == "fail"
    assert "can't start new thread" in ran.json("final.json")["failure_reason"]
    assert resume(ran.root).status == "success"


def _no_memory(*_: object, **__: object) -> None:
    raise MemoryError


def _no_thread(*_: object) -> None:
    raise RuntimeError("can't start new thread")
