"""Reads one TOML file strictly: every problem at once, each with its place in the file.

Rules: a key nobody asked for is a problem, with the nearest known key as a suggestion; so is a value of
another type. tomllib keeps no positions, so a problem's line is found by searching the text along the
key's path: right in all but contrived files, and only ever used in messages. Knows TOML, not scenarios.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Problem", "Problems", "ScenarioError", "Table", "line_of"]

KeyPath = tuple[str | int, ...]
_STRING = re.compile(r"'''.*?'''|\"\"\".*?\"\"\"|'[^'\n]*'|\"(?:\\.|[^\"\\\n])*\"|#[^\n]*", re.DOTALL)


class ScenarioError(ValueError):
    """A scenario file that cannot be used. The author of the file must act."""

    def __init__(self, path: Path, problems: Iterable[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def show_path(path: KeyPath) -> str:
    """`steps[2].wait.seconds`; steps are counted from 1, as people do."""
    text = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the file"


def line_of(text: str, path: KeyPath) -> int:
    """1-based line where the deepest findable part of the path stands."""
    blank = _STRING.sub(_blanked, text)
    position, found, name = 0, 0, ""
    for part in path:
        if isinstance(part, str):
            name = part
            hit = re.compile(rf"(?<![\w-]){re.escape(part)}(?![\w-])[\"']?\s*[]=.]").search(blank, position)
            offset = hit.start() if hit else None
        else:
            offset = _element(blank, position, name, part)
        if offset is None:
            break
        position = found = offset
    return blank.count("\n", 0, found) + 1


def _blanked(match: re.Match[str]) -> str:
    """Strings and comments without their text, so that nothing in them is taken for a key; quoted keys stay."""
    is_key = match.string[match.end() : match.end() + 8].lstrip(" ").startswith("=")
    return match[0] if is_key else re.sub(r"[^\n]", " ", match[0])


def _element(blank: str, position: int, name: str, index: int) -> int | None:
    """Offset of the index-th element of the array `name` found at `position`."""
    headers = list(re.finditer(rf"^\s*\[\[\s*{re.escape(name)}\s*\]\]", blank, re.MULTILINE))
    if headers:
        return headers[index].end() if index < len(headers) else None
    start = blank.find("[", position)
    depth, seen = 0, 0
    for offset in range(start, len(blank)) if start >= 0 else ():
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(blank[offset], 0)
        if depth == 0:
            return None
        if depth == 2 and blank[offset] in "[{":
            if seen == index:
                return offset
            seen += 1
    return None


class Problem:
    """One complaint and the key it is about."""

    def __init__(self, path: KeyPath, text: str) -> None:
        self.path = path
        self.text = text


class Problems:
    """Collects what is wrong with one file."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.found: list[Problem] = []

    def add(self, path: KeyPath, text: str) -> None:
        self.found.append(Problem(path, text))

    def raise_if_any(self) -> None:
        if self.found:
            raise ScenarioError(self.path, map(self._line, self.found))

    def _line(self, problem: Problem) -> str:
        place = f"{self.path}:{line_of(self.text, problem.path)}"
        return f"{place}: {show_path(problem.path)}: {problem.text}"


_TYPE_NAMES: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    dict: "a table",
    list: "a list",
}


def type_name(value: object) -> str:
    return _TYPE_NAMES.get(type(value), type(value).__name__)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    options = sorted(known)
    close = difflib.get_close_matches(word, options, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(options)}"


class Table:
    """A TOML table being read: each key is asked for once; `finish` complains about the rest."""

    def __init__(self, data: Mapping[str, Any], path: KeyPath, problems: Problems) -> None:
        self.data = data
        self.path = path
        self.problems = problems
        self.asked: set[str] = set()

    def has(self, key: str) -> bool:
        return key in self.data

    def complain(self, key: str, text: str) -> None:
        self.problems.add((*self.path, key), text)

    def get(self, key: str, kinds: tuple[type, ...], default: Any = None, *, required: bool = False) -> Any:
        self.asked.add(key)
        if key not in self.data:
            if required:
                self.problems.add(self.path, f"{key!r} is missing")
            return default
        value = self.data[key]
        if type(value) not in kinds:  # exact: bool is no number here
            wanted = " or ".join(_TYPE_NAMES[kind] for kind in kinds)
            self.complain(key, f"expected {wanted}, found {type_name(value)} {value!r}")
            return default
        return value

    def text(self, key: str, default: str = "", *, required: bool = False) -> str:
        value: str = self.get(key, (str,), default, required=required)
        if required and key in self.data and not value.strip():
            self.complain(key, "must not be empty")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        value: bool = self.get(key, (bool,), default)
        return value

    def number(self, key: str, default: float) -> float:
        value = self.get(key, (int, float), default)
        if value <= 0:
            self.complain(key, f"must be more than 0, found {value!r}")
        return float(value)

    def choice(self, key: str, options: Iterable[str], default: str) -> str:
        known = [str(option) for option in options]
        value = self.text(key, default)
        if value not in known:
            self.complain(key, f"no such value: {value!r}; {did_you_mean(value, known)}")
            return default
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, or one text standing for a list of one."""
        value = self.get(key, (list, str), [])
        items = [value] if isinstance(value, str) else value
        return tuple(item for index, item in enumerate(items) if self._is_text(item, key, index))

    def _is_text(self, item: object, key: str, index: int) -> bool:
        if isinstance(item, str):
            return True
        self.problems.add((*self.path, key, index), f"expected text, found {type_name(item)} {item!r}")
        return False

    def text_map(self, key: str) -> dict[str, str]:
        table = self.get(key, (dict,), {})
        for name, value in table.items():
            if not isinstance(value, str):
                found = f"{type_name(value)} {value!r}"
                self.problems.add((*self.path, key, name), f"expected text, found {found}")
        return {name: value for name, value in table.items() if isinstance(value, str)}

    def items(self, key: str) -> list[Any]:
        value: list[Any] = self.get(key, (list,), [])
        return value

    def table(self, key: str) -> Table:
        return Table(self.get(key, (dict,), {}), (*self.path, key), self.problems)

    def each_table(self, key: str, use: Callable[[Table], None]) -> None:
        """Calls `use` with every element of a list of tables, then checks for keys it did not ask for."""
        for index, item in enumerate(self.items(key)):
            path = (*self.path, key, index)
            if isinstance(item, dict):
                element = Table(item, path, self.problems)
                use(element)
                element.finish()
            else:
                self.problems.add(path, f"expected a table, found {type_name(item)} {item!r}")

    def finish(self) -> None:
        for key in self.data:
            if key not in self.asked:
                self.complain(key, f"unknown key {key!r}; {did_you_mean(key, self.asked)}")
