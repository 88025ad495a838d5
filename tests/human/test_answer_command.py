"""`attractor answer`, `status` and `resume` around a waiting run, as real processes."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from attractor.contracts import EventName
from tests.app.runs import request
from tests.human.gates import Engine, cli, events, review, start

TWO = """
  f [shape=component] j [shape=tripleoctagon] l [shape=hexagon] r [shape=hexagon, human.type=freeform]
  start -> f f -> l -> j f -> r -> j j -> exit
"""


@pytest.fixture
def engines() -> Iterator[list[Engine]]:
    made: list[Engine] = []
    yield made
    for engine in made:
        engine.kill()


def waiting(engines: list[Engine], repo: Path, body: str, *options: str) -> str:
    """The logs root of a run that waits at its gate."""
    engines.append(start(repo, body, *options))
    engines[-1].until("ask  ")
    return str(engines[-1].root)


def completed(root: str) -> list[dict[str, object]]:
    return events(Path(root), EventName.INTERVIEW_COMPLETED)


def test_status_shows_what_is_asked_and_how_to_answer(repo: Path, engines: list[Engine]) -> None:
    root = waiting(engines, repo, review())
    command = f"attractor answer --logs-root {root} review CHOICE"
    assert cli("status", "--logs-root", root).stdout.splitlines()[-4:] == [
        "question review: Ship it?",
        "  [A] Approve",
        "  [R] Reject",
        f"  answer with: {command}",
    ]
    (question,) = json.loads(cli("status", "--logs-root", root, "--json").stdout)["questions"]
    assert question["answer_command"] == command
    listed = cli("answer", "--logs-root", root, "--list")
    assert listed.stdout.splitlines()[-1] == f"  answer with: {command}"
    assert json.loads(cli("answer", "--logs-root", root, "--list", "--json").stdout) == [question]


def test_a_secret_that_the_shell_has_put_into_an_answer_is_not_kept(
    repo: Path, engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = waiting(engines, repo, review())
    monkeypatch.setenv("DEPLOY_TOKEN", "canary-4711")
    assert cli("answer", "--logs-root", root, "review", "r", "--text", "with canary-4711").returncode == 0
    answers = [path.read_text() for path in Path(root).glob("questions.d/*/answer.json")]
    assert ["with [redacted DEPLOY_TOKEN]" in answer and "canary" not in answer for answer in answers] == [True]


def test_an_answer_moves_the_run_on_and_is_gone_from_status(repo: Path, engines: list[Engine]) -> None:
    root = waiting(engines, repo, review())
    done = cli("answer", "--logs-root", root, "review", "r", "--text", "too big")
    assert (done.returncode, done.stdout) == (0, "question=review\nanswer=R\nlabel=Reject\ntext=too big\n")
    assert engines[0].end() == 0
    assert (completed(root)[0]["target"], completed(root)[0]["by"]) == ("fix", "file")
    assert json.loads(cli("status", "--logs-root", root, "--json").stdout)["questions"] == []


def test_an_answer_is_noticed_at_once(repo: Path, engines: list[Engine]) -> None:
    root = waiting(engines, repo, review())
    cli("answer", "--logs-root", root, "A")
    engines[0].end()
    given = json.loads((Path(root) / "questions.d/review/answer.json").read_text())["at"]
    taken = str(completed(root)[0]["ts"])
    seconds = float(taken[17:-1]) - float(given[17:-1])
    assert seconds % 60 < 1.0  # 0.05 s on an idle machine


def test_a_wrong_choice_is_wrong_usage_and_leaves_the_question_open(repo: Path, engines: list[Engine]) -> None:
    root = waiting(engines, repo, review())
    done = cli("answer", "--logs-root", root, "maybe")
    assert done.returncode == 2
    assert "'maybe' is none of the choices: [A] Approve, [R] Reject" in done.stderr
    assert cli("answer", "--logs-root", root, "A").returncode == 0
    assert engines[0].end() == 0


def test_who_answers_second_is_told_who_was_first_and_with_what(repo: Path, engines: list[Engine]) -> None:
    root = waiting(engines, repo, review())
    cli("answer", "--logs-root", root, "review", "A")
    second = cli("answer", "--logs-root", root, "review", "R")
    assert second.returncode == 1
    assert "question review has been answered already: 'Approve' by " in second.stderr
    engines[0].end()
    assert completed(root)[0]["target"] == "deploy"


def test_of_several_questions_one_must_be_named(repo: Path, engines: list[Engine]) -> None:
    root = waiting(engines, repo, TWO)
    engines[0].until("ask  ")
    done = cli("answer", "--logs-root", root, "yes")
    assert done.returncode == 2
    named = done.stderr.partition("several questions are open: name one of ")[2].strip()
    assert sorted(named.split(", ")) == ["f+1+l+l", "f+1+r+r"]
    assert cli("answer", "--logs-root", root, "f+1+r+r", "--text", "blue").returncode == 0
    assert cli("answer", "--logs-root", root, "yes").returncode == 0
    assert engines[0].end() == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["other", "A"], 1, "no question 'other' is open in this run\n  hint: open are: review"),
        (["../elsewhere", "A"], 1, "no question '../elsewhere' is open"),
        (["a", "b", "c"], 2, "3 words are too many"),
        ([], 2, "say what the answer is"),
        (["--list", "A"], 2, "--list answers nothing"),
        ([""], 2, "'' is none of the choices"),
    ],
)
def test_what_cannot_be_meant_changes_nothing(
    repo: Path, engines: list[Engine], arguments: list[str], code: int, message: str
) -> None:
    root = waiting(engines, repo, review())
    stranger = Path(root) / "elsewhere" / "answer.json"
    stranger.parent.mkdir()
    stranger.write_text("{}")
    done = cli("answer", "--logs-root", root, *arguments)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert not (Path(root) / "questions.d/review/answer.json").exists()


def test_a_killed_runs_question_can_be_answered_before_it_is_resumed(repo: Path, engines: list[Engine]) -> None:
    root = waiting(engines, repo, review())
    engines[0].kill()
    done = cli("answer", "--logs-root", root, "R")
    assert done.stdout.splitlines()[-1] == (
        "note: the run is not running (crashed): the answer is kept, and used when it is resumed"
    )
    engines.append(Engine(Path(root), "resume", "--logs-root", root, cwd=repo))
    assert engines[1].end() == 0
    assert completed(root)[0]["target"] == "fix"


def test_a_stopped_runs_question_is_asked_again_under_the_same_name(repo: Path, engines: list[Engine]) -> None:
    root = waiting(engines, repo, review('timeout="1h"'))
    engines[0].process.send_signal(signal.SIGTERM)
    assert engines[0].end() == 143
    assert "question review: Ship it?" in cli("status", "--logs-root", root).stdout
    engines.append(Engine(Path(root), "resume", "--logs-root", root, cwd=repo))
    engines[1].until("ask  review")
    assert cli("answer", "--logs-root", root, "review", "A").stdout.splitlines()[0] == "question=review"
    assert engines[1].end() == 0


def test_a_resumed_life_may_approve_by_itself(repo: Path, engines: list[Engine]) -> None:
    root = waiting(engines, repo, review())
    engines[0].kill()
    engines.append(Engine(Path(root), "resume", "--auto-approve", "--logs-root", root, cwd=repo))
    assert engines[1].end() == 0
    assert completed(root)[0]["by"] == "auto"


def test_a_run_that_was_begun_with_auto_approve_keeps_it_when_resumed(repo: Path, engines: list[Engine]) -> None:
    os.mkfifo(repo.parent / "ready")
    early = f'early [tool_command="echo > {repo.parent}/ready; test -e {repo.parent}/once || sleep 300"] '
    body = early + review().replace("start -> review", "start -> early -> review")
    engines.append(start(repo, body, "--auto-approve"))
    (repo.parent / "ready").read_text()
    engines[0].kill()
    (repo.parent / "once").touch()
    (repo.parent / "ready").unlink()
    root = str(engines[0].root)
    engines.append(Engine(Path(root), "resume", "--logs-root", root, cwd=repo))
    assert engines[1].end() == 0
    assert completed(root)[0]["by"] == "auto"


def test_nobody_is_asked_for_a_run_that_has_ended(repo: Path, engines: list[Engine]) -> None:
    engines.append(start(repo, review("timeout=50ms")))
    assert engines[0].end() == 1
    root = str(engines[0].root)
    assert json.loads(cli("status", "--logs-root", root, "--json").stdout)["questions"] == []
    named = cli("answer", "--logs-root", root, "review", "A")
    assert named.returncode == 1
    assert "question review ran out of time" in named.stderr
    assert "no question is open in run r1 (its status is fail)" in cli("answer", "--logs-root", root, "A").stderr


def test_a_branch_that_is_ended_by_the_others_asks_no_more(repo: Path, engines: list[Engine]) -> None:
    body = """
      f [shape=component, join_policy=first_success] j [shape=tripleoctagon]
      l [shape=hexagon] r [shape=hexagon] after [shape=hexagon]
      start -> f f -> l -> j f -> r -> j j -> after -> exit
    """
    root = waiting(engines, repo, body)
    engines[0].until("ask  ")
    assert cli("answer", "--logs-root", root, "f+1+l+l", "yes").returncode == 0
    engines[0].until("ask  after")
    assert [q["id"] for q in json.loads(cli("answer", "--logs-root", root, "--list", "--json").stdout)] == ["after"]
    assert cli("answer", "--logs-root", root, "yes").returncode == 0
    assert engines[0].end() == 0
    assert json.loads(cli("status", "--logs-root", root, "--json").stdout)["questions"] == []
    assert "(its status is success)" in cli("answer", "--logs-root", root, "f+1+r+r", "yes").stderr


def test_a_detached_run_can_approve_by_itself(repo: Path) -> None:
    asked = request(repo, review())
    root = repo.parent / "logs"
    arguments = ["--graph", str(asked.graph), "--no-cxdb", "--logs-root", str(root), "--repo", str(repo)]
    assert cli("run", "--detach", "--auto-approve", *arguments).returncode == 0
    try:
        pid = int((root / "run.pid").read_text())
        _, alive = psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=30)
        assert not alive, "it waits for a person"
        assert completed(str(root))[0]["by"] == "auto"
    finally:  # one that waits for a person after all would wait for ever
        cli("stop", "--logs-root", str(root), "--force", "--grace-ms", "5000")
