"""Reads what a case left in its directory, and nothing outside of it.

Rules: every path is resolved and must lie inside the case's directory, itself inside the report's; no
link is followed out of it; at most `_MOST_BYTES` of a file are read, and what was left out is told.
A missing or unreadable file is a sentence in the page, never an error. Parsing is in `case_evidence`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar
from urllib.parse import quote

from harness.report.case_evidence import (
    Commit,
    Event,
    Turn,
    read_commits,
    read_events,
    read_turns,
)
from harness.report.wording import one_line
from harness.results import CaseResult

__all__ = ["CaseEvidence", "KeptFile", "Sheet", "gather"]

Row = TypeVar("Row")

_MOST_BYTES = 2_000_000
_MOST_FILES = 2_000  # looked at; the page shows fewer
# Directories whose content is a copy of what is told elsewhere.
_OPAQUE = frozenset({".git", "worktree", "__pycache__"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    path: str  # relative to the case's directory
    title: str
    octets: int
    href: str  # relative to the report, empty when it must not be linked


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sheet(Generic[Row]):
    """The rows of one evidence file, and what a reader should know about them."""

    title: str
    href: str
    rows: tuple[Row, ...]
    note: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseEvidence:
    graph: str = ""
    events: tuple[Sheet[Event], ...] = ()
    commits: tuple[Sheet[Commit], ...] = ()
    turns: tuple[Sheet[Turn], ...] = ()
    files: tuple[KeptFile, ...] = ()
    files_more: int = 0
    problem: str = ""  # why there is nothing


def gather(case: CaseResult, report_dir: Path) -> CaseEvidence:
    """Everything the page shows from the case's directory."""
    if not case.case_dir:
        return CaseEvidence(problem="the case left no directory")
    root = _inside(report_dir, case.case_dir)
    if root is None:
        return CaseEvidence(problem="its directory lies outside of the report")
    if not root.is_dir():
        return CaseEvidence(problem=f"its directory {one_line(case.case_dir)} is not there")
    reader = _Reader(case, report_dir, root)
    files, more = reader.files()
    graph = next((data for _, _, data, _ in reader.artifacts("graph")), b"")
    return CaseEvidence(
        graph=graph.decode("utf-8", "replace").lstrip("\ufeff"),
        events=reader.sheets("progress", read_events),
        commits=reader.sheets("git_log", lambda data: (read_commits(data), 0)),
        turns=reader.sheets("turns", lambda data: (read_turns(data), 0)),
        files=files,
        files_more=more,
    )


def _inside(root: Path, relative: str) -> Path | None:
    """The path when it stays inside the root, links followed."""
    try:
        path = (root / relative).resolve()
        return path if path.is_relative_to(root.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # a null byte, a loop of links, a name too long
        return None


class _Reader:
    def __init__(self, case: CaseResult, report_dir: Path, root: Path) -> None:
        self._case, self._report_dir, self._root = case, report_dir, root

    def artifacts(self, name: str) -> Iterator[tuple[str, str, bytes, str]]:
        """Title, path, content and a note on what was cut, of each readable artifact of that name."""
        for artifact in self._case.artifacts:
            path = _inside(self._root, artifact.path) if artifact.name == name else None
            if path is None or not path.is_file():
                continue
            try:
                with path.open("rb") as file:
                    data = file.read(_MOST_BYTES + 1)
            except OSError:
                continue
            note = ""
            if len(data) > _MOST_BYTES:
                data = data[: data.rfind(b"\n", 0, _MOST_BYTES) + 1]
                note = f"only the first {_MOST_BYTES // 1_000_000} MB were read"
            yield artifact.title or artifact.name, artifact.path, data, note

    def sheets(self, name: str, parse: Callable[[bytes], tuple[list[Row], int]]) -> tuple[Sheet[Row], ...]:
        sheets = []
        for title, path, data, note in self.artifacts(name):
            rows, unreadable = parse(data)
            if unreadable:
                torn = f"{unreadable} line{'s' if unreadable != 1 else ''} could not be read"
                note = f"{note}; {torn}" if note else torn
            sheets.append(Sheet(title=title, href=self._href(path), rows=tuple(rows), note=note))
        return tuple(sheets)

    def files(self) -> tuple[tuple[KeptFile, ...], int]:
        """Named artifacts first, then the rest by path; and how many were not looked at."""
        titles = {artifact.path: artifact.title or artifact.name for artifact in self._case.artifacts}
        found: list[KeptFile] = []
        more = 0
        for relative, octets, link in self._walk():
            if len(found) >= _MOST_FILES:
                more += 1
                continue
            href = "" if link else self._href(relative)
            title = "symbolic link" if link else titles.get(relative, "")
            found.append(KeptFile(path=relative, title=title, octets=octets, href=href))
        found.sort(key=lambda file: (file.path not in titles, file.path))
        return tuple(found), more

    def _walk(self) -> Iterator[tuple[str, int, bool]]:
        for directory, names, files in os.walk(self._root):
            names[:] = sorted(name for name in names if name not in _OPAQUE)
            for name in sorted(files):
                path = Path(directory, name)
                try:
                    yield path.relative_to(self._root).as_posix(), path.lstat().st_size, path.is_symlink()
                except OSError:
                    continue

    def _href(self, relative: str) -> str:
        joined = PurePosixPath(self._case.case_dir, relative)
        return quote(str(joined).encode("utf-8", "surrogateescape"))
