"""What is reported: a session's results in groups, and the facts about the machine it ran on.

Rules: `group` is pure and keeps one order (guardrails by name, cases by id) so that two reports of
the same results are equal. `describe_host` alone looks at the machine, and takes no name, user or
path from it: reports are sent to other people. Knows results and verdicts, not formats.
"""

from __future__ import annotations

import dataclasses
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence

from harness.report.prove import ProveVerdict, SaboteurRow
from harness.report.wording import headline
from harness.results import CaseResult, Verdict
from harness.verdict import EXIT_CODES, merge

__all__ = ["CrashTable", "Guardrail", "ReportContext", "Session", "describe_host", "group"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CrashTable:
    """Crash points, when they were part of the session: a row for each pipeline and kind of trial."""

    verdict: Verdict
    headline: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]  # the last cell is the verdict


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReportContext:
    """What the reports say about a session besides its cases; every field may be left out."""

    program: str = "matrix"  # what the last line begins with
    title: str = "Guardrail matrix"
    engine: str = ""  # label of the engine, with its version
    started_at: str = ""  # RFC 3339; the earliest case's when empty
    duration_seconds: float | None = None  # wall clock: cases run in parallel, so their sum would lie
    python: str = ""
    platform: str = ""
    git: str = ""
    cxdb: str = ""  # "embedded", "container <image>", "<host>:<port>"
    facts: tuple[tuple[str, str], ...] = ()  # anything else worth a line: workers, seed, commit
    prove: tuple[SaboteurRow, ...] = ()  # the saboteur grid, when it was part of the session
    crash: CrashTable | None = None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Of what was part of the session besides its cases."""
        return (*(_OF_SABOTEURS[row.verdict] for row in self.prove), *([self.crash.verdict] if self.crash else []))


_OF_SABOTEURS = {
    ProveVerdict.CAUGHT: Verdict.GREEN,
    ProveVerdict.SURVIVED: Verdict.RED,
    ProveVerdict.INVALID: Verdict.INVALID,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """The cases of one guardrail, and what they amount to."""

    name: str
    verdict: Verdict
    cases: tuple[CaseResult, ...]
    counts: dict[Verdict, int]
    duration_seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """All results of a session in the order every report shows them."""

    verdict: Verdict
    guardrails: tuple[Guardrail, ...]
    counts: dict[Verdict, int]
    started_at: str
    duration_seconds: float | None
    context: ReportContext

    @property
    def cases(self) -> tuple[CaseResult, ...]:
        return tuple(case for guardrail in self.guardrails for case in guardrail.cases)

    @property
    def not_green(self) -> tuple[CaseResult, ...]:
        return tuple(case for case in self.cases if case.verdict is not Verdict.GREEN)

    @property
    def headline(self) -> str:
        return headline(self.verdict, self.counts)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]


def group(results: Sequence[CaseResult], context: ReportContext) -> Session:
    """The results as a session."""
    names = sorted({case.guardrail for case in results})
    starts = [case.started_at for case in results if case.started_at]
    return Session(
        verdict=merge([*(case.verdict for case in results), *(context.verdicts if results else ())]),
        guardrails=tuple(_guardrail(name, results) for name in names),
        counts=dict(Counter(case.verdict for case in results)),
        started_at=context.started_at or min(starts, default=""),
        duration_seconds=context.duration_seconds,
        context=context,
    )


def _guardrail(name: str, results: Sequence[CaseResult]) -> Guardrail:
    cases = sorted(
        (case for case in results if case.guardrail == name),
        key=lambda case: (case.case_id, case.saboteur or ""),
    )
    return Guardrail(
        name=name,
        verdict=merge(case.verdict for case in cases),
        cases=tuple(cases),
        counts=dict(Counter(case.verdict for case in cases)),
        duration_seconds=sum(case.duration_seconds for case in cases),
    )


def describe_host(context: ReportContext) -> ReportContext:
    """The context with the machine's facts filled in where they were left empty."""
    return dataclasses.replace(
        context,
        python=context.python or f"{platform.python_implementation()} {platform.python_version()}",
        platform=context.platform or f"{platform.system()} {platform.release()} {platform.machine()}",
        git=context.git or _git_version(),
    )


def _git_version() -> str:
    try:
        answer = subprocess.run(
            ["git", "--version"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return "not found"
    return answer.stdout.strip().removeprefix("git version ")
