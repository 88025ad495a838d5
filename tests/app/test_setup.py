"""Setup commands stand before the first node of a worktree, however often it takes."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from attractor.app import plan_run, start_run
from attractor.errors import RunDirectoryError
from attractor.processes import StopRequest
from tests.app.runs import Ran, request, resume, run

BODY = 'a [tool_command="cat ../../count"] start -> a -> exit'


@pytest.fixture
def config(repo: Path) -> Path:
    path = repo.parent / "run.yaml"
    path.write_text('setup: {commands: ["test -e ../../ok", "echo x >> ../../count"]}\n')
    return path


def count(repo: Path) -> int:
    path = repo.parent / "count"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_setup_that_failed_is_run_again_until_it_stands(repo: Path, config: Path) -> None:
    ran = run(repo, BODY, config=config)
    assert ran.status == "fail"
    assert resume(ran.root).status == "fail"
    (repo.parent / "ok").touch()
    assert resume(ran.root).status == "success"
    assert count(repo) == 1


def test_a_setup_that_was_stopped_is_run_on_resume(repo: Path, config: Path) -> None:
    (repo.parent / "ok").touch()
    stop = StopRequest()
    stop.request(signal.SIGTERM)
    ran = run(repo, BODY, config=config, stop=stop)
    assert (ran.status, count(repo)) == ("canceled", 0)
    assert resume(ran.root).status == "success"
    assert count(repo) == 1


def test_a_crash_before_the_setup_stood_does_not_skip_it(repo: Path, config: Path) -> None:
    (repo.parent / "ok").touch()

    class Crash(BaseException):
        pass

    def observe(step: str) -> None:
        if step == "first_checkpoint":
            raise Crash

    with pytest.raises(Crash):
        start_run(
            plan_run(request(repo, BODY, config=config)), environment=os.environ, stop=StopRequest(), observe=observe
        )
    assert resume(repo.parent / "logs").status == "success"
    assert count(repo) == 1


def test_a_setup_that_stands_is_not_run_again(repo: Path, config: Path) -> None:
    (repo.parent / "ok").touch()
    ran = run(repo, 'a [tool_command="test -e ../../fixed"] start -> a -> exit', config=config)
    (repo.parent / "fixed").touch()
    assert resume(ran.root).status == "success"
    assert count(repo) == 1


def test_a_worktree_made_anew_is_set_up_anew_also_when_that_is_interrupted(repo: Path, config: Path) -> None:
    (repo.parent / "ok").touch()
    ran = run(repo, 'a [tool_command="test -e ../../fixed"] start -> a -> exit', config=config)
    (repo.parent / "fixed").touch()
    shutil.rmtree(ran.root / "worktree")
    (repo.parent / "ok").unlink()
    assert resume(ran.root).status == "fail"
    (repo.parent / "ok").touch()
    assert resume(ran.root).status == "success"
    assert count(repo) == 2


__all__ = ["Ran", "RunDirectoryError", "json"]
