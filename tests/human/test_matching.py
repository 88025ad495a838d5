"""Which key a choice gets, and which choice an answer means (spec 4.6)."""

import pytest

from attractor.contracts import Answer, Option, Question, QuestionType
from attractor.graph import choice_keys, split_accelerator
from attractor.human import find_option, problem_with

QUESTION = Question(
    "review",
    "Ship it?",
    QuestionType.MULTIPLE_CHOICE,
    "review",
    (Option("A", "Approve", "deploy"), Option("R", "Reject", "fix"), Option("2", "Ask again", "a")),
)


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        ("[Y] Yes, deploy", ("Y", "Yes, deploy")),
        ("Y) Yes, deploy", ("Y", "Yes, deploy")),
        ("Y - Yes, deploy", ("Y", "Yes, deploy")),
        ("[ok] Fine", ("ok", "Fine")),
        ("Yes - deploy", ("Yes", "deploy")),
        ("Yes, deploy", ("", "Yes, deploy")),
        ("well-known", ("", "well-known")),
        ("", ("", "")),
    ],
)
def test_the_key_in_a_label(label: str, parts: tuple[str, str]) -> None:
    assert split_accelerator(label) == parts


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        (["Approve", "Reject"], ["A", "R"]),
        (["Approve", "Amend", "Abort"], ["A", "M", "B"]),
        (["[A] Reject", "Approve"], ["A", "P"]),  # what a label names comes first, wherever it stands
        (["[Y] one", "[y] two"], ["Y", "T"]),
        (["aa", "aa", "aa"], ["A", "1", "2"]),
        (["--", "??"], ["1", "2"]),
        (["1", "2", "3", "1"], ["1", "2", "3", "4"]),
        (["ß", "ß", "SS"], ["SS", "1", "S"]),
    ],
)
def test_every_choice_has_a_key_of_its_own(labels: list[str], keys: list[str]) -> None:
    assert choice_keys(labels) == keys


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("A", "A"),
        ("a", "A"),  # the key, although a node is called so
        (" approve ", "A"),
        ("DEPLOY", "A"),
        ("[A] Approve", "A"),
        ("r) reject", "R"),
        ("fix", "R"),
        ("2", "2"),
    ],
)
def test_an_answer_is_a_key_a_label_or_a_target(value: str, key: str) -> None:
    option = find_option(QUESTION, value)
    assert option is not None
    assert option.key == key


@pytest.mark.parametrize("value", ["", " ", "yes", "Appro", "A R", "3", "[X] other"])
def test_anything_else_is_no_answer(value: str) -> None:
    assert find_option(QUESTION, value) is None
    assert "[A] Approve, [R] Reject" in problem_with(QUESTION, Answer(value))


def test_a_name_that_two_choices_share_means_neither() -> None:
    both = Question("q", "", QuestionType.MULTIPLE_CHOICE, "q", (Option("A", "One", "x"), Option("B", "Two", "x")))
    assert find_option(both, "x") is None


def test_free_text_wants_a_text() -> None:
    question = Question("q", "", QuestionType.FREEFORM, "q")
    assert problem_with(question, Answer(text=" \n")) == "it is empty; the question wants a text"
    assert problem_with(question, Answer("blue")) == ""
