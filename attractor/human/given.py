"""Interviewers that ask nobody: prepared answers, approval by default, and a record of what others answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from attractor.contracts import Answer, AnswerKind, Interviewer, Question, QuestionType, Waiting

AUTO_APPROVED = "auto-approved"


@dataclass(frozen=True, slots=True)
class AutoApproveInterviewer:
    """Yes, the first option, or the text `auto-approved` (spec 6.4). The only interviewer that chooses by itself."""

    def ask(self, question: Question, waiting: Waiting, /) -> Answer:
        if question.type is QuestionType.FREEFORM or not question.options:
            return Answer(AUTO_APPROVED, AUTO_APPROVED, by="auto")
        yes = [option for option in question.options if option.label.lower() == "yes"]
        wants_yes = question.type in (QuestionType.YES_NO, QuestionType.CONFIRMATION)
        return Answer((yes if yes and wants_yes else question.options)[0].key, by="auto")


class QueueInterviewer:
    """Gives prepared answers in order; refuses when they are used up (spec 6.4)."""

    def __init__(self, answers: Iterable[Answer | str]) -> None:
        self._answers = deque(Answer(a, by="queue") if isinstance(a, str) else a for a in answers)

    def ask(self, question: Question, waiting: Waiting, /) -> Answer:
        return self._answers.popleft() if self._answers else Answer(kind=AnswerKind.SKIPPED, by="queue")


@dataclass(slots=True)
class RecordingInterviewer:
    """Passes questions on and keeps each with its answer, in the order they were answered (spec 6.4)."""

    inner: Interviewer
    recordings: list[tuple[Question, Answer]] = field(default_factory=list)

    def ask(self, question: Question, waiting: Waiting, /) -> Answer:
        answer = self.inner.ask(question, waiting)
        self.recordings.append((question, answer))
        return answer
