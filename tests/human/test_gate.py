"""What a human gate asks, and what it makes of the answer (spec 4.6, DESIGN 2.7)."""

from pathlib import Path

import pytest

from attractor.contracts import Answer, AnswerKind, Option, Question, QuestionType, Waiting
from attractor.human import AutoApproveInterviewer, CallbackInterviewer, QueueInterviewer
from tests.app.runs import Ran, resume
from tests.human.gates import Unlimited, answered, ask, review


class Nobody:
    """Lets every question time out by itself, without the default a question may have."""

    def ask(self, question: Question, waiting: Waiting, /) -> Answer:
        return Answer(kind=AnswerKind.TIMEOUT)


def context(ran: Ran) -> dict[str, object]:
    """The gate's part of the context at the end."""
    kept = ran.json("checkpoint.json")["context"]
    return {key.removeprefix("human.gate."): value for key, value in kept.items() if key.startswith("human.gate.")}


@pytest.mark.spec("11.6.4", "11.8.1", "11.8.6", "11.12.12")
@pytest.mark.parametrize(("answer", "node"), [("A", "deploy"), ("reject", "fix"), ("[R] Reject", "fix")])
def test_the_answer_decides_the_way(repo: Path, answer: str, node: str) -> None:
    ran, asked = answered(repo, review(), answer)
    assert ran.nodes()[2] == f"{node} success"
    question = asked[0][0]
    assert (question.text, question.type, question.stage) == ("Ship it?", QuestionType.MULTIPLE_CHOICE, "review")
    assert [(o.key, o.label, o.target) for o in question.options] == [
        ("A", "Approve", "deploy"),
        ("R", "Reject", "fix"),
    ]


@pytest.mark.spec("11.6.4")
def test_the_choice_is_in_the_context_and_in_the_events(repo: Path) -> None:
    ran, _ = answered(repo, review(), Answer("r", text="too big", by="queue", who="ann"))
    assert context(ran) == {"selected": "R", "label": "Reject", "text": "too big"}
    started, completed = ran.events("interview_started", "interview_completed")
    assert started["options"] == [{"key": "A", "label": "Approve"}, {"key": "R", "label": "Reject"}]
    told = {key: completed[key] for key in ("question_id", "answer", "label", "target", "text", "by", "who")}
    assert told == {
        "question_id": "review",
        "answer": "R",
        "label": "Reject",
        "target": "fix",
        "text": "too big",
        "by": "queue",
        "who": "ann",
    }
    assert ran.json("review/status.json")["preferred_label"] == "Reject"
    assert ran.json("review/status.json")["notes"] == "Reject (queue, ann)"


def test_a_wrong_answer_fails_the_gate(repo: Path) -> None:
    ran, _ = answered(repo, review(), "maybe")
    assert ran.status == "fail"
    assert ran.nodes() == ["start success", "review fail"]
    assert ran.json("final.json")["failure_reason"] == (
        "review: the answer cannot be taken: 'maybe' is none of the choices: [A] Approve, [R] Reject"
    )


def test_a_wrong_answer_takes_the_declared_default(repo: Path) -> None:
    ran, _ = answered(repo, review("human.default_choice=fix"), "maybe")
    assert ran.nodes()[2] == "fix success"
    assert ran.events("interview_completed")[0]["by"] == "default"


def test_no_answer_at_all_fails_the_gate_also_under_allow_partial(repo: Path) -> None:
    ran = ask(repo, review('allow_partial=true, max_retries=1, retry_initial_delay="1ms"'), Nobody())
    assert ran.status == "fail"
    assert [event["status"] for event in ran.events("stage_attempt_end")][1:] == ["retry", "fail"]
    assert ran.json("final.json")["failure_reason"] == "review: human gate timeout, no default"
    assert len(ran.events("interview_timeout")) == 2


def test_no_answer_takes_the_declared_default(repo: Path) -> None:
    ran = ask(repo, review("human.default_choice=Reject"), Nobody())
    assert ran.nodes()[2] == "fix success"
    timeout, completed = ran.events("interview_timeout", "interview_completed")
    assert (timeout["default"], completed["by"], completed["target"]) == ("Reject", "default", "fix")


