"""The ways an agent program can end badly, and the failure class of each (DESIGN 2.5).

One table, `KIND_CLASS`, complete by test. A kind says what happened; the class says what may be done about it.
`REFINES` says which vaguer kind a more exact one may replace: HTTP 400 alone is a bad request, but a text that
says the prompt is too long makes it a context overflow; never the other way round.

Must not know: any program. Which exit code or text means which kind stands with the program and in `hints`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from attractor.contracts import FailureClass


class FailureKind(StrEnum):
    """What happened."""

    AUTH = "auth"  # no credentials, or the provider does not accept them
    AUTH_EXPIRED = "auth_expired"  # credentials that were good once: somebody has to sign in again
    BILLING = "billing"  # no credit, no plan, spend cap: waiting does not help
    QUOTA = "quota"  # a usage window is used up; it opens again by itself
    RATE_LIMIT = "rate_limit"  # too many requests just now
    MODEL_NOT_FOUND = "model_not_found"
    BAD_REQUEST = "bad_request"  # the provider, or the program itself, refuses what it was given
    CONTEXT_OVERFLOW = "context_overflow"
    TURN_LIMIT = "turn_limit"  # the program's own limit of turns or money
    LOOP = "loop"  # the program found itself going round in circles
    SANDBOX_REFUSAL = "sandbox_refusal"  # the program refuses to work in this place or as this user
    CONTENT_REFUSED = "content_refused"  # safety, policy or copyright filter
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    NETWORK = "network"  # the provider was never reached
    STREAM_CUT = "stream_cut"  # the provider's answer broke off
    TIMEOUT = "timeout"  # the stage's time was up
    STALLED = "stalled"  # the stall watchdog ended it
    KILLED = "killed"  # a signal from outside
    CRASHED = "crashed"  # a signal of its own making, a panic, out of memory
    NO_SPACE = "no_space"  # the disk is full
    NO_RESULT = "no_result"  # exit 0 in mid-stream: a program that turns SIGTERM into exit 0 looks like this
    WRONG_OUTPUT = "wrong_output"  # exit 0 and not one line of the program's format
    CANNOT_RUN = "cannot_run"  # the shell or loader could not start it (126, 127)
    UNKNOWN = "unknown"


KIND_CLASS: Final[Mapping[FailureKind, FailureClass]] = {
    FailureKind.AUTH: FailureClass.DETERMINISTIC,
    FailureKind.AUTH_EXPIRED: FailureClass.DETERMINISTIC,
    FailureKind.BILLING: FailureClass.DETERMINISTIC,
    FailureKind.QUOTA: FailureClass.TRANSIENT_INFRA,
    FailureKind.RATE_LIMIT: FailureClass.TRANSIENT_INFRA,
    FailureKind.MODEL_NOT_FOUND: FailureClass.DETERMINISTIC,
    FailureKind.BAD_REQUEST: FailureClass.DETERMINISTIC,
    FailureKind.CONTEXT_OVERFLOW: FailureClass.BUDGET_EXHAUSTED,
    FailureKind.TURN_LIMIT: FailureClass.BUDGET_EXHAUSTED,
    FailureKind.LOOP: FailureClass.COMPILATION_LOOP,
    FailureKind.SANDBOX_REFUSAL: FailureClass.DETERMINISTIC,
    FailureKind.CONTENT_REFUSED: FailureClass.DETERMINISTIC,
    FailureKind.SERVER_ERROR: FailureClass.TRANSIENT_INFRA,
    FailureKind.OVERLOADED: FailureClass.TRANSIENT_INFRA,
    FailureKind.NETWORK: FailureClass.TRANSIENT_INFRA,
    FailureKind.STREAM_CUT: FailureClass.TRANSIENT_INFRA,
    FailureKind.TIMEOUT: FailureClass.TRANSIENT_INFRA,
    FailureKind.STALLED: FailureClass.TRANSIENT_INFRA,
    FailureKind.KILLED: FailureClass.TRANSIENT_INFRA,
    FailureKind.CRASHED: FailureClass.TRANSIENT_INFRA,
    FailureKind.NO_SPACE: FailureClass.DETERMINISTIC,
    FailureKind.NO_RESULT: FailureClass.TRANSIENT_INFRA,
    FailureKind.WRONG_OUTPUT: FailureClass.DETERMINISTIC,
    FailureKind.CANNOT_RUN: FailureClass.DETERMINISTIC,
    FailureKind.UNKNOWN: FailureClass.DETERMINISTIC,
}

REFINES: Final[Mapping[FailureKind, frozenset[FailureKind]]] = {
    FailureKind.BAD_REQUEST: frozenset(
        {
            FailureKind.AUTH,
            FailureKind.AUTH_EXPIRED,
            FailureKind.BILLING,
            FailureKind.CONTEXT_OVERFLOW,
            FailureKind.MODEL_NOT_FOUND,
            FailureKind.SANDBOX_REFUSAL,
            FailureKind.CONTENT_REFUSED,
        }
    ),
    FailureKind.AUTH: frozenset({FailureKind.AUTH_EXPIRED, FailureKind.BILLING, FailureKind.CONTENT_REFUSED}),
    FailureKind.RATE_LIMIT: frozenset({FailureKind.QUOTA, FailureKind.BILLING}),
    FailureKind.QUOTA: frozenset({FailureKind.BILLING}),
    FailureKind.SERVER_ERROR: frozenset({FailureKind.OVERLOADED}),
}
