"""How an agent program's run ended: good or not, what kind of failure, and what its class permits.

Evidence in order: what ended it (our own watchdogs, a signal), the program's exit code, structured codes and HTTP
statuses of the errors since its last progress, and texts last. Later evidence only sharpens earlier (`REFINES`).
Success needs two proofs: exit 0 and the program's own final line that says so. Exit 0 alone proves nothing: gemini
exits 0 when SIGTERM ends it.

Pure. Must not know: stages, retries, what the agent wrote into its status file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from attractor.backends.failure_kinds import KIND_CLASS, REFINES, FailureKind
from attractor.backends.hints import CODE_KINDS, HTTP_KINDS, SIGNAL_KINDS, kind_of_text
from attractor.backends.profile import AgentProfile
from attractor.backends.reset_times import bounded, retry_after_seconds
from attractor.backends.stream import AgentError, StreamReader
from attractor.contracts import FailureClass

MAX_REASON_CHARS: Final = 400
STDERR_CHARS: Final = 16_000

_WAITING_KINDS: Final = frozenset(
    {FailureKind.QUOTA, FailureKind.RATE_LIMIT, FailureKind.OVERLOADED, FailureKind.SERVER_ERROR}
)
# Ids differ each time; in a reason they would make every failure look new to the circuit breaker.
_IDS = re.compile(
    r",? ?\(?\b(?:request[ _]id|cf-ray|session[ _]id|trace[ _]id)\b[\"']?[:=]? ?[\"']?[\w-]+\)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class AgentEnding:
    """How the process ended. A negative exit code is a signal; None where it never started or is not known."""

    exit_code: int | None
    timed_out: bool = False
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """`kind` and `failure_class` are None exactly where `ok` is true."""

    ok: bool
    kind: FailureKind | None = None
    failure_class: FailureClass | None = None
    reason: str = ""
    retry_after_seconds: float | None = None


def judge(
    profile: AgentProfile, ending: AgentEnding, reader: StreamReader, stderr_tail: str, now: datetime
) -> Judgement:
    """The verdict on one run of an agent program. `now` is aware and in the machine's own time zone."""
    ended_by_us = ending.timed_out or ending.stalled
    if ending.exit_code == 0 and reader.result == "ok" and not ended_by_us:
        return Judgement(ok=True)
    stderr = stderr_tail[-STDERR_CHARS:]
    kind = _sharpen(_evidence(profile, ending, reader, stderr)) or _without_evidence(ending, reader)
    wait = _wait(reader, stderr, now) if kind in _WAITING_KINDS else None
    return Judgement(False, kind, KIND_CLASS[kind], _reason(profile, ending, reader, stderr, kind), wait)


def _evidence(
    profile: AgentProfile, ending: AgentEnding, reader: StreamReader, stderr: str
) -> Iterator[FailureKind | None]:
    """What each source says, the most reliable first."""
    ended_by_us = ending.timed_out or ending.stalled
    if not ended_by_us and ending.exit_code is not None:
        yield profile.exit_kinds.get(ending.exit_code)
        yield _signal_kind(ending.exit_code)
    errors = _causes(reader)
    for error in errors:
        yield CODE_KINDS.get(error.code or "")
        yield HTTP_KINDS.get(error.http_status or 0)
    for error in errors:
        yield kind_of_text(error.message)
    # Standard error has no order relative to the stream: in a run that got somewhere, what stands there may be old.
    if ending.exit_code not in (None, 0) or reader.progress == 0:
        yield from _stderr_kinds(profile, stderr, status_too=reader.progress == 0)


def _causes(reader: StreamReader) -> tuple[AgentError, ...]:
    """The errors that may explain the ending, the newest first.

    Where the program told how it ended, what it had retried before is overcome: codex tells of a broken connection
    on its way to "Unsupported parameter".
    """
    told = reader.result == "error"
    return tuple(error for error in reversed(reader.recent_errors) if not (told and error.retrying))


def _stderr_kinds(profile: AgentProfile, stderr: str, *, status_too: bool) -> Iterator[FailureKind | None]:
    if status_too and profile.stderr_status is not None:
        for status in reversed(profile.stderr_status.findall(stderr)):
            yield HTTP_KINDS.get(int(status))
    for line in reversed(stderr.splitlines()):
        yield kind_of_text(line)


def _sharpen(evidence: Iterator[FailureKind | None]) -> FailureKind | None:
    """The first word, made more exact by what comes after."""
    kind: FailureKind | None = None
    for told in evidence:
        if told is not None and (kind is None or told in REFINES.get(kind, ())):
            kind = told
    return kind


def _signal_kind(exit_code: int) -> FailureKind | None:
    """A signal, told by the system (negative) or by a shell or wrapper in between (128 + n)."""
    number = -exit_code if exit_code < 0 else exit_code - 128
    if exit_code in (126, 127):
        return FailureKind.CANNOT_RUN
    return SIGNAL_KINDS.get(number, FailureKind.KILLED if exit_code < 0 else None)


def _without_evidence(ending: AgentEnding, reader: StreamReader) -> FailureKind:
    if ending.timed_out:
        return FailureKind.TIMEOUT
    if ending.stalled:
        return FailureKind.STALLED
    if ending.exit_code == 0 and reader.result is None:
        return FailureKind.NO_RESULT if reader.recognised_lines else FailureKind.WRONG_OUTPUT
    return FailureKind.UNKNOWN


def _wait(reader: StreamReader, stderr: str, now: datetime) -> float | None:
    if reader.reset_at_epoch is not None:
        return bounded(reader.reset_at_epoch - now.timestamp())
    for error in _causes(reader):
        wait = retry_after_seconds(error.message, now)
        if wait is not None:
            return wait
    return retry_after_seconds(stderr, now) if reader.progress == 0 else None


# --- the reason, for people and for the failure signature ---------------------------------------------------


def _reason(profile: AgentProfile, ending: AgentEnding, reader: StreamReader, stderr: str, kind: FailureKind) -> str:
    how = _how_it_ended(ending, reader)
    cause = next(iter(_causes(reader)), None)
    said = _IDS.sub("", " ".join((cause.message if cause else _last_words(stderr)).split()))
    status = cause.http_status if cause else None
    if status is not None and str(status) not in said:
        said = f"HTTP {status}: {said}"
    reason = f"{profile.program} {how} ({kind.value})"
    return (f"{reason}: {said}" if said else reason)[:MAX_REASON_CHARS]


def _how_it_ended(ending: AgentEnding, reader: StreamReader) -> str:
    if ending.timed_out:
        return "ran out of time"
    if ending.stalled:
        return "made no progress and was ended"
    if ending.exit_code is None:
        return "did not run to its end"
    if ending.exit_code < 0:
        return f"was ended by signal {-ending.exit_code}"
    if ending.exit_code == 0:
        return "reported an error" if reader.result == "error" else "ended without a result"
    return f"ended with exit status {ending.exit_code}"


def _last_words(stderr: str) -> str:
    """The last line that is not part of a stack trace or of the program's start-up chatter."""
    chatter = (
        "at ",
        "}",
        "{",
        "status:",
        "Reading additional input",
        "[STARTUP]",
        "YOLO mode",
        "Ripgrep is",
        "Warning:",
    )
    lines = (line.strip() for line in reversed(stderr.splitlines()))
    return next((line for line in lines if line and not line.startswith(chatter)), "")
