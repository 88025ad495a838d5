"""Asking a function of the program that embeds the engine (spec 6.4)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from attractor.contracts import Answer, Question, Waiting
from attractor.human.matching import unanswered


@dataclass(frozen=True, slots=True)
class CallbackInterviewer:
    """Calls `callback` in a thread of its own, so that neither a stop nor the time limit waits for it.

    A callback that has not returned by then is left to itself, and what it returns later is lost. What it raises fails
    the gate.
    """

    callback: Callable[[Question], Answer | str]

    def ask(self, question: Question, waiting: Waiting, /) -> Answer:
        done: SimpleQueue[Answer | str | BaseException] = SimpleQueue()
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC)

        def call() -> None:
            try:
                done.put(self.callback(question))
            except BaseException as error:
                done.put(error)
            with suppress(OSError):  # nobody reads any more
                os.close(write_fd)

        threading.Thread(target=call, name=f"question {question.id}", daemon=True).start()
        waiting.begin()
        try:
            while (kind := waiting.over) is None:
                if waiting.pause([read_fd], 1.0):
                    return _result(done)
            return unanswered(question, kind)
        finally:
            os.close(read_fd)


def _result(done: SimpleQueue[Answer | str | BaseException]) -> Answer:
    try:
        result = done.get_nowait()
    except Empty:
        raise RuntimeError("the callback ended without an answer") from None
    if isinstance(result, BaseException):
        raise result
    return Answer(result, by="callback") if isinstance(result, str) else result
