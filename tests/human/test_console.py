"""Asking at a terminal: real engines on a real pseudo terminal, which is theirs alone."""

import json
import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.app.runs import request
from tests.human.gates import ARGV, cli, review


class Terminal:
    """An engine in the foreground of a terminal of its own."""

    def __init__(self, repo: Path, body: str, wrapper: Sequence[str] = ()) -> None:
        asked = request(repo, body)
        self.root = repo.parent / "logs"
        self.master, slave = pty.openpty()
        arguments = ["run", "--graph", str(asked.graph), "--no-cxdb", "--logs-root", str(self.root)]
        self.process = subprocess.Popen(
            [*wrapper, *ARGV, *arguments],
            cwd=repo,
            pass_fds=(slave,),
            preexec_fn=lambda: take(slave),
        )
        os.close(slave)
        self.seen = ""

    def until(self, text: str) -> None:
        """Read what it shows up to `text`."""
        while text not in self.seen:
            try:
                self.seen += os.read(self.master, 4096).decode(errors="replace")
            except OSError:  # its end
                raise AssertionError(f"{text!r} was never shown: {self.seen}") from None
        self.seen = self.seen.partition(text)[2]

    def shown_since(self) -> str:
        """What it has shown by now, and nobody has read."""
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 4096).decode(errors="replace")
        return self.seen

    def types(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> int:
        """Its exit status. Its output is read meanwhile: a full terminal would hold it up."""
        while True:
            try:
                if not os.read(self.master, 4096):
                    break
            except OSError:
                break
        return self.process.wait()

    @property
    def choice(self) -> dict[str, str]:
        lines = (self.root / "progress.ndjson").read_text().splitlines()
        events = [json.loads(line) for line in lines]
        found: dict[str, str] = next(event for event in events if event["event"] == "interview_completed")
        return found


def take(slave: int) -> None:
    """In the child: make the terminal its own. Tests that a shell runs in the background inherit an ignored SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.login_tty(slave)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for terminal in made:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.master)


@pytest.mark.spec("11.8.4")
def test_a_question_is_shown_and_answered_at_the_terminal(repo: Path, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(repo, review('timeout="1h", human.default_choice=fix')))
    terminal.until("[?] review: Ship it?\r\n  [A] Approve\r\n  [R] Reject\r\n")
    terminal.until("(after 3600 s without an answer: [R] Reject)")
    terminal.until("[A/R]: ")
    terminal.types("a\n")
    assert terminal.end() == 0
    assert (terminal.choice["answer"], terminal.choice["by"]) == ("A", "console")


def test_a_wrong_answer_is_asked_again_three_times_in_all(repo: Path, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(repo, review()))
    terminal.until("[A/R]: ")
    terminal.types("yes\n")
    terminal.until("'yes' is none of the choices: [A] Approve, [R] Reject")
    terminal.until("[A/R]: ")
    terminal.types("\n")
    terminal.until("[A/R]: ")
    terminal.types("what\n")
    terminal.until(f"not answered here; answer with: attractor answer --logs-root {terminal.root} review CHOICE")
    assert cli("answer", "--logs-root", str(terminal.root), "R").returncode == 0
    assert terminal.end() == 0
    assert (terminal.choice["answer"], terminal.choice["by"]) == ("R", "file")


def test_an_answer_from_elsewhere_wins_and_the_terminal_says_so(repo: Path, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(repo, review()))
    terminal.until("[A/R]: ")
    assert cli("answer", "--logs-root", str(terminal.root), "reject").returncode == 0
    terminal.until("review: [R] Reject (file by ")
    assert terminal.end() == 0


def test_what_was_typed_before_the_question_does_not_answer_it(repo: Path, terminals: list[Terminal]) -> None:
    os.mkfifo(repo.parent / "ready")
    os.mkfifo(repo.parent / "go")
    early = f'early [tool_command="echo > {repo.parent}/ready; cat {repo.parent}/go"] '
    body = early + review().replace("start -> review", "start -> early -> review")
    terminals.append(terminal := Terminal(repo, body))
    (repo.parent / "ready").read_text()
    terminal.types("a\n")
    terminal.until("a\r\n")  # the terminal has it
    (repo.parent / "go").write_text("x")
    terminal.until("[A/R]: ")
    terminal.types("r\n")
    assert terminal.end() == 0
    assert terminal.choice["answer"] == "R"


def test_ctrl_c_at_the_question_cancels_the_run(repo: Path, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(repo, review("human.default_choice=deploy")))
    terminal.until("[A/R]: ")
    terminal.types("\x03")
    assert terminal.end() == 130
    final = json.loads((terminal.root / "final.json").read_text())
    assert (final["status"], final["failure_reason"]) == ("canceled", "canceled by SIGINT")


def test_ctrl_d_refuses_at_the_terminal_alone(repo: Path, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(repo, review()))
    terminal.until("[A/R]: ")
    terminal.types("\x04")
    terminal.until("not answered here")
    assert cli("answer", "--logs-root", str(terminal.root), "A").returncode == 0
    assert terminal.end() == 0


def test_branches_that_ask_at_once_take_turns(repo: Path, terminals: list[Terminal]) -> None:
    body = """
      f [shape=component] j [shape=tripleoctagon] l [shape=hexagon, label=left] r [shape=hexagon, label=right]
      start -> f f -> l -> j f -> r -> j j -> exit
    """
    terminals.append(terminal := Terminal(repo, body))
    terminal.until("[Y/N]: ")
    while len(json.loads(cli("answer", "--logs-root", str(terminal.root), "--list", "--json").stdout)) < 2:
        assert terminal.process.poll() is None
    cli("status", "--logs-root", str(terminal.root))  # time enough to show the other one, too
    assert "[?]" not in terminal.shown_since()
    terminal.types("y\n")
    terminal.until("[Y/N]: ")
    terminal.types("y\n")
    assert terminal.end() == 0


def test_a_question_cannot_steer_the_terminal(repo: Path, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(repo, review().replace("Ship it?", "Ship\x1b[2Jit?")))
    terminal.until("[?] review: Ship [2Jit?")
    terminal.until("[A/R]: ")
    terminal.types("a\n")
    assert terminal.end() == 0


def test_free_text_is_one_line(repo: Path, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal(repo, "g [shape=hexagon, human.type=freeform] start -> g -> exit"))
    terminal.until("> ")
    terminal.types("blue, please\n")
    assert terminal.end() == 0
    assert terminal.choice["text"] == "blue, please"


def test_a_job_in_the_background_is_not_stopped_for_reading(repo: Path, terminals: list[Terminal]) -> None:
    in_background = ["/bin/sh", "-c", 'set -m; "$@" & wait $!', "sh"]
    terminals.append(terminal := Terminal(repo, review(), in_background))
    terminal.until("[A/R]: ")
    terminal.types("a\n")  # the shell's to read
    assert cli("answer", "--logs-root", str(terminal.root), "R").returncode == 0
    assert terminal.end() == 0
    assert terminal.choice["by"] == "file"
