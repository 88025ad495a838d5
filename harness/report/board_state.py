"""What the live board knows: the cases of a session and the state each is in, told by progress events.

PROTOCOL: `<report_dir>/events.ndjson` holds one `ProgressEvent` a line (see `harness.store`).
`session_started` names all cases that will run; `case_started` and `case_finished` move one; a case
that starts again after it finished is running again (the second try of a flaky one).

Rules: no terminal, no clock, no threads; `ProgressTail` reads one file and nothing else. Events may
arrive twice, out of order or for cases nobody announced: a board must never fail a session.
"""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter
from pathlib import Path

import msgspec

from harness.report.wording import instant
from harness.results import ProgressEvent, ProgressKind, Verdict, progress_from_json
from harness.store import EVENTS

__all__ = ["BoardCase", "BoardState", "CaseState", "ProgressTail"]


class CaseState(enum.StrEnum):
    """Where a case stands; the six verdicts, and what comes before them."""

    WAITING = "waiting"
    RUNNING = "running"
    GREEN = "green"
    RED = "red"
    INVALID = "invalid"
    ERROR = "error"
    SKIPPED = "skipped"
    FLAKY = "flaky"


@dataclasses.dataclass(slots=True, kw_only=True)
class BoardCase:
    """One cell of the board."""

    case_id: str
    guardrail: str
    name: str  # the id without its guardrail
    saboteur: str | None = None
    state: CaseState = CaseState.WAITING
    reason: str = ""
    started: float | None = None  # seconds since the epoch
    duration_seconds: float = 0.0
    finish_number: int = 0  # 1 for the case that finished first


class BoardState:
    """All cases by guardrail, in the order they were announced."""

    def __init__(self, total: int = 0) -> None:
        self.total = total
        self.engine = ""
        self.cxdb = ""
        self.started: float | None = None
        self.ended = False
        self.cases: dict[tuple[str, str], BoardCase] = {}
        self._finished = 0

    def apply(self, event: ProgressEvent) -> BoardCase | None:
        """Take one event in; the case that it finished, if it did."""
        if event.kind is ProgressKind.SESSION_STARTED:
            self.engine = event.engine or self.engine
            self.cxdb = event.cxdb or self.cxdb
            self.started = self.started if self.started is not None else _seconds(event.at)
            for case_id in event.case_ids:
                self._case(case_id, "", event.saboteur)
            return None
        if event.kind is ProgressKind.SESSION_FINISHED:
            self.ended = True
            return None
        case = self._case(event.case_id, event.guardrail, event.saboteur)
        if event.kind is ProgressKind.CASE_STARTED:
            case.state, case.started, case.reason = CaseState.RUNNING, _seconds(event.at), ""
            return None
        # A finish without a verdict is a bug of the writer: shown as an error, never as green.
        case.state = CaseState(event.verdict or Verdict.ERROR)
        case.reason = event.reason or ("" if event.verdict else "finished without a verdict")
        case.duration_seconds = event.duration_seconds
        self._finished += 1
        case.finish_number = self._finished
        return case

    def _case(self, case_id: str, guardrail: str, saboteur: str | None) -> BoardCase:
        key = (case_id, saboteur or "")
        if key not in self.cases:
            prefix, slash, rest = case_id.partition("/")
            name = rest if slash else case_id
            self.cases[key] = BoardCase(
                case_id=case_id,
                guardrail=guardrail or (prefix if slash else "other"),
                name=f"{name} ({saboteur})" if saboteur else name,
                saboteur=saboteur,
            )
        return self.cases[key]

    def guardrails(self) -> dict[str, list[BoardCase]]:
        groups: dict[str, list[BoardCase]] = {}
        for case in self.cases.values():
            groups.setdefault(case.guardrail, []).append(case)
        return groups

    def counts(self) -> Counter[CaseState]:
        counted = Counter(case.state for case in self.cases.values())
        unannounced = self.total - len(self.cases)
        if unannounced > 0:
            counted[CaseState.WAITING] += unannounced
        return counted

    @property
    def known_total(self) -> int:
        return max(self.total, len(self.cases))

    @property
    def finished(self) -> int:
        return sum(case.state not in (CaseState.WAITING, CaseState.RUNNING) for case in self.cases.values())

    def running(self) -> list[BoardCase]:
        """The longest-running first: that is the one to look at."""
        cases = [case for case in self.cases.values() if case.state is CaseState.RUNNING]
        return sorted(cases, key=lambda case: case.started or 0.0)

    def troubled(self) -> list[BoardCase]:
        """Every finished case that is not green, in the order they finished."""
        calm = (CaseState.WAITING, CaseState.RUNNING, CaseState.GREEN)
        cases = [case for case in self.cases.values() if case.state not in calm]
        return sorted(cases, key=lambda case: case.finish_number)


def _seconds(at: str) -> float | None:
    moment = instant(at)
    return moment.timestamp() if moment else None


class ProgressTail:
    """The events appended to a session's progress file since the last look."""

    def __init__(self, report_dir: Path) -> None:
        self._path = report_dir / EVENTS
        self._offset = 0
        self._inode = 0
        self.unreadable = 0  # lines that were no event

    def read(self) -> list[ProgressEvent]:
        try:
            with self._path.open("rb") as file:
                status = self._path.stat()
                if status.st_ino != self._inode or status.st_size < self._offset:
                    self._inode, self._offset = status.st_ino, 0  # another session began
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return []
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        events: list[ProgressEvent] = []
        for line in complete.split(b"\n"):
            if line.strip():
                try:
                    events.append(progress_from_json(line))
                except (msgspec.MsgspecError, ValueError):
                    self.unreadable += 1
        return events
