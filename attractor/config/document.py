"""A YAML or JSON file as values that know where they stand. Knows nothing of what the keys mean.

Bounded: an alias is refused (with them, a short file can unfold into gigabytes), and so is nesting without end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from attractor.errors import ConfigError

MAX_BYTES = 4 << 20
MAX_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar, a list of values, or a mapping of keys to values. `line` and `column` are 1-based."""

    file: str
    line: int
    column: int
    content: Any  # str | int | float | bool | None | list[Value] | dict[str, Value]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


def read_document(path: Path) -> Value:
    """The document in a file. ConfigError with file, line and column for anything unreadable."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"the file has more than {MAX_BYTES} bytes", place=str(path))
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", place=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 text: byte {error.start} is wrong", place=str(path)) from error
    return parse_document(text, str(path))


def parse_document(text: str, file: str) -> Value:
    """`read_document` for text already in hand."""
    try:
        _refuse_aliases(yaml.parse(text, Loader=yaml.SafeLoader), file)
        loader = _Loader(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        place = _place(file, error.problem_mark or error.context_mark)
        raise ConfigError(f"is not valid YAML: {error.problem or error.context}", place=place) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"is not valid YAML: {error or 'nested too deeply'}", place=file) from error
    if node is None:
        return Value(file, 1, 1, {})
    return _convert(loader, node, file, 0)


class _Loader(yaml.SafeLoader):
    """The safe loader; only its scalar constructors are used."""


def _place(file: str, mark: Any) -> str:
    """`file:line:column` for one of YAML's marks, which count from 0; the file alone without one."""
    return file if mark is None else f"{file}:{mark.line + 1}:{mark.column + 1}"


def _refuse_aliases(events: Iterator[yaml.Event], file: str) -> None:
    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError("YAML aliases (*name) are not accepted", place=_place(file, event.start_mark))
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ConfigError(f"nested deeper than {MAX_DEPTH} levels", place=file)


def _convert(loader: _Loader, node: yaml.Node, file: str, depth: int) -> Value:
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in mapping:
                raise ConfigError(f"key {key!r} stands twice", place=_place(file, key_node.start_mark))
            mapping[key] = _convert(loader, value_node, file, depth + 1)
        return Value(file, line, column, mapping)
    if isinstance(node, yaml.SequenceNode):
        return Value(file, line, column, [_convert(loader, item, file, depth + 1) for item in node.value])
    try:
        return Value(file, line, column, loader.construct_object(node))
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"cannot be read: {error}", place=f"{file}:{line}:{column}") from error