def test_a_default_that_is_no_choice_is_none(repo: Path) -> None:
    assert ask(repo, review("human.default_choice=nowhere"), Nobody()).status == "fail"


def test_a_refusal_fails_the_gate_whatever_the_default(repo: Path) -> None:
    ran, _ = answered(repo, review("human.default_choice=deploy"))
    assert ran.json("final.json")["failure_reason"] == "review: human skipped interaction"


@pytest.mark.spec("11.8.5")
def test_a_resumed_run_asks_the_failed_gate_again_as_a_new_question(repo: Path) -> None:
    ran, asked = answered(repo, review())
    assert asked[0][0].id == "review"
    again: list[Question] = []

    def answer(question: Question) -> str:
        again.append(question)
        return "A"

    resumed = resume(ran.root, interviewer=CallbackInterviewer(answer))
    assert resumed.nodes()[-2:] == ["deploy success", "exit success"]
    assert [question.id for question in again] == ["review.2"]


@pytest.mark.spec("11.8.2")
@pytest.mark.parametrize(
    ("edges", "attribute", "kind", "keys"),
    [
        ("g -> a [label=Yes] g -> b [label=No]", "", QuestionType.YES_NO, "YN"),
        ('g -> a [label="[1] yes"] g -> b [label="no"]', "", QuestionType.YES_NO, "1N"),
        ("g -> a g -> b", "", QuestionType.MULTIPLE_CHOICE, "AB"),
        ("g -> a -> b", "", QuestionType.CONFIRMATION, "YN"),
        ("g -> a [label=Continue] a -> b", "", QuestionType.MULTIPLE_CHOICE, "C"),
        ("g -> a [label=Continue] a -> b", "confirmation", QuestionType.CONFIRMATION, "YN"),
        ("g -> a [label=Yes] g -> b [label=No]", "multiple_choice", QuestionType.MULTIPLE_CHOICE, "YN"),
        ("g -> a [label=Go] g -> b [label=Stop]", "yes_no", QuestionType.MULTIPLE_CHOICE, "GS"),
        ("g -> a -> b", "freeform", QuestionType.FREEFORM, ""),
    ],
)
def test_the_type_follows_from_the_edges_or_the_attribute(
    repo: Path, edges: str, attribute: str, kind: QuestionType, keys: str
) -> None:
    body = f'g [shape=hexagon, human.type="{attribute}"] a b start -> g {edges} a -> exit b -> exit'
    _, asked = answered(repo, body)
    assert asked[0][0].type is kind
    assert "".join(option.key for option in asked[0][0].options) == keys
    assert asked[0][0].text == "Select an option:"


@pytest.mark.parametrize(("answer", "status"), [("yes", "success"), ("Y", "success"), ("n", "fail"), ("no", "fail")])
def test_a_confirmation_goes_on_with_yes_alone(repo: Path, answer: str, status: str) -> None:
    ran, _ = answered(repo, "g [shape=hexagon] a start -> g -> a -> exit", answer)
    assert ran.status == status
    assert ("a success" in ran.nodes()) == (status == "success")


def test_free_text_goes_to_the_context_and_an_older_gates_text_goes_away(repo: Path) -> None:
    body = "g [shape=hexagon, human.type=freeform] h [shape=hexagon] a start -> g -> a -> h -> exit"
    ran, _ = answered(repo, body, "paint it blue", "yes")
    assert [event.get("text") for event in ran.events("interview_completed")] == ["paint it blue", None]
    assert context(ran) == {"selected": "Y", "label": "Yes", "text": ""}


def test_an_edge_for_failures_is_no_choice(repo: Path) -> None:
    body = review('timeout="1h"') + 'cleanup review -> cleanup [condition="outcome=fail"] cleanup -> exit'
    ran, asked = answered(repo, body)
    assert [option.target for option in asked[0][0].options] == ["deploy", "fix"]
    assert ran.nodes()[1:3] == ["review fail", "cleanup success"]


