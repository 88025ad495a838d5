"""Questions as files: one answer wins, the others are told, and nothing is lost by a crash (DESIGN 2.7)."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from attractor.app import plan_run, start_run
from attractor.contracts import Answer, AnswerKind, Option, Question, QuestionType
from attractor.human import AnswerWait, CallbackInterviewer, DeskInterviewer
from attractor.processes import Cancellation, StopRequest
from attractor.rundir import Layout, QuestionPlace, open_questions, question_place
from tests.app.runs import request
from tests.human.gates import ask, review

QUESTION = Question(
    "review", "Ship it?", QuestionType.YES_NO, "review", (Option("Y", "Yes", "a"), Option("N", "No", "b"))
)


def desk(layout: Layout) -> DeskInterviewer:
    return DeskInterviewer(layout, lambda: "2026-01-01T00:00:00.000000Z")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture
def place(layout: Layout) -> QuestionPlace:
    found = question_place(layout, QUESTION.id)
    found.publish(QUESTION, "2026-01-01T00:00:00.000000Z", waiting=True)
    return found


RACER = """
import sys
from pathlib import Path
from attractor.contracts import Answer
from attractor.rundir import QuestionPlace
print("ready", flush=True)
sys.stdin.readline()
answer = Answer(sys.argv[2], by="file", who=sys.argv[2])
print(QuestionPlace(Path(sys.argv[1])).settle(answer).who, flush=True)
"""


def test_of_answers_given_at_once_exactly_one_wins_and_all_are_told_which(place: QuestionPlace) -> None:
    argv = [sys.executable, "-c", RACER, str(place.root)]
    racers = [
        subprocess.Popen([*argv, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in "abcdef"
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    told = {racer.communicate("go\n")[0].strip() for racer in racers}
    winner = place.read_answer()
    assert winner is not None
    assert told == {winner.who}
    assert sorted(path.name for path in place.root.iterdir()) == ["answer.json", "question.json"]


def test_an_answer_that_is_there_already_is_taken_at_once(layout: Layout, place: QuestionPlace) -> None:
    place.settle(Answer("y", by="file", who="ann"))
    answer = desk(layout).ask(QUESTION, AnswerWait(StopRequest()))
    assert (answer.value, answer.who) == ("y", "ann")


def test_a_question_that_runs_out_of_time_is_settled_with_its_default(layout: Layout) -> None:
    answer = desk(layout).ask(replace(QUESTION, default="N"), AnswerWait(StopRequest(), 0.0))
    assert (answer.value, answer.by) == ("N", "default")
    late = question_place(layout, "review").settle(Answer("y", who="late"))
    assert late.by == "default"


def test_without_a_default_it_is_settled_as_timed_out_unless_it_is_asked_again(layout: Layout) -> None:
    assert desk(layout).ask(QUESTION, AnswerWait(StopRequest(), 0.0)).kind is AnswerKind.TIMEOUT
    assert question_place(layout, "review").settle(Answer("y")).kind is AnswerKind.TIMEOUT
    again = replace(QUESTION, id="again", repeats=True)
    assert desk(layout).ask(again, AnswerWait(StopRequest(), 0.0)).kind is AnswerKind.TIMEOUT
    question_place(layout, "again").settle(Answer("y"))
    assert desk(layout).ask(again, AnswerWait(StopRequest())).value == "y"


def test_a_timeout_whose_gate_never_ended_does_not_end_the_next_lifes_question(layout: Layout) -> None:
    desk(layout).ask(QUESTION, AnswerWait(StopRequest(), 0.0))
    waiting = AnswerWait(StopRequest(), begun=lambda: settled(layout, Answer("y")))
    assert desk(layout).ask(QUESTION, waiting).value == "y"


def settled(layout: Layout, answer: Answer) -> None:
    question_place(layout, "review").settle(answer)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"value": "perhaps"}', "'perhaps' is none of the choices: [Y] Yes, [N] No"),
        ('{"value": 1}', "it is not an answer: value must be text"),
        ('{"choice": "y"}', "it is not an answer"),
        ('{"value": "y", "kind": "sure"}', "it is not an answer"),
        ('{"value": "y"', "it is not JSON such as"),
    ],
)
def test_a_file_that_is_no_answer_is_put_aside_with_the_reason_and_the_question_stays_open(
    layout: Layout, place: QuestionPlace, content: str, reason: str
) -> None:
    place.answer.write_text(content)
    os.utime(place.answer, (1, 1))  # nobody is still writing it
    seen: list[str] = []

    def look(_: float) -> None:
        seen.extend(one.rejected for one in open_questions(layout))
        settled(layout, Answer("n"))

    answer = desk(layout).ask(QUESTION, AnswerWait(StopRequest(), heartbeat=look, heartbeat_seconds=0.0))
    assert answer.value == "n"
    assert reason in seen[0]
    assert (place.root / "rejected.1.json").read_text() == content


def test_an_answer_that_is_still_being_written_is_left_alone(place: QuestionPlace) -> None:
    place.answer.write_text('{"value": ')
    assert place.read_answer() is None
    assert place.answer.exists()


def test_a_stop_leaves_the_question_open_but_nobody_waiting(layout: Layout) -> None:
    stop = Cancellation(StopRequest())
    stop.request("enough")
    assert desk(layout).ask(QUESTION, AnswerWait(stop)).kind is AnswerKind.STOPPED
    (one,) = open_questions(layout)
    assert not one.waiting


def test_a_question_is_told_of_once_it_can_be_answered(layout: Layout) -> None:
    open_then: list[str] = []

    def told() -> None:
        open_then.extend(one.question.id for one in open_questions(layout))
        settled(layout, Answer("y"))

    desk(layout).ask(QUESTION, AnswerWait(StopRequest(), begun=told))
    assert open_then == ["review"]


def test_ids_too_long_for_a_file_name_have_a_place_all_the_same(layout: Layout) -> None:
    names = [("x" * 300) + end for end in "ab"]
    places = [question_place(layout, name) for name in names]
    for name, found in zip(names, places, strict=True):
        found.publish(replace(QUESTION, id=name), "", waiting=True)
    assert [one.question.id for one in open_questions(layout)] == names


def test_a_stop_ends_the_wait_and_the_run_as_canceled(repo: Path) -> None:
    stop = StopRequest()
    plan = plan_run(request(repo, review()))
    result = start_run(
        plan,
        environment=os.environ,
        stop=stop,
        on_events=lambda log: log.listen(
            lambda event, _: stop.request(signal.SIGTERM) if event["event"] == "interview_started" else None
        ),
    )
    assert (result.final.status, result.final.failure_reason) == ("canceled", "canceled by SIGTERM")
    assert json.loads((result.logs_root / "questions.d" / "review" / "question.json").read_text())["waiting"] is False


@pytest.mark.spec("11.8.5")
def test_a_callback_neither_delays_the_time_limit_nor_hides_what_it_raises(repo: Path) -> None:
    never = threading.Event()

    def hangs(question: Question) -> str:
        never.wait(20)
        return "A"

    def raises(question: Question) -> str:
        raise ValueError("no line to the office")

    ran = ask(repo, review('timeout="50ms", human.default_choice=fix'), CallbackInterviewer(hangs))
    never.set()
    assert ran.nodes()[2] == "fix success"
    assert ran.events("interview_timeout")[0]["duration_ms"] < 10_000
    other = ask(repo, review(), CallbackInterviewer(raises), run_id="r2", logs_root=repo.parent / "logs2")
    assert other.json("final.json")["failure_reason"] == "review: ValueError: no line to the office"


def test_a_wait_tells_now_and_then_that_it_goes_on(layout: Layout) -> None:
    beats: list[float] = []

    def beat(elapsed: float) -> None:
        beats.append(elapsed)
        if len(beats) == 3:
            question_place(layout, "review").settle(Answer("y"))

    desk(layout).ask(QUESTION, AnswerWait(StopRequest(), heartbeat=beat, heartbeat_seconds=0.01))
    assert beats == sorted(beats)
