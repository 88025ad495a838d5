"""Reads answers out of TOML tables, strictly: every problem with its place. Knows the keys, runs nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.provider.script import KINDS, PROVIDERS, Answer
from harness.toml_table import Problems, ScenarioError, Table, did_you_mean

__all__ = ["read_answer", "read_answers", "read_script"]


def read_script(path: Path) -> dict[str, tuple[Answer, ...]]:
    """A file that holds a list of answers for each provider; raises ScenarioError with every problem."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(path, [f"{path}: {error}"]) from error
    problems = Problems(path, text)
    table = Table(data, (), problems)
    scripts = {provider: read_answers(table, provider) for provider in PROVIDERS if table.has(provider)}
    table.asked |= set(PROVIDERS)
    table.finish()
    problems.raise_if_any()
    return scripts


def read_answers(table: Table, key: str) -> tuple[Answer, ...]:
    answers: list[Answer | None] = []
    table.each_table(key, lambda element: answers.append(read_answer(element)))
    return tuple(answer for answer in answers if answer is not None)


def read_answer(table: Table, others: tuple[str, ...] = ()) -> Answer | None:
    """The answer, or None when it was complained about. `others` are kinds that only the caller knows."""
    values: dict[str, Any] = {}
    for key, kinds in _KEYS.items():
        value = table.get(key, kinds)
        if value is not None:
            values[key] = value
    if "write" in values:
        values["write"] = table.text_map("write")
    for key in _POSITIVE:
        if key in values and values[key] <= 0:
            table.complain(key, f"must be more than 0, found {values.pop(key)!r}")
    if any(other in table.data for other in others):
        return None
    try:
        return Answer(**values)
    except ValueError as error:
        known = (*KINDS, *others)
        strange = [key for key in table.data if key not in _KEYS and key not in others]
        hint = f"; {did_you_mean(strange[0], known)}" if strange else ""
        table.problems.add(table.path, f"{error}{hint}")
        return None


_KEYS: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "write": (dict,),
    "shell": (str,),
    "http": (int,),
    "hang": (bool,),
    "garbage": (bool,),
    "refuse": (bool,),
    "message": (str,),
    "code": (str,),
    "body": (str,),
    "retry_after": (int, float),
    "cut_after_events": (int,),
    "cut_after_bytes": (int,),
    "bytes_per_second": (int, float),
    "delay": (int, float),
    "input_tokens": (int,),
    "output_tokens": (int,),
    "times": (int,),
    "when": (str,),
}
_POSITIVE = ("retry_after", "cut_after_events", "cut_after_bytes", "bytes_per_second", "delay", "times")
