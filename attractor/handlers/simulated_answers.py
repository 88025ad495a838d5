"""Human gates under `--simulate`: a `simulate` script that says what is answered answers in a person's place."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from attractor.backends import parse_simulation
from attractor.contracts import Answer, AnswerKind, Interviewer, Question, Status, Waiting
from attractor.human import unanswered


@dataclass(slots=True)
class SimulatedAnswers:
    """`text='Approve'` is the answer, after `delay`; `hang` gives none, `skipped` and `fail` refuse. A step without
    these asks `inner`. Steps are counted over all questions of a stage.
    """

    inner: Interviewer
    _asked: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, question: Question, waiting: Waiting, /) -> Answer:
        script = question.metadata.get("simulate", "")
        with self._lock:
            asked = self._asked[question.stage] = self._asked.get(question.stage, 0) + 1
        step = parse_simulation(script, f"node {question.stage}: simulate").step(asked)
        refused = step.status in (Status.SKIPPED, Status.FAIL)
        if not (step.text or step.hang or refused):
            return self.inner.ask(question, waiting)
        left = float("inf") if step.hang else step.delay_seconds
        while left > 0 and waiting.over is None:
            part = min(left, 0.05)
            waiting.pause(seconds=part)
            left -= part
        if waiting.over is not None:
            return unanswered(question, waiting.over)
        return Answer(kind=AnswerKind.SKIPPED, by="simulated") if refused else Answer(step.text, by="simulated")
