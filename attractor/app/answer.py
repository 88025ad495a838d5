"""Answering a run's questions from another process: `attractor answer`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attractor.app.inspect import RunStatus, RunView, refuse_branch, view_run
from attractor.app.interviews import person, timestamp
from attractor.contracts import Answer, AnswerKind, Option, Question, QuestionType, Redactor
from attractor.errors import RunDirectoryError, UsageError
from attractor.human import find_option, problem_with
from attractor.rundir import question_place


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that has been handed over. `option` is None for free text; `status` the run's at that moment."""

    question: Question
    answer: Answer
    option: Option | None
    status: RunStatus

    @property
    def when_taken(self) -> str:
        """What has yet to happen before the answer counts; '' where an engine waits for it."""
        if self.status is RunStatus.RUNNING:
            return ""
        return f"the run is not running ({self.status}): the answer is kept, and used when it is resumed"


def answer_question(logs_root: Path, words: Sequence[str], text: str | None) -> Answered:
    """Answer with `[ID] [CHOICE]` and a free text. Without ID, exactly one question must be open.

    The first answer to a question counts. Raises UsageError, naming the choices, for what is none; RunDirectoryError
    where the question is not there or not open any more, saying who answered what.
    """
    view = view_run(logs_root)
    refuse_branch(view.manifest)
    question, value = _resolve(view, words, text)
    free = question.type is QuestionType.FREEFORM
    if free and value and text:
        raise UsageError(f"{question.id} wants one text: {value!r} or --text {text!r}")
    # A shell may have put a secret in the place of its name.
    said = Redactor(os.environ).text(text or (value if free else ""))
    answer = Answer("" if free else value, said, by="file", who=person(), at=timestamp())
    problem = problem_with(question, answer)
    if problem:
        raise UsageError(
            f"{question.id} cannot be answered so: {problem}", hint="nothing was changed: it is still open"
        )
    counted = question_place(view.layout, question.id).settle(answer)
    if counted is not answer:
        raise _answered_before(question.id, question, counted)
    return Answered(question, answer, find_option(question, answer.value), view.status)


def _resolve(view: RunView, words: Sequence[str], text: str | None) -> tuple[Question, str]:
    """The question that is meant, and the choice or text said as an argument."""
    if len(words) == 2:
        return _by_id(view, words[0]), words[1]
    open_now = {one.question.id: one.question for one in view.questions}
    word = words[0] if words else ""
    if word in open_now and (text is not None or len(open_now) > 1):
        return open_now[word], ""
    if len(open_now) == 1:
        return next(iter(open_now.values())), word
    if not open_now:
        raise _none_open(view)
    raise UsageError(f"several questions are open: name one of {', '.join(open_now)}")


def _by_id(view: RunView, question_id: str) -> Question:
    for one in view.questions:
        if one.question.id == question_id:
            return one.question
    if "/" not in question_id and "\0" not in question_id and question_id not in ("", ".", ".."):
        place = question_place(view.layout, question_id)
        given = place.read_answer() if place.root.is_dir() else None
        if given is not None:
            raise _answered_before(question_id, place.read_question(), given)
    if not view.questions:
        raise _none_open(view)
    raise RunDirectoryError(
        f"no question {question_id!r} is open in this run",
        hint=f"open are: {', '.join(one.question.id for one in view.questions)}",
    )


def _none_open(view: RunView) -> RunDirectoryError:
    return RunDirectoryError(
        f"no question is open in run {view.manifest.run_id} (its status is {view.status})",
        hint=f"`attractor status --logs-root {view.layout.root} --follow` shows when one is asked",
    )


def _answered_before(question_id: str, question: Question | None, given: Answer) -> RunDirectoryError:
    option = find_option(question, given.value) if question else None
    what = repr(option.label if option else given.text or given.value)
    at = f" at {given.at}" if given.at else ""
    if given.kind is AnswerKind.TIMEOUT:
        return RunDirectoryError(f"question {question_id} ran out of time{at}: its gate has failed")
    if given.by == "default":
        return RunDirectoryError(f"question {question_id} ran out of time{at}: its default {what} was taken")
    who = f" by {given.who}" if given.who else ""
    way = f" ({given.by})" if given.by else ""
    return RunDirectoryError(f"question {question_id} has been answered already: {what}{who}{way}{at}")
