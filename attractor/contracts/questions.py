"""What a human gate asks, what a person answers, and whoever carries the one to the other (spec 6.1 to 6.3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class QuestionType(StrEnum):
    """What may be answered (spec 6.2). CONFIRMATION is a yes/no whose no leads nowhere: the gate fails then."""

    YES_NO = "yes_no"
    MULTIPLE_CHOICE = "multiple_choice"
    FREEFORM = "freeform"
    CONFIRMATION = "confirmation"


@dataclass(frozen=True, slots=True)
class Option:
    """One choice. `key` is what a person types, unique among the question's; `label` is without it; `target` is a node
    id, '' for none.
    """

    key: str
    label: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked at one visit of a gate.

    `id` is the same when an attempt is repeated or the run resumed, and another one at the next visit. `default` is
    the key of the option taken when nobody answers in time, '' for none; `timeout_seconds` None waits for ever.
    `repeats`: after a timeout without a default it is asked again, so an answer that comes meanwhile counts.
    """

    id: str
    text: str
    type: QuestionType
    stage: str
    options: tuple[Option, ...] = ()
    default: str = ""
    timeout_seconds: float | None = None
    repeats: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As in `question.json`; what is empty is left out."""
        data: dict[str, Any] = {"id": self.id, "stage": self.stage, "type": self.type.value, "text": self.text}
        data["options"] = [{"key": o.key, "label": o.label, "target": o.target} for o in self.options]
        if self.default:
            data["default"] = self.default
        if self.timeout_seconds is not None:
            data["timeout_seconds"] = self.timeout_seconds
        if self.repeats:
            data["repeats"] = True
        if self.metadata:
            data["metadata"] = dict(self.metadata)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Question:
        """Inverse of `to_json`; KeyError, ValueError or TypeError for anything else."""
        known = dict(data)
        return cls(
            type=QuestionType(known.pop("type")), options=tuple(Option(**o) for o in known.pop("options")), **known
        )


class AnswerKind(StrEnum):
    """GIVEN by a person (or in their place), SKIPPED: refused, TIMEOUT: none came, STOPPED: the run is to end."""

    GIVEN = "given"
    SKIPPED = "skipped"
    TIMEOUT = "timeout"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came (spec 6.3). `value`: a key, label or target, as written; `text`: free text.

    `by` is the way it came: console, file, queue, callback, simulated, auto, default. `who`: the person, as the
    system knows them; '' unknown. `at`: RFC 3339, '' unknown.
    """

    value: str = ""
    text: str = ""
    kind: AnswerKind = AnswerKind.GIVEN
    by: str = ""
    who: str = ""
    at: str = ""

    def to_json(self) -> dict[str, str]:
        """As in `answer.json`; what is empty is left out."""
        fields = ("value", "text", "by", "who", "at")
        return {"kind": self.kind.value} | {name: value for name in fields if (value := getattr(self, name))}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Answer:
        """Inverse of `to_json`; TypeError or ValueError for anything else. `kind` may be left out."""
        known = dict(data)
        kind = AnswerKind(known.pop("kind", AnswerKind.GIVEN.value))
        for name, value in known.items():
            if not isinstance(value, str):
                raise TypeError(f"{name} must be text")
        return cls(kind=kind, **known)


class Waiting(Protocol):
    """The wait for one answer: its time limit, and the stop of the run."""

    def begin(self) -> None:
        """Say, once, that the question can be answered from now on. Left out where nobody is waited for."""
        ...

    @property
    def over(self) -> AnswerKind | None:
        """TIMEOUT or STOPPED once there is no more waiting; None before."""
        ...

    def pause(self, fds: Collection[int] = (), seconds: float = 0.05) -> frozenset[int]:
        """Wait until one of `fds` is readable, `seconds` have passed or the wait is over: what is readable."""
        ...


class Interviewer(Protocol):
    """One way to reach a person (spec 6.1). Called from several threads where branches ask at the same time."""

    def ask(self, question: Question, waiting: Waiting, /) -> Answer:
        """The answer, once there is one. With `waiting.over`, an answer of that kind. What it means is the gate's to
        judge: a GIVEN one may name no option.
        """
        ...
