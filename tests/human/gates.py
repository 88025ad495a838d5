"""Runs with a human gate: in this process with any interviewer, or as a real engine process that tells when it asks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from attractor.app import plan_run, start_run
from attractor.contracts import Answer, EventName, Interviewer, Question, Waiting
from attractor.human import QueueInterviewer, RecordingInterviewer
from attractor.processes import StopRequest
from tests.app.runs import Ran, request

REVIEW = """
  review [shape=hexagon, label="Ship it?", {attributes}]
  deploy fix
  start -> review
  review -> deploy [label="[A] Approve"]
  review -> fix [label="[R] Reject"]
  deploy -> exit fix -> exit
"""
ARGV = [sys.executable, "-P", "-m", "attractor"]


def review(attributes: str = "") -> str:
    """A gate between `deploy` (Approve) and `fix` (Reject)."""
    return REVIEW.format(attributes=attributes)


def ask(repo: Path, body: str, interviewer: Interviewer | None, **fields: Any) -> Ran:
    """Run a graph in this process to its end."""
    plan = plan_run(request(repo, body, **fields))
    return Ran(start_run(plan, environment=os.environ, stop=StopRequest(), interviewer=interviewer))


def answered(repo: Path, body: str, *answers: Answer | str) -> tuple[Ran, list[tuple[Question, Answer]]]:
    """Run with prepared answers; the questions that were asked."""
    recording = RecordingInterviewer(QueueInterviewer(answers))
    return ask(repo, body, recording), recording.recordings


class Unlimited:
    """A wait that nothing ends, for interviewers that do not wait."""

    over = None

    def begin(self) -> None:
        return

    def pause(self, fds: Any = (), seconds: float = 0.05) -> frozenset[int]:
        raise AssertionError("nobody is to be waited for")


_: Waiting = Unlimited()


class Engine:
    """`attractor run` or `resume` as a process of its own, without a terminal."""

    def __init__(self, root: Path, *arguments: str, cwd: Path) -> None:
        self.root = root
        self.process = subprocess.Popen(
            [*ARGV, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def until(self, text: str) -> str:
        """Read what it says up to a line with `text` in it; fails where it ends before."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if text in line.decode():
                return line.decode()
        raise AssertionError(f"the engine ended with {self.process.wait()} and never said {text!r}")

    def end(self) -> int:
        """Its exit status, once it has ended by itself."""
        self.process.communicate()
        return self.process.returncode

    def kill(self) -> None:
        """SIGKILL, where it has not ended yet."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def start(repo: Path, body: str, *options: str) -> Engine:
    """An engine that runs a graph in `<repo>/../logs`."""
    asked = request(repo, body)
    root = repo.parent / "logs"
    arguments = ["run", "--graph", str(asked.graph), "--no-cxdb", "--logs-root", str(root), "--run-id", "r1", *options]
    return Engine(root, *arguments, cwd=repo)


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*ARGV, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def events(root: Path, *names: EventName) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (root / "progress.ndjson").read_text().splitlines()]
    return [event for event in lines if event["event"] in names]
