"""`questions.d/<id>/`: what human gates ask and what was answered, for any process that may look into the run.

`question.json` is the engine's. `answer.json` is whoever's comes first: it is put there by `link`, which fails where
the name exists, so exactly one answer wins and everybody else reads it. Its presence settles the question. An answer
that the engine cannot use goes to `rejected.<n>.json`, the reason beside it, and the question is open again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attractor.contracts import Answer, NotReadable, Question, read_json
from attractor.errors import RunDirectoryError
from attractor.rundir.files import make_directory, pretty_json, read_regular, sync_directory, write_atomic
from attractor.rundir.layout import Layout

NAME_LENGTH = 200
MAX_ANSWER_BYTES = 1 << 20
# An answer.json that is no JSON may be one that somebody is writing by hand: so long it is looked at again.
WRITING_SECONDS = 1.0
LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A question without an answer. `waiting`: an engine was asking it when it last wrote; `rejected`: why the newest
    answer could not be used, '' for none.
    """

    question: Question
    asked_at: str
    waiting: bool
    rejected: str


@dataclass(frozen=True, slots=True)
class QuestionPlace:
    """The folder of one question."""

    root: Path

    @property
    def question(self) -> Path:
        return self.root / "question.json"

    @property
    def answer(self) -> Path:
        return self.root / "answer.json"

    def publish(self, question: Question, asked_at: str, *, waiting: bool) -> None:
        """Tell everybody that this is asked, or, with `waiting` off, that nobody is there to take an answer now."""
        make_directory(self.root)
        record = {"asked_at": asked_at, "waiting": waiting, **question.to_json()}
        write_atomic(self.question, pretty_json(record), durable=False)

    def settle(self, answer: Answer) -> Answer:
        """Make this the answer, unless there is one: the answer that counts. It is on disk when this returns.

        Raises RunDirectoryError where neither can be had.
        """
        temporary = self.root / f"answer.{os.getpid()}.{secrets.token_hex(4)}"
        write_atomic(temporary, pretty_json(answer.to_json()))
        deadline = time.monotonic() + 2 * WRITING_SECONDS
        try:
            while True:
                with suppress(FileExistsError):
                    os.link(temporary, self.answer)
                    sync_directory(self.root)
                    return answer
                other = self.read_answer()
                if other is not None:
                    return other
                if time.monotonic() >= deadline:
                    raise RunDirectoryError(f"{self.answer} is in the way, and no answer", hint="remove it")
                time.sleep(LOOK_SECONDS)
        except OSError as error:
            raise RunDirectoryError(f"cannot write {self.answer}: {error.strerror or error}") from error
        finally:
            with suppress(OSError):
                temporary.unlink()

    def read_answer(self) -> Answer | None:
        """The answer that is there, None while there is none. One that is no answer is rejected."""
        try:
            content = read_regular(self.answer, MAX_ANSWER_BYTES, follow=False)
            age_seconds = time.time() - self.answer.stat().st_mtime
        except FileNotFoundError:
            return None
        except OSError as error:
            self.reject(f"it cannot be read: {error.strerror or error}")
            return None
        try:
            return Answer.from_json(read_json(content, dict[str, Any]))
        except NotReadable as error:
            if 0 <= age_seconds < WRITING_SECONDS:
                return None
            self.reject(f'it is not JSON such as {{"value": "..."}}: {error}')
        except (TypeError, ValueError) as error:
            self.reject(f"it is not an answer: {error}")
        return None

    def reject(self, reason: str) -> None:
        """Put the present answer aside and say why, for whoever gave it; the question is open again."""
        number = len(list(self.root.glob("rejected.*.json"))) + 1
        kept = self.root / f"rejected.{number}.json"
        try:
            write_atomic(kept.with_suffix(".txt"), f"{reason}\n".encode(), durable=False)
            self.answer.rename(kept)
        except OSError as error:
            raise RunDirectoryError(f"cannot move {self.answer}: {error.strerror or error}") from error

    def reopen(self) -> None:
        """Take the present answer away; the question is open again."""
        self.answer.unlink(missing_ok=True)

    def open_question(self) -> OpenQuestion | None:
        """What is asked here; None where it is answered, or nothing readable is there."""
        if self.answer.exists():
            return None
        record = self._read_record()
        return OpenQuestion(*record, self._newest_rejection()) if record else None

    def read_question(self) -> Question | None:
        """What is or was asked here; None where nothing readable is there."""
        record = self._read_record()
        return record[0] if record else None

    def _read_record(self) -> tuple[Question, str, bool] | None:
        with suppress(OSError, KeyError, ValueError, TypeError):
            record = read_json(self.question.read_bytes(), dict[str, Any])
            asked_at, waiting = record.pop("asked_at"), record.pop("waiting")
            return Question.from_json(record), asked_at, waiting
        return None

    def _newest_rejection(self) -> str:
        reasons = sorted(self.root.glob("rejected.*.txt"), key=lambda path: int(path.name.split(".")[1]))
        return reasons[-1].read_text(errors="replace").strip() if reasons else ""


def question_place(layout: Layout, question_id: str) -> QuestionPlace:
    """Where a question of the run in `layout` (its base logs root) is. Ids too long for a file name are shortened."""
    name = question_id
    if len(name.encode()) > NAME_LENGTH:
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        name = f"{name[: NAME_LENGTH - 13]}.{digest}"
    return QuestionPlace(layout.questions / name)


def open_questions(layout: Layout) -> Iterator[OpenQuestion]:
    """All that are unanswered, the longest asked first."""
    with suppress(OSError):
        places = [QuestionPlace(entry) for entry in layout.questions.iterdir() if entry.is_dir()]
        found = [place.open_question() for place in places]
        yield from sorted((one for one in found if one is not None), key=lambda one: (one.asked_at, one.question.id))
