"""What an answer means for its question: which option, if any, and what is wrong with it. Pure (spec 4.6, 6.5)."""

from __future__ import annotations

from attractor.contracts import Answer, AnswerKind, Option, Question, QuestionType
from attractor.graph import split_accelerator

SHOWN_ANSWER = 60


def find_option(question: Question, value: str) -> Option | None:
    """The option that `value` names by its key, its label (with the key in it or without) or its target node.

    Case and blanks around do not matter. None for what names no option, or several.
    """
    wanted = value.strip().lower()
    without_key = split_accelerator(wanted)[1]
    if not wanted:
        return None
    for names in (
        lambda option: option.key.lower() == wanted,
        lambda option: option.label.lower() in (wanted, without_key),
        lambda option: option.target.lower() == wanted,
    ):
        found = [option for option in question.options if names(option)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def problem_with(question: Question, answer: Answer) -> str:
    """Why this answer cannot be taken, in words for whoever gave it; '' where it can."""
    if answer.kind is not AnswerKind.GIVEN:
        return ""
    if question.type is QuestionType.FREEFORM:
        return "" if answer.text.strip() or answer.value.strip() else "it is empty; the question wants a text"
    if find_option(question, answer.value) is not None:
        return ""
    shown = answer.value if len(answer.value) <= SHOWN_ANSWER else f"{answer.value[:SHOWN_ANSWER]}..."
    return f"{shown!r} is none of the choices: {choices_line(question)}"


def choices_line(question: Question) -> str:
    """All choices on one line, such as `[A] Approve, [R] Reject`; what to do for free text."""
    if question.type is QuestionType.FREEFORM:
        return "any text"
    return ", ".join(shown(option) for option in question.options)


def shown(option: Option) -> str:
    return f"[{option.key}] {option.label}"


def unanswered(question: Question, kind: AnswerKind) -> Answer:
    """The answer when the wait is over without one: the question's default after a timeout, else none (spec 6.5)."""
    if kind is AnswerKind.TIMEOUT and question.default:
        return Answer(question.default, by="default")
    return Answer(kind=kind)
