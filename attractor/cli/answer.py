"""`attractor answer`: a person's answer to a run that waits for one."""

from __future__ import annotations

import json

import click

from attractor.app import RunView, answer_question, view_run
from attractor.cli.paths import absolute
from attractor.errors import UsageError


@click.command()
@click.option("--logs-root", metavar="L", required=True, help="The run's directory.")
@click.option("--text", metavar="T", help="Free text: the answer itself, or a remark beside the choice.")
@click.option("--list", "list_only", is_flag=True, help="Show the open questions, answer nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("words", metavar="[ID] [CHOICE]", nargs=-1)
def answer(logs_root: str, text: str | None, list_only: bool, as_json: bool, words: tuple[str, ...]) -> int:
    """Answer a question of a run, from any terminal. The first answer counts.

    CHOICE is a key, a label or a target node. ID may be left out where one question is open.
    """
    root = absolute(logs_root)
    if list_only:
        if words or text is not None:
            raise UsageError("--list answers nothing: leave the rest out")
        return _list(view_run(root), as_json=as_json)
    if len(words) > 2:
        raise UsageError(f"{len(words)} words are too many for [ID] [CHOICE]", hint="put quotes around a long label")
    if not words and text is None:
        raise UsageError("say what the answer is: [ID] CHOICE, or --text", hint="--list shows the open questions")
    answered = answer_question(root, words, text)
    option = answered.option
    facts = {
        "question": answered.question.id,
        "answer": option.key if option else "",
        "label": option.label if option else "",
        "text": answered.answer.text,
    }
    if as_json:
        click.echo(json.dumps(facts | {"note": answered.when_taken}))
        return 0
    for key, value in facts.items():
        if value:
            click.echo(f"{key}={value}")
    if answered.when_taken:
        click.echo(f"note: {answered.when_taken}")
    return 0


def _list(view: RunView, *, as_json: bool) -> int:
    questions = view.questions_json()
    if as_json:
        click.echo(json.dumps(questions, indent=2))
        return 0
    if not questions:
        click.echo("no open questions", err=True)
    for line in question_lines(view):
        click.echo(line)
    return 0


def question_lines(view: RunView) -> list[str]:
    """What is asked, what may be answered and how, for people."""
    lines = []
    for question in view.questions_json():
        lines.append(f"question {question['id']}: {question['text']}")
        lines += [f"  [{option['key']}] {option['label']}" for option in question["options"]]
        if question["rejected"]:
            lines.append(f"  the last answer was not taken: {question['rejected']}")
        lines.append(f"  answer with: {question['answer_command']}")
    return lines
