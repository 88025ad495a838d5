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


HUMAN_GATE_PATCHES: dict[str, dict[str, Patch]] = {
    "first-choice-by-itself": {"attractor.human.desk": replacing("unanswered", _first_choice)},
    "last-answer-wins": {"attractor.rundir.questions": replacing("QuestionPlace", _last_answer)},
    "answers-forgotten": {"attractor.human.desk": replacing("question_place", _answers_forgotten)},
}
