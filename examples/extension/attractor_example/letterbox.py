"""An interviewer: questions go to a program, which prints the answer. For a chat, a ticket system, a pager."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import tempfile

from attractor import Answer, AnswerKind, Question, Waiting

LOOK_SECONDS = 0.2


class Letterbox:
    """Runs the command in `EXAMPLE_LETTERBOX` with the question as JSON on its standard input.

    What it prints is the answer: a key, a label or text. Nothing printed is no answer, and the gate fails closed. When
    the time for an answer is over, or the run is to stop, the program is ended with all it has started.
    """

    def ask(self, question: Question, waiting: Waiting, /) -> Answer:
        command = shlex.split(os.environ.get("EXAMPLE_LETTERBOX", ""))
        if not command:
            raise ValueError("EXAMPLE_LETTERBOX does not say which program asks")
        with tempfile.TemporaryFile("w+") as asked:
            json.dump(question.to_json(), asked)
            asked.seek(0)
            with subprocess.Popen(
                command, stdin=asked, stdout=subprocess.PIPE, text=True, start_new_session=True
            ) as program:
                waiting.begin()
                return _answer(program, waiting)


def _answer(program: subprocess.Popen[str], waiting: Waiting) -> Answer:
    while (kind := waiting.over) is None:
        try:
            said = program.communicate(timeout=LOOK_SECONDS)[0].strip()
        except subprocess.TimeoutExpired:
            continue
        if program.returncode != 0:
            raise RuntimeError(f"the program that asks ended with exit status {program.returncode}")
        return Answer(said, said, kind=AnswerKind.GIVEN if said else AnswerKind.SKIPPED, by="letterbox")
    os.killpg(program.pid, signal.SIGKILL)
    return Answer(kind=kind, by="letterbox")