@pytest.mark.spec("11.9.5")
def test_conditions_on_the_choice_itself_are_choices(repo: Path) -> None:
    body = """
      g [shape=hexagon] a b start -> g
      g -> a [label=Approve, condition="preferred_label=Approve"]
      g -> b [label=Reject, condition="context.human.gate.label=Reject"]
      a -> exit b -> exit
    """
    ran, asked = answered(repo, body, "Reject")
    assert [option.label for option in asked[0][0].options] == ["Approve", "Reject"]
    assert ran.nodes()[2] == "b success"


def test_a_choice_that_routing_would_not_follow_is_not_offered(repo: Path) -> None:
    body = review() + 'other review -> other [label=Go, condition="outcome=success"] other -> exit'
    _, asked = answered(repo, body)
    assert [option.target for option in asked[0][0].options] == ["other"]


def test_edges_with_the_same_label_are_told_apart_by_their_targets(repo: Path) -> None:
    body = "g [shape=hexagon] a b start -> g g -> a [label=Go] g -> b [label=Go] a -> exit b -> exit"
    ran, _ = answered(repo, body, "b")
    assert ran.nodes()[2] == "b success"


def test_a_gate_without_choices_fails(repo: Path) -> None:
    ran, _ = answered(repo, 'g [shape=hexagon] start -> g g -> exit [condition="context.x=1"]')
    assert ran.json("final.json")["failure_reason"] == "g: No outgoing edges for human gate"


@pytest.mark.spec("11.8.6")
def test_each_visit_is_a_question_of_its_own(repo: Path) -> None:
    body = review().replace("fix -> exit", "fix -> review")
    ran, asked = answered(repo, body, "r", "r", "a")
    assert ran.status == "success"
    assert [question.id for question, _ in asked] == ["review", "review.2", "review.3"]


def test_gates_in_branches_have_names_of_their_own(repo: Path) -> None:
    body = """
      f [shape=component] j [shape=tripleoctagon] node [shape=hexagon] l r
      start -> f f -> l -> j f -> r -> j j -> exit
    """
    ran, asked = answered(repo, body, "yes", "yes")
    assert ran.status == "success"
    assert sorted(question.id for question, _ in asked) == ["f+1+l+l", "f+1+r+r"]


@pytest.mark.spec("11.8.3")
def test_auto_approval_is_yes_the_first_choice_or_a_fixed_text() -> None:
    def approve(kind: QuestionType, question: Question) -> str:
        return AutoApproveInterviewer().ask(question, Unlimited()).value

    no_first = (Option("N", "No", "b"), Option("Y", "Yes", "a"))
    assert approve(QuestionType.YES_NO, Question("q", "", QuestionType.YES_NO, "q", no_first)) == "Y"
    assert approve(QuestionType.YES_NO, Question("q", "", QuestionType.MULTIPLE_CHOICE, "q", no_first)) == "N"
    assert approve(QuestionType.FREEFORM, Question("q", "", QuestionType.FREEFORM, "q")) == "auto-approved"


@pytest.mark.spec("11.8.3")
def test_auto_approve_is_kept_for_resumed_lives(repo: Path) -> None:
    ran = ask(repo, review(), None, auto_approve=True)
    assert ran.nodes()[2] == "deploy success"
    assert ran.events("interview_completed")[0]["by"] == "auto"
    assert ran.json("manifest.json")["policy"]["auto_approve"] is True


@pytest.mark.parametrize(
    ("script", "node"),
    [("success text='Approve'", "deploy"), ("success delay=1ms text='fix'", "fix")],
)
def test_a_simulated_run_answers_what_the_graph_says(repo: Path, script: str, node: str) -> None:
    ran = ask(repo, review(f'simulate="{script}"'), None, simulate=True)
    assert ran.nodes()[2] == f"{node} success"
    assert ran.events("interview_completed")[0]["by"] == "simulated"


def test_a_simulated_run_still_asks_where_the_graph_says_nothing(repo: Path) -> None:
    ran = ask(repo, review("simulate=success"), QueueInterviewer(["R"]), simulate=True)
    assert ran.events("interview_completed")[0]["by"] == "queue"


def test_a_real_run_never_answers_by_its_simulate_script(repo: Path) -> None:
    ran = ask(repo, review("simulate=\"success text='Approve'\""), QueueInterviewer(["R"]))
    assert ran.nodes()[2] == "fix success"
