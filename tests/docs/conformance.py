"""docs/conformance.md: each line of the definition of done with the tests that are marked to show it.

Test files are parsed, never imported: the page must come out the same where optional libraries are missing. So a marker
counts only where it can be read without running anything: as a decorator, with literal ids, on what pytest collects.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.docs.definition_of_done import LINES, SECTIONS, Line

TESTS = Path(__file__).parents[1]
MARK = ("pytest.mark", "mark")


class MarkerError(Exception):
    """Markers that show nothing; one line each, with the file and what the marker stands on."""


class Shown(NamedTuple):
    """A test that shows a line. `path` is relative to the folder of all tests."""

    name: str
    path: str


def read_markers(root: Path, known: Collection[str]) -> dict[str, list[Shown]]:
    """Line id -> the tests below `root` that are marked with it, in alphabetical order; MarkerError for bad markers."""
    found: dict[str, list[Shown]] = {line_id: [] for line_id in known}
    problems: list[str] = []
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"), relative)
        counted: set[ast.AST] = set()
        for test in _collected(tree, path.name):
            for marker in _markers(*test.decorator_list):
                counted.add(marker)
                for line_id in _ids(test, marker):
                    if line_id in found:
                        found[line_id].append(Shown(test.name, relative))
                    else:
                        problems.append(f"{relative}::{test.name}: {line_id!r} is no line of the definition of done")
        problems += [
            f"{relative}:{marker.lineno}: the marker on {_owner(tree, marker)} is on nothing that pytest collects"
            for marker in _markers(tree)
            if marker not in counted
        ]
    if problems:
        raise MarkerError("\n".join(problems))
    return {line_id: sorted(set(tests)) for line_id, tests in found.items()}


def _collected(tree: ast.Module, file_name: str) -> Iterator[ast.FunctionDef]:
    """The tests of a file by pytest's default rules."""
    if not file_name.startswith("test_"):
        return
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test")]
    for body in (tree.body, *(each.body for each in classes)):
        yield from (node for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def _markers(*trees: ast.AST) -> Iterator[ast.Attribute]:
    """Every `pytest.mark.spec` in them, called or not."""
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "spec" and ast.unparse(node.value) in MARK:
                yield node


def _ids(test: ast.FunctionDef, marker: ast.Attribute) -> list[str]:
    """The arguments as written: what is no literal text is an id that no line has."""
    for call in test.decorator_list:
        if isinstance(call, ast.Call) and call.func is marker and not call.keywords:
            return [
                each.value if isinstance(each, ast.Constant) and isinstance(each.value, str) else ast.unparse(each)
                for each in call.args
            ] or [""]
    return [""]


def _owner(tree: ast.Module, marker: ast.Attribute) -> str:
    """What the marker was meant for, as far as it can be told."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and any(
            marker in _markers(decorator) for decorator in node.decorator_list
        ):
            return node.name
    return "no function"


def page(tests: Mapping[str, list[Shown]]) -> str:
    """The page as Markdown."""
    parts = [
        "# Conformance",
        (
            "What the [Attractor specification](https://github.com/strongdm/attractor) asks of a finished engine "
            "(its section 11), in our words, with the tests that show it. Made by `make docs` from the markers "
            "`@pytest.mark.spec` of the tests; do not edit."
        ),
    ]
    for section, title in SECTIONS.items():
        rows = ["| line | statement | tests | note |", "| --- | --- | --- | --- |"]
        rows += [_row(line, tests[line.id]) for line in LINES if line.section == section]
        parts += [f"## {section} {title}", "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def _row(line: Line, tests: list[Shown]) -> str:
    links = [f"[{_words(name)}](../tests/{path})" for name, path in tests]
    cells = (line.id, line.statement, "<br>".join(links) or ("optional" if line.optional else "none"), line.note)
    return f"| {' | '.join(cells)} |"


def _words(name: str) -> str:
    """A test's name as a claim, which a table can wrap."""
    return re.sub(r"_s(?=_|$)", "'s", name.removeprefix("test_")).replace("_", " ")
