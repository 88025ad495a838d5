"""A run whose engine died, or failed, before there was a run: the same command begins it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from attractor.app import resume_run
from attractor.errors import RunDirectoryError
from attractor.processes import StopRequest
from tests.app.runs import run

BODY = 'a [tool_command="echo a > a.txt"] start -> a -> exit'
LEFT = {
    "run.lock": b"",
    "run.pid": b"1\n",
    "graph.dot": b"digraph old {}",
    "run_config.json": b"{}",
    "preflight_report.json": b"{}",
    "manifest.json.tmp": b'{"run_',
    "final.json": b'{"status": "fail"}',
}


def leave(folder: Path, names: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, content in names.items():
        (folder / name).write_bytes(content)


def test_what_was_left_before_the_manifest_is_written_over(repo: Path, git: Callable[..., str]) -> None:
    leave(repo.parent / "logs", LEFT)
    ran = run(repo, BODY)
    assert ran.status == "success"
    assert ran.json("final.json")["status"] == "success"
    assert git(repo, "show", f"{ran.result.run_branch}:a.txt") == "a"


def test_a_graph_that_lies_there_without_an_engines_lock_is_somebody_elses(repo: Path) -> None:
    leave(repo.parent / "logs", {"graph.dot": b"digraph mine {}"})
    with pytest.raises(RunDirectoryError, match="not empty"):
        run(repo, BODY)
    assert (repo.parent / "logs" / "graph.dot").read_bytes() == b"digraph mine {}"


def test_a_stranger_beside_the_lock_is_still_one(repo: Path) -> None:
    leave(repo.parent / "logs", {**LEFT, "thesis.txt": b"mine"})
    with pytest.raises(RunDirectoryError, match=r"thesis\.txt"):
        run(repo, BODY)


def test_resume_says_that_the_run_has_not_begun(repo: Path) -> None:
    leave(repo.parent / "logs", LEFT)
    with pytest.raises(RunDirectoryError, match="has not begun") as caught:
        resume_run(repo.parent / "logs", environment=os.environ, stop=StopRequest())
    assert "the same `attractor run` command" in str(caught.value)
