"""What the saboteurs of human gates change: see `saboteur_patches`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from patching import Patch, replacing  # type: ignore[import-not-found]  # lies beside this file


def _first_choice(real: Any) -> Callable[..., Any]:
    def unanswered(question: Any, kind: Any) -> Any:
        answer = real(question, kind)
        if answer.kind == "timeout" and question.options:
            return replace(answer, kind=type(kind)("given"), value=question.options[0].key, by="nobody")
        return answer

    return unanswered


def _last_answer(real: Any) -> Callable[..., Any]:
    world = real.open_question.__globals__

    class Sabotaged(real):  # type: ignore[misc]
        def open_question(self) -> Any:
            record = self._read_record()
            return world["OpenQuestion"](*record, "") if record else None

        def settle(self, answer: Any) -> Any:
            self.answer.unlink(missing_ok=True)
            return super().settle(answer)

    return Sabotaged


def _answers_forgotten(real: Any) -> Callable[..., Any]:
    def question_place(*args: Any) -> Any:
        place = real(*args)
        place.reopen()
        return place

    return question_place


def _first_for_the_default(real: Any) -> Callable[..., Any]:
    def judgement(stage: Any, question: Any, choices: Any, default: Any) -> Any:
        return real(stage, question, choices, default and choices[0].option)

    return judgement


def _looked_for_once(real: Any) -> Callable[..., Any]:
    looked: set[str] = set()

    def usable(place: Any, question: Any) -> Any:
        if question.id in looked:
            return None
        looked.add(question.id)
        return real(place, question)

    return usable


def _any_word_here(_real: Any) -> Callable[..., Any]:
    return lambda place, _question: place.read_answer()


def _any_word_there(_real: Any) -> Callable[..., Any]:
    return lambda _question, _answer: ""


def _stopped_is_timed_out(real: Any) -> Callable[..., Any]:
    return lambda question, kind: real(question, type(kind)("timeout"))


HUMAN_GATE_PATCHES: dict[str, dict[str, Patch]] = {
    "first-choice-by-itself": {"attractor.human.desk": replacing("unanswered", _first_choice)},
    "last-answer-wins": {"attractor.rundir.questions": replacing("QuestionPlace", _last_answer)},
    "answers-forgotten": {"attractor.human.desk": replacing("question_place", _answers_forgotten)},
    "default-is-the-first": {"attractor.handlers.human_gate": replacing("_Judgement", _first_for_the_default)},
    "looks-once": {"attractor.human.desk": replacing("_usable", _looked_for_once)},
    "any-word-is-an-answer": {
        "attractor.human.desk": replacing("_usable", _any_word_here),
        "attractor.app.answer": replacing("problem_with", _any_word_there),
    },
    "stop-is-an-answer": {"attractor.human.desk": replacing("unanswered", _stopped_is_timed_out)},
}
