"""`stop` never says that a run has ended while somebody holds it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from attractor.app import launch, stop_run
from attractor.errors import RunDirectoryError
from attractor.rundir import Layout, read_owner
from tests.app.runs import run
from tests.rundir.test_owner import HOLDER


@pytest.fixture
def held(repo: Path) -> Iterator[Layout]:
    """A run held by another process that is not what its lock file says."""
    root = run(repo, "a [tool_command=false] start -> a -> exit").root
    layout = Layout(root)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield layout
        process.kill()


def test_a_held_run_whose_holder_is_not_known_is_not_said_to_have_ended(held: Layout) -> None:
    owner = read_owner(held)
    assert owner is not None
    changed = msgspec.structs.replace(owner, start_ticks=1, start_time=1.0)
    held.lock.write_bytes(msgspec.json.encode(changed))
    with pytest.raises(RunDirectoryError, match=r"is held by a process that is not the one its run\.lock names"):
        stop_run(held.root, grace_seconds=0.1, force=False)
    held.lock.write_bytes(b"")
    with pytest.raises(RunDirectoryError, match="is held by"):
        stop_run(held.root, grace_seconds=0.1, force=True)


def test_a_killed_engines_final_json_names_the_last_commit(held: Layout) -> None:
    (held.root / "final.json").unlink()
    owner = read_owner(held)
    assert owner is not None
    process = psutil.Process(owner.pid)
    process.suspend()
    deadline = time.monotonic() + 10
    while process.status() != psutil.STATUS_STOPPED:  # until then SIGTERM would still reach it
        assert time.monotonic() < deadline
    stopped = stop_run(held.root, grace_seconds=0.1, force=True)
    assert stopped.how == "killed"
    final = json.loads(held.final.read_text())
    assert final["final_git_commit_sha"] == json.loads(held.checkpoint.read_text())["git_commit_sha"]


def test_a_detached_child_that_does_not_get_on_is_ended_and_said(repo: Path) -> None:
    script = "import os, time; print('waiting', os.getpid(), flush=True); time.sleep(300)"
    arguments = ["--version"]
    layout = Layout(repo.parent / "logs")
    stuck = repo.parent / "python"
    stuck.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{script}"\n')
    stuck.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(stuck))
        with pytest.raises(RunDirectoryError, match=r"did not begin within 2 s and was ended: waiting \d+") as caught:
            launch(layout, arguments, os.environ, wait_seconds=2.0)
    pid = int(caught.value.message.rpartition(" ")[2])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
