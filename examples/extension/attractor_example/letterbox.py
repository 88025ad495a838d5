"""An interviewer: questions go to a program, which prints the answer. For a chat, a ticket system, a pager."""

from __future__ import annotations

import json
import os
import shlex
import subprocess

from attractor import Answer, AnswerKind, CallbackInterviewer, Question, Waiting


class Letterbox:
    """Runs the command in `EXAMPLE_LETTERBOX` with the question as JSON on its standard input.

    What it prints is the answer: a key, a label or text. Nothing printed is no answer, and the gate fails closed.
    """

    def __init__(self) -> None:
        self._inner = CallbackInterviewer(self._ask)

    def ask(self, question: Question, waiting: Waiting, /) -> Answer:
        return self._inner.ask(question, waiting)  # keeps the time limit and the stop of the run

    def _ask(self, question: Question) -> Answer:
        command = shlex.split(os.environ.get("EXAMPLE_LETTERBOX", ""))
        if not command:
            raise ValueError("EXAMPLE_LETTERBOX does not say which program asks")
        done = subprocess.run(command, input=json.dumps(question.to_json()), capture_output=True, text=True, check=True)
        answer = done.stdout.strip()
        kind = AnswerKind.GIVEN if answer else AnswerKind.SKIPPED
        return Answer(answer, answer, kind=kind, by="letterbox")
