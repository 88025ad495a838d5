"""How a check states its answer: a list of problems, green when it is empty."""

from __future__ import annotations

from collections.abc import Sequence

from harness.results import CheckResult, Verdict

__all__ = ["compared", "judged"]

SHOWN = 6  # problems spelled out; the rest is counted


def judged(name: str, problems: Sequence[str], expected: str, evidence: str = "") -> CheckResult:
    if not problems:
        return CheckResult(name=name, verdict=Verdict.GREEN, summary=expected, expected=expected)
    shown = list(problems[:SHOWN]) + ([f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else [])
    return CheckResult(
        name=name,
        verdict=Verdict.RED,
        summary=problems[0].split("\n", 1)[0],
        expected=expected,
        found="\n".join(shown),
        evidence=evidence,
    )


def compared(name: str, expected: object, found: object, evidence: str = "") -> CheckResult:
    """Green when both are equal."""
    if expected == found:
        return CheckResult(name=name, verdict=Verdict.GREEN, summary=f"{expected}", expected=f"{expected}")
    return CheckResult(
        name=name,
        verdict=Verdict.RED,
        summary=f"expected {expected}, found {found}",
        expected=f"{expected}",
        found=f"{found}",
        evidence=evidence,
    )
