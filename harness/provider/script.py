"""The script of a provider: answers in order, and which of them a request gets. Pure.

Rules:

- An answer is one reply to one request. A tool call is an answer; what the model says after it is the next.
- The last answer is repeated for ever: programs retry in their own numbers, and a script that ran out
  in the middle of that would test the script.
- Answers with `when` form a list of their own, for requests that contain that text (a node's prompt, say);
  each list is gone through separately. The first list whose text is found is taken, then the one without.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["KINDS", "PROVIDERS", "Answer", "Script"]

PROVIDERS = ("openai", "anthropic", "google")

# What an answer can be; each has exactly one of these.
KINDS = ("text", "write", "shell", "http", "hang", "garbage", "refuse")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One reply. Of the fields in KINDS exactly one is set; the rest say how it is sent."""

    text: str | None = None  # the model speaks and is done
    write: Mapping[str, str] | None = None  # calls the program's tool for writing files
    shell: str | None = None  # calls the program's tool for commands
    http: int | None = None  # an error status
    hang: bool = False  # never answered
    garbage: bool = False  # bytes that are no stream
    refuse: bool = False  # nothing listens any more
    message: str = ""  # of an error status
    code: str = ""  # of an error status, as the provider spells it
    body: str | None = None  # of an error status, instead of the provider's usual one
    retry_after: float | None = None  # of an error status, in seconds
    cut_after_events: int | None = None  # the stream ends there, closed in an orderly way
    cut_after_bytes: int | None = None  # the connection breaks off there
    bytes_per_second: float | None = None
    delay: float = 0.0  # seconds before the first byte
    input_tokens: int = 11
    output_tokens: int = 7
    times: int = 1
    when: str = ""

    def __post_init__(self) -> None:
        kinds = self.kinds
        if len(kinds) != 1:
            raise ValueError(f"an answer has exactly one of {', '.join(KINDS)}; found {', '.join(kinds) or 'none'}")
        if self.http is not None and not 400 <= self.http <= 599:
            raise ValueError(f"http is an error status, 400 to 599, not {self.http}")

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(name for name in KINDS if getattr(self, name) not in (None, False))

    @property
    def kind(self) -> str:
        return self.kinds[0]

    def to_json(self) -> dict[str, Any]:
        """Only what was set; `Answer(**to_json())` gives it back."""
        pairs = ((field.name, field.default, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {name: value for name, default, value in pairs if value != default}


class Script:
    """Where in its lists of answers one provider is."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._lists: dict[str, list[tuple[int, Answer]]] = {}
        for number, answer in enumerate(answers):
            self._lists.setdefault(answer.when, []).extend([(number, answer)] * answer.times)
        self._next = dict.fromkeys(self._lists, 0)

    def take(self, request: str) -> tuple[int, Answer] | None:
        """The answer for a request with that text and its number in the script; None when there is none."""
        when = self._list_for(request)
        if when is None:
            return None
        answers = self._lists[when]
        place = self._next[when]
        self._next[when] = place + 1
        return answers[min(place, len(answers) - 1)]

    def refuses_next(self) -> bool:
        """Whether any list has come to a `refuse`: a closed port is closed for all."""
        return any(answers[min(self._next[when], len(answers) - 1)][1].refuse for when, answers in self._lists.items())

    def _list_for(self, request: str) -> str | None:
        found = next((when for when in self._lists if when and when in request), None)
        return found if found is not None else "" if "" in self._lists else None
