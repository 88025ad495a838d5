"""Asking everybody who may look into the run: by file, and at the terminal where there is one; the first answer wins.

The question's file settles who was first, so a crash or a second answer changes nothing, and whoever asks the same
question again (the run's next life) finds what was answered meanwhile.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from attractor.contracts import Answer, AnswerKind, Question, QuestionType, Waiting
from attractor.human.console import Console, ConsoleSession
from attractor.human.matching import problem_with, unanswered
from attractor.rundir import Layout, QuestionPlace, question_place


@dataclass(frozen=True, slots=True)
class DeskInterviewer:
    """The desk of one run: `layout` is its base logs root. `console` None: by file alone.

    `timestamp` gives the present moment as RFC 3339, `who` the person at the console. `announce` is called with each
    question and the command that answers it, where there is no console to show it.
    """

    layout: Layout
    timestamp: Callable[[], str]
    console: Console | None = None
    who: str = ""
    announce: Callable[[Question, str], None] = lambda question, command: None

    def ask(self, question: Question, waiting: Waiting, /) -> Answer:
        place = question_place(self.layout, question.id)
        earlier = place.read_answer()
        if earlier is not None and earlier.kind is AnswerKind.TIMEOUT:
            place.reopen()  # a crash came between that timeout and the gate's end
        place.publish(question, self.timestamp(), waiting=True)
        waiting.begin()
        if self.console is None and not place.answer.exists():
            self.announce(question, answer_command(self.layout, question))
        answer = self._wait(place, question, waiting)
        if answer.kind in (AnswerKind.STOPPED, AnswerKind.TIMEOUT):
            place.publish(question, self.timestamp(), waiting=False)
        return answer

    def _wait(self, place: QuestionPlace, question: Question, waiting: Waiting) -> Answer:
        with ExitStack() as stack:
            session = None
            if self.console is not None:
                elsewhere = answer_command(self.layout, question)
                session = stack.enter_context(ConsoleSession(self.console, question, elsewhere))
            while True:
                given = _usable(place, question)
                if given is None and (kind := waiting.over) is not None:
                    given = self._end(place, question, unanswered(question, kind))
                if given is not None:
                    if session is not None:
                        session.tell(given)
                    return given
                ready = waiting.pause(session.fds() if session is not None else ())
                typed = session.look(ready) if session is not None else None
                if typed is not None:
                    place.settle(replace(typed, who=self.who, at=self.timestamp()))

    def _end(self, place: QuestionPlace, question: Question, answer: Answer) -> Answer:
        """Nobody answered. Where that ends the question it is settled, so that an answer that comes later is told."""
        asked_again = answer.kind is AnswerKind.STOPPED or (answer.kind is AnswerKind.TIMEOUT and question.repeats)
        return answer if asked_again else place.settle(replace(answer, at=self.timestamp()))


def answer_command(layout: Layout, question: Question) -> str:
    """What a person types to answer, in any terminal of this machine; CHOICE or TEXT is theirs to fill in."""
    said = "--text TEXT" if question.type is QuestionType.FREEFORM else "CHOICE"
    return f"attractor answer --logs-root {shlex.quote(str(layout.root))} {question.id} {said}"


def _usable(place: QuestionPlace, question: Question) -> Answer | None:
    """The answer that is there. One that fits no option is rejected, so that it can be answered again."""
    answer = place.read_answer()
    if answer is not None and (problem := problem_with(question, answer)):
        place.reject(problem)
        return None
    return answer
