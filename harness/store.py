"""The report directory on disk: where a session's progress and its cases' results are kept.

    <report_dir>/
      events.ndjson                progress of the session, one ProgressEvent a line
      cases/<slug>/result.json     one CaseResult, written when the case ends
      cases/<slug>/...             its artifacts

Rules: a progress line is one `write` on a file opened for appending, so that workers never tear each
other's lines; a result is written aside and renamed into place. Knows values from `results.py`, not
how a case is run or shown.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from harness.errors import HarnessError
from harness.results import CaseResult, ProgressEvent, from_json, progress_from_json, to_json

__all__ = ["CASES", "EVENTS", "ReportDirectory", "case_slug"]

EVENTS = "events.ndjson"
LOCK = ".lock"
_VALUE = r"\w+=[\w.-]*[\w.]"
_PLAIN_ID = re.compile(rf"[\w./-]+(\[{_VALUE}(,{_VALUE})*\])?", re.ASCII)
CASES = "cases"


def case_slug(case_id: str) -> str:
    """A directory name for a case id: readable, the same every time, and no other case's.

    Axis values may be empty or hold anything; what an id loses on the way into a file name is made up for by a digest.
    """
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", case_id.replace("/", "--")).strip("-.")
    if _PLAIN_ID.fullmatch(case_id):
        return readable
    return f"{readable}-{hashlib.sha256(case_id.encode(errors='surrogatepass')).hexdigest()[:8]}"


class ReportDirectory:
    """Reads and writes one report directory; makes it when something is written."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Hold the directory for one session. HarnessError where another one uses it: each would remove the
        other's sandboxes. The kernel gives the lock back however the session ends.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                raise HarnessError(
                    f"{self.path} is in use by another session (process {holder}): "
                    "wait for it, or choose another place with --report-dir"
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def begin(self) -> None:
        """Forget an earlier session, keeping the directory itself."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / EVENTS).unlink(missing_ok=True)
        shutil.rmtree(self.path / CASES, ignore_errors=True)

    def case_dir(self, case_id: str) -> Path:
        return self.path / CASES / case_slug(case_id)

    def append(self, event: ProgressEvent) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / EVENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, to_json(event) + b"\n")
        finally:
            os.close(descriptor)

    def events(self) -> Iterator[ProgressEvent]:
        """Complete lines only: the last one may still be on its way."""
        try:
            data = (self.path / EVENTS).read_bytes()
        except FileNotFoundError:
            return
        for line in data.splitlines(keepends=True):
            if line.endswith(b"\n"):
                yield progress_from_json(line)

    def write_result(self, result: CaseResult) -> Path:
        directory = self.case_dir(result.case_id)
        directory.mkdir(parents=True, exist_ok=True)
        target = directory / "result.json"
        aside = directory / f".result.{os.getpid()}"
        aside.write_bytes(msgspec.json.format(to_json(result), indent=2) + b"\n")
        aside.replace(target)
        return target

    def results(self) -> list[CaseResult]:
        """All results found, sorted by case id."""
        found = [from_json(path.read_bytes()) for path in (self.path / CASES).glob("*/result.json")]
        return sorted(found, key=lambda result: result.case_id)
