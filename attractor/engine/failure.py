"""What a failure is, and what may be done about it (DESIGN 2.5).

Pure: an outcome goes in, a class, a permission or a signature comes out. The two tables are the policy;
nothing elsewhere in the engine asks "is this class retryable" in its own words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from attractor.contracts import FailureClass, Outcome, Status


@dataclass(frozen=True, slots=True)
class ClassPolicy:
    """What the engine may do after a failure of one class."""

    stage_retry: bool
    loop_restart: bool


POLICY: Final[dict[FailureClass, ClassPolicy]] = {
    FailureClass.TRANSIENT_INFRA: ClassPolicy(stage_retry=True, loop_restart=True),
    FailureClass.BUDGET_EXHAUSTED: ClassPolicy(stage_retry=True, loop_restart=False),
    FailureClass.COMPILATION_LOOP: ClassPolicy(stage_retry=True, loop_restart=False),
    FailureClass.DETERMINISTIC: ClassPolicy(stage_retry=False, loop_restart=False),
    FailureClass.STRUCTURAL: ClassPolicy(stage_retry=False, loop_restart=False),
    FailureClass.CANCELED: ClassPolicy(stage_retry=False, loop_restart=False),
}

# Text is the last resort, so each pattern is a phrase that only the failure itself prints: a bare
# "timeout" or "502" also stands in the output of a product's own tests and in paths.
TEXT_HINTS: Final[tuple[tuple[re.Pattern[str], FailureClass], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), failure_class)
    for pattern, failure_class in (
        (r"\bconnection (?:was )?(?:refused|reset by peer|reset|timed out)\b", FailureClass.TRANSIENT_INFRA),
        (r"\bECONN(?:REFUSED|RESET)\b|\bETIMEDOUT\b", FailureClass.TRANSIENT_INFRA),
        (r"\b(?:could not|couldn't) resolve host(?:name)?\b", FailureClass.TRANSIENT_INFRA),
        (r"\btemporary failure in name resolution\b", FailureClass.TRANSIENT_INFRA),
        (r"\bnetwork is unreachable\b|\bno route to host\b", FailureClass.TRANSIENT_INFRA),
        (r"\bTLS handshake timeout\b|\bi/o timeout\b|\boperation timed out\b", FailureClass.TRANSIENT_INFRA),
        (r"\brate limit (?:exceeded|reached)\b|\btoo many requests\b", FailureClass.TRANSIENT_INFRA),
        (r"\b502 bad gateway\b|\b503 service (?:temporarily )?unavailable\b", FailureClass.TRANSIENT_INFRA),
        (r"\b504 gateway time-?out\b", FailureClass.TRANSIENT_INFRA),
        (r"\bcontext (?:length|window) exceeded\b|\btoken limit (?:reached|exceeded)\b", FailureClass.BUDGET_EXHAUSTED),
        (r"\b(?:turn limit|max[_ ]turns) (?:reached|exceeded)\b", FailureClass.BUDGET_EXHAUSTED),
        (r"\bwrite[_ ]scope[_ ]violation\b", FailureClass.STRUCTURAL),
    )
)


def classify(outcome: Outcome) -> FailureClass | None:
    """The class of a failed or retry-asking outcome; None for a success.

    The handler's own word comes first, then the text table, then `deterministic`: what nobody can
    explain is not repeated. A handler that asks for RETRY without a class means "try again".
    """
    if outcome.status.is_success:
        return None
    if outcome.failure_class is not None:
        return outcome.failure_class
    for pattern, failure_class in TEXT_HINTS:
        if pattern.search(outcome.failure_reason):
            return failure_class
    return FailureClass.TRANSIENT_INFRA if outcome.status is Status.RETRY else FailureClass.DETERMINISTIC


_HEX = re.compile(r"\b(?=[0-9a-f]*\d)(?:0x)?[0-9a-f]{7,}\b")
_DIGITS = re.compile(r"\d+")
_SPACE = re.compile(r"\s+")
SIGNATURE_REASON_LENGTH: Final = 240


def signature(node_id: str, failure_class: FailureClass, reason: str) -> str:
    """A failure's identity over restarts: the same cause gives the same text although numbers vary.

    `<node>|<class>|<reason>`, the reason lower-cased, hex runs as `<hex>`, digits as `<n>`, white space
    folded, 240 characters at most.
    """
    text = _HEX.sub("<hex>", reason.lower())
    text = _DIGITS.sub("<n>", text)
    text = _SPACE.sub(" ", text).strip()
    return f"{node_id}|{failure_class.value}|{text[:SIGNATURE_REASON_LENGTH]}"
