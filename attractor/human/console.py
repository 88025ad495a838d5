"""Asking at the terminal (spec 6.4). One question at a time: branches that ask at once wait their turn.

It is read only where it is a terminal and this process is in its foreground: reading from the background would stop
the whole engine. What was typed before a question was shown is thrown away, so that it cannot answer it.
"""

from __future__ import annotations

import os
import termios
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import TracebackType

from attractor.contracts import Answer, AnswerKind, Question, QuestionType, Waiting
from attractor.human.matching import find_option, problem_with, shown, unanswered

TRIES = 3
READ_BYTES = 4096


def has_console(input_fd: int = 0, output_fd: int = 2) -> bool:
    """Whether a person sits there: both are terminals."""
    return os.isatty(input_fd) and os.isatty(output_fd)


@dataclass(frozen=True, slots=True)
class Console:
    """A terminal. `write` shows a text as it is, without a newline of its own."""

    write: Callable[[str], None]
    input_fd: int = 0
    turn: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class ConsoleSession:
    """One question at the terminal, from its turn to its end. Use as a context manager.

    `elsewhere` is a command that answers, too. `refused` is what ended the asking here without an answer: Ctrl-D, or
    as many answers that name no option as are allowed.
    """

    console: Console
    question: Question
    elsewhere: str = ""
    refused: Answer | None = None
    _mine: bool = False
    _emptied: bool = False
    _tries: int = 0
    _typed: bytes = b""

    def __enter__(self) -> ConsoleSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mine:
            self._mine = False
            self.console.turn.release()

    def fds(self) -> list[int]:
        """What to wait on before the next `look`. Shows the question when its turn comes, and once more when the engine
        comes to the foreground later.
        """
        if self.refused is not None:
            return []
        begins = not self._mine and self.console.turn.acquire(blocking=False)
        self._mine = self._mine or begins
        if not self._mine:
            return []
        readable = self._in_foreground()
        if readable and not self._emptied:
            self._emptied = begins = True
            with suppress(termios.error):
                termios.tcflush(self.console.input_fd, termios.TCIFLUSH)
        if begins:  # behind the emptying: what is typed from here on counts
            self._show()
        return [self.console.input_fd] if readable else []

    def look(self, ready: Collection[int]) -> Answer | None:
        """The answer that was typed, None while there is none."""
        if self.console.input_fd not in ready:
            return None
        try:
            read = os.read(self.console.input_fd, READ_BYTES)
        except OSError:
            read = b""  # the terminal has gone
        self._typed += read
        line, newline, rest = self._typed.partition(b"\n")
        if not newline:
            if not read:
                self._refuse(Answer(kind=AnswerKind.SKIPPED, by="console"))
            return None
        self._typed = rest
        return self._judge(line.decode(errors="replace").strip())

    def _judge(self, typed: str) -> Answer | None:
        free = self.question.type is QuestionType.FREEFORM
        answer = Answer(text=typed, by="console") if free else Answer(typed, by="console")
        problem = problem_with(self.question, answer)
        if not problem:
            return answer
        self._tries += 1
        if self._tries >= TRIES:
            self._refuse(answer)
            return None
        self.console.write(f"{plain(problem)}\n{_prompt(self.question)}")
        return None

    def _refuse(self, answer: Answer) -> None:
        self.refused = answer
        self.console.write("\nnot answered here" + (f"; answer with: {self.elsewhere}\n" if self.elsewhere else "\n"))
        self.__exit__(None, None, None)

    def tell(self, answer: Answer) -> None:
        """Say what the question was answered with, where it stands on the terminal and it was not answered there."""
        if not self._mine or answer.by == "console":
            return
        option = find_option(self.question, answer.value)
        words = shown(option) if option else answer.text or answer.value or answer.kind.value
        who = f" by {answer.who}" if answer.who else ""
        self.console.write(f"\n{self.question.stage}: {plain(words)} ({answer.by or 'no answer'}{plain(who)})\n")

    def _show(self) -> None:
        question = self.question
        lines = [f"[?] {question.stage}: {question.text}", *(f"  {shown(option)}" for option in question.options)]
        if question.timeout_seconds is not None:
            default = find_option(question, question.default)
            then = shown(default) if default else "the gate fails"
            lines.append(f"  (after {question.timeout_seconds:g} s without an answer: {then})")
        self.console.write(plain("\n".join(lines)) + "\n" + _prompt(question))

    def _in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self.console.input_fd) == os.getpgrp()
        except OSError:
            return False


def _prompt(question: Question) -> str:
    if question.type is QuestionType.FREEFORM:
        return "> "
    return f"[{'/'.join(option.key for option in question.options)}]: "


def plain(text: str) -> str:
    """Without control characters: a graph's text must not steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


@dataclass(frozen=True, slots=True)
class ConsoleInterviewer:
    """The terminal alone. An answer that names no option is asked again, three times in all; Ctrl-D refuses."""

    console: Console

    def ask(self, question: Question, waiting: Waiting, /) -> Answer:
        waiting.begin()
        with ConsoleSession(self.console, question) as session:
            while (kind := waiting.over) is None:
                answer = session.look(waiting.pause(session.fds()))
                if answer is not None or session.refused is not None:
                    return answer or replace(session.refused or Answer())
            answer = unanswered(question, kind)
            session.tell(answer)
            return answer
