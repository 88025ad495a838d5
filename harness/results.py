"""Values every part of the harness hands on: verdicts, checks, faults, cases, and the progress of a session.

Rules: frozen values only, no input or output, nothing here knows pytest, the engine or a report
format. Paths are strings; those named "artifact" are relative to the case's directory, so that a
report folder can be moved. Instants are RFC 3339 in UTC, durations are seconds. What a set of
verdicts amounts to, and the exit code it earns, is decided in `verdict.py` alone.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence

import msgspec

__all__ = [
    "Artifact",
    "CaseResult",
    "CheckResult",
    "CommandRecord",
    "FaultRecord",
    "ProgressEvent",
    "ProgressKind",
    "Verdict",
    "from_json",
    "progress_from_json",
    "to_json",
]


class Verdict(enum.StrEnum):
    """What is known about one check, one case or a whole session."""

    GREEN = "green"  # proven: the fault fired and every check held
    RED = "red"  # a check failed: the engine broke a promise
    INVALID = "invalid"  # the fault never fired, or the premise did not hold: nothing is known
    ERROR = "error"  # the harness or its surroundings failed: nothing is known
    SKIPPED = "skipped"  # not attempted, with the reason
    FLAKY = "flaky"  # red, then green when the same case ran again


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One judgement on the evidence of a case."""

    name: str  # "exit code of run", "history: one commit a finished node"
    verdict: Verdict
    summary: str  # one line
    expected: str = ""
    found: str = ""
    evidence: str = ""  # artifact path or a short excerpt; may be several lines


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FaultRecord:
    """One fault, and how it is known that it really happened."""

    kind: str  # "kill", "hangup", "remove-cwd", "damage", "proof" (the workload's own fault), ...
    target: str  # "engine of step 1", "checkpoint.json", ...
    fired: bool
    proof: str  # what was seen; when not fired, what was missing
    at: str  # instant, empty when it never fired


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CommandRecord:
    """One engine command the case ran, as it ended."""

    step: int  # 1-based place in the scenario's list of steps
    name: str  # "run", "resume", ...
    argv: tuple[str, ...]
    cwd: str
    exit_code: int | None  # None: was still running, or its exit was never seen; negative: ended by that signal
    duration_seconds: float
    stdout_tail: str = ""
    stderr_tail: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file kept from a case."""

    name: str  # role: graph, progress, git_log, turns, final, checkpoint, scenario, stdout, stderr, tree, ...
    path: str  # relative to the case's directory
    title: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """Everything a report needs to know about one case."""

    case_id: str  # "<guardrail>/<name>", plus "[axis=value]" when the matrix has axes
    guardrail: str  # "detach", "deterministic-failure", ...
    title: str
    why: str
    scenario_path: str
    verdict: Verdict
    reason: str  # one line that explains the verdict; empty only when green
    checks: tuple[CheckResult, ...] = ()
    faults: tuple[FaultRecord, ...] = ()
    started_at: str = ""
    duration_seconds: float = 0.0
    case_dir: str = ""  # relative to the report directory
    logs_root: str = ""
    reproduce: str = ""  # one line for a shell
    engine: str = ""  # label of the engine that was driven
    saboteur: str | None = None
    axes: dict[str, str] = dataclasses.field(default_factory=dict)
    tags: tuple[str, ...] = ()
    commands: tuple[CommandRecord, ...] = ()
    artifacts: tuple[Artifact, ...] = ()

    def artifact(self, name: str) -> str | None:
        """Path of the first artifact of that name, relative to the case's directory."""
        return next((a.path for a in self.artifacts if a.name == name), None)


class ProgressKind(enum.StrEnum):
    """What a line of a session's progress file can be."""

    SESSION_STARTED = "session_started"  # case_ids: all that will run
    CASE_STARTED = "case_started"
    CASE_FINISHED = "case_finished"
    SESSION_FINISHED = "session_finished"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEvent:
    """One line of `events.ndjson` in the report directory; several workers append to it."""

    kind: ProgressKind
    at: str
    case_id: str = ""
    guardrail: str = ""
    title: str = ""
    verdict: Verdict | None = None  # of CASE_FINISHED, and of SESSION_FINISHED
    reason: str = ""
    duration_seconds: float = 0.0
    case_ids: tuple[str, ...] = ()  # of SESSION_STARTED
    engine: str = ""  # of SESSION_STARTED
    cxdb: str = ""  # of SESSION_STARTED: which CXDB the cases write to
    saboteur: str | None = None  # the matrix puts it into the case id; here for other programs
    worker: str = ""


def to_json(value: CaseResult | ProgressEvent | Mapping[str, object] | Sequence[object]) -> bytes:
    """One line of JSON, without a line end."""
    return msgspec.json.encode(value)


def from_json(data: bytes | str) -> CaseResult:
    """The case written by `to_json`; raises `msgspec.DecodeError` when it is something else."""
    return msgspec.json.decode(data, type=CaseResult, strict=True)


def progress_from_json(data: bytes | str) -> ProgressEvent:
    """The progress line written by `to_json`; raises `msgspec.DecodeError` when it is something else."""
    return msgspec.json.decode(data, type=ProgressEvent, strict=True)
