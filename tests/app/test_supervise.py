"""`attractor supervise`: crashed runs go on by themselves, within limits."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from attractor.app import RunStatus, SupervisePolicy, Supervisor, stop_run, view_run
from attractor.app.supervise import Note, Ruling, decide
from attractor.errors import RunDirectoryError
from attractor.processes import StopRequest
from tests.app.runs import killed_in_stage, run

POLICY = SupervisePolicy(backoff_seconds=10.0, max_backoff_seconds=60.0, max_attempts=3)


@pytest.mark.parametrize(
    ("note", "finished", "now", "ruling", "attempts"),
    [
        (None, 2, 100.0, Ruling.RESUME, 1),
        (Note(2, 1, 95.0), 2, 100.0, Ruling.WAIT, 1),
        (Note(2, 1, 90.0), 2, 100.0, Ruling.RESUME, 2),
        (Note(2, 2, 85.0), 2, 100.0, Ruling.WAIT, 2),
        (Note(2, 2, 80.0), 2, 100.0, Ruling.RESUME, 3),
        (Note(2, 3, 0.0), 2, 100.0, Ruling.GIVE_UP, 3),
        (Note(2, 3, 0.0, given_up=True), 2, 100.0, Ruling.LEAVE, 3),
        (Note(2, 3, 99.0), 3, 100.0, Ruling.RESUME, 1),
        (Note(2, 3, 0.0, given_up=True), 3, 100.0, Ruling.RESUME, 1),
        (Note(2, 1, 500.0), 2, 100.0, Ruling.RESUME, 2),
    ],
)
def test_what_is_done_about_a_crashed_run(
    note: Note | None, finished: int, now: float, ruling: Ruling, attempts: int
) -> None:
    ruled, after = decide(note, finished, now, POLICY)
    assert (ruled, after.attempts, after.finished) == (ruling, attempts, finished)


def test_the_wait_doubles_up_to_its_limit() -> None:
    assert [POLICY.delay_seconds(n) for n in range(6)] == [0.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    assert POLICY.delay_seconds(10_000) == 60.0


class Look:
    """A supervisor of the folder that holds a test's runs, and what it said."""

    def __init__(self, home: Path, policy: SupervisePolicy = POLICY) -> None:
        self.said: list[str] = []
        self.now = 1000.0
        self.supervisor = Supervisor(home, policy, os.environ, self.said.append, lambda: self.now)

    def once(self) -> list[str]:
        self.said.clear()
        self.supervisor.watch(StopRequest(), once=True)
        return self.said[1:]


@pytest.fixture
def look(repo: Path) -> Iterator[Look]:
    yield Look(repo.parent)
    for place in repo.parent.iterdir():
        if (place / "manifest.json").exists():
            stop_run(place, grace_seconds=20.0, force=True)


def waited_for(root: Path) -> str:
    """The status a run ends with."""
    follow = [sys.executable, "-m", "attractor", "status", "--follow", "--json", "--logs-root", str(root)]
    subprocess.run(follow, check=True, capture_output=True, timeout=60)
    return view_run(root).status.value


def test_a_crashed_run_goes_on_and_its_end_is_told(repo: Path, look: Look) -> None:
    root = killed_in_stage(repo, "echo > {ready}; sleep 300", "echo done > done.txt")
    assert view_run(root).status is RunStatus.CRASHED
    said = look.once()
    assert said[0] == "supervise: r1 crashed in node a; resuming (attempt 1 of 3)"
    assert said[1].startswith("supervise: r1 goes on as process ")
    assert waited_for(root) == "success"
    assert look.once() == ["supervise: r1 has ended: success"]
    assert look.once() == []


def test_a_run_that_failed_or_was_never_one_is_left_alone(repo: Path, look: Look) -> None:
    run(repo, 'a [tool_command="exit 3"] start -> a -> exit')
    (repo.parent / "no-run").mkdir()
    (repo.parent / "link").symlink_to(repo.parent / "nowhere")
    assert look.once() == []


def test_a_run_that_cannot_be_read_is_told_once(repo: Path, look: Look) -> None:
    ran = run(repo, "a start -> a -> exit")
    manifest = ran.root / "manifest.json"
    whole = manifest.read_text()
    manifest.write_text("x")
    (said,) = look.once()
    assert f"{ran.root} cannot be read, and is left alone: the manifest is damaged" in said
    assert look.once() == []
    manifest.write_text(whole)


def test_a_run_that_cannot_be_resumed_is_tried_less_and_less_and_then_given_up(repo: Path, look: Look) -> None:
    root = killed_in_stage(repo, "echo > {ready}; sleep 300", "true")
    moved = repo.rename(repo.with_name("elsewhere"))  # comes back: a crashed run stays one
    said = []
    for attempt in range(3):
        said += look.once()
        if attempt < 2:
            assert look.once() == [], "it is too early"
        look.now += 100
    assert [line for line in said if "resuming" in line] == [
        f"supervise: r1 crashed in node a; resuming (attempt {n} of 3)" for n in (1, 2, 3)
    ]
    assert "cannot be resumed" in said[1]
    assert "next try in 10 s" in said[1]
    assert look.once()[0].startswith(
        "supervise: r1 crashed again 3 times without finishing a node: given up; look into"
    )
    assert look.once() == []
    assert Look(repo.parent).once() == [], "another supervisor knows"
    moved.rename(repo)
    assert view_run(root).status is RunStatus.CRASHED


def test_two_supervisors_of_one_folder_do_not_get_in_each_others_way(repo: Path, look: Look) -> None:
    class Second:
        requested = False

        def wait(self, seconds: float) -> bool:
            with pytest.raises(RunDirectoryError, match=f"is already watched, by process {os.getpid()}"):
                Look(repo.parent).once()
            return True

    look.supervisor.watch(Second())  # type: ignore[arg-type]


def test_the_command_watches_until_it_is_stopped_and_what_it_resumed_goes_on(repo: Path) -> None:
    root = killed_in_stage(repo, "echo > {ready}; sleep 300", "while ! test -e ../go; do sleep 0.05; done")
    command = [sys.executable, "-m", "attractor", "supervise", "--runs-dir", str(repo.parent), "--interval", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "goes on as process" in line:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert view_run(root).status is RunStatus.RUNNING
    (root / "go").touch()
    assert waited_for(root) == "success"


def test_resume_may_go_on_in_the_background(repo: Path) -> None:
    root = killed_in_stage(repo, "echo > {ready}; sleep 300", "true")
    command = [sys.executable, "-m", "attractor", "resume", "--detach", "--json", "--logs-root"]
    done = subprocess.run([*command, str(root)], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == {
        "detached": "true",
        "run_id": "r1",
        "logs_root": str(root),
        "pid_file": str(root / "run.pid"),
    }
    assert waited_for(root) == "success"


def test_resuming_what_is_no_run_in_the_background_makes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "attractor", "resume", "--detach", "--logs-root", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "is not a run" in done.stderr
    assert not (tmp_path / "none").exists()
