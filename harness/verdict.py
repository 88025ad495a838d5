"""What several verdicts amount to, and the exit code that follows: one order, used everywhere.

The same precedence merges the checks of a case and the cases of a session. What cannot be trusted
comes before what is known to be bad: a red check of a case whose fault never fired, or whose harness
broke, is judged on evidence whose premise did not hold, so it must not be reported as the engine's
defect.
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.results import Verdict

__all__ = ["EXIT_CODES", "PRECEDENCE", "exit_code", "merge"]

# Worst first. Skipped is last: a reasoned skip beside green cases leaves the session green.
PRECEDENCE: tuple[Verdict, ...] = (
    Verdict.ERROR,
    Verdict.INVALID,
    Verdict.RED,
    Verdict.FLAKY,
    Verdict.GREEN,
    Verdict.SKIPPED,
)

# Of a session. Skipped stands for "nothing but skips": no guardrail was proven, so it is not a success.
EXIT_CODES: dict[Verdict, int] = {
    Verdict.GREEN: 0,
    Verdict.RED: 1,
    Verdict.FLAKY: 1,
    Verdict.INVALID: 3,
    Verdict.ERROR: 3,
    Verdict.SKIPPED: 3,
}


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """The one verdict for all of them; of none at all, `skipped`: nothing was attempted."""
    present = set(verdicts)
    return next((verdict for verdict in PRECEDENCE if verdict in present), Verdict.SKIPPED)


def exit_code(verdicts: Iterable[Verdict]) -> int:
    return EXIT_CODES[merge(verdicts)]
