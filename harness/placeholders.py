"""Fills in the placeholders a scenario's texts may hold: `{scratch}`, `{repo}`, `{gate:NAME}`, ...

Only known forms are replaced, because graphs are full of braces. Pure.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["KNOWN", "doubtful", "fill", "fill_all", "gate_names"]

KNOWN = frozenset({"case", "scratch", "repo", "logs", "logs_root", "run_id", "gate", "axis", "canary"})
_PATTERN = re.compile(r"(?<!\$)\{(?P<key>[a-z_]+)(?::(?P<name>[\w-]+))?\}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """`{key}` from values; `{gate:NAME}` and other two-part forms from values["gate:"] with NAME appended."""

    def replacement(match: re.Match[str]) -> str:
        key, name = match["key"], match["name"]
        if name is None:
            return values.get(key, match[0])
        exact = values.get(f"{key}:{name}")
        return exact if exact is not None else match[0]

    return _PATTERN.sub(replacement, text)


def fill_all(value: Any, values: Mapping[str, str]) -> Any:
    """The same for every text inside lists and tables."""
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, list | tuple):
        return type(value)(fill_all(item, values) for item in value)
    if isinstance(value, Mapping):
        return {fill(key, values): fill_all(item, values) for key, item in value.items()}
    return value


def gate_names(text: str) -> set[str]:
    return {match["name"] for match in _PATTERN.finditer(text) if match["key"] == "gate" and match["name"]}


def doubtful(text: str, *, in_graph: bool) -> list[str]:
    """What looks like a placeholder and is none. Graphs are full of braces, so there only a near miss counts."""
    found = [match["key"] for match in _PATTERN.finditer(text) if match["key"] not in KNOWN]
    return [key for key in found if difflib.get_close_matches(key, KNOWN, n=1, cutoff=0.75)] if in_graph else found
