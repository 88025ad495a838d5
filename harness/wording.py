"""One case in words: what failed, expected and found, and how to see it again. Pure."""

from __future__ import annotations

from harness.results import CaseResult, CheckResult, Verdict

__all__ = ["check_lines", "explain"]


def explain(result: CaseResult, *, all_checks: bool = False) -> str:
    """Short: only what is not green, unless told otherwise."""
    lines = [f"{result.verdict.upper()} {result.case_id}: {result.title}"]
    lines += [f"  fault {f.kind} {f.target} did not fire: {f.proof}" for f in result.faults if not f.fired]
    if all_checks:
        lines += [f"  fault {f.kind} {f.target} fired: {f.proof}" for f in result.faults if f.fired]
    for check in result.checks:
        if all_checks or check.verdict not in (Verdict.GREEN, Verdict.SKIPPED):
            lines += check_lines(check)
    if not result.checks and result.reason:
        lines.append(f"  {result.reason}")
    lines += [f"  reproduce {result.reproduce}"]
    return "\n".join(lines)


def check_lines(check: CheckResult) -> list[str]:
    """Green ones in a line, others in full."""
    if check.verdict in (Verdict.GREEN, Verdict.SKIPPED):
        return [f"  {check.verdict}: {check.name}: {check.summary}"]
    lines = [f"  {check.verdict}: {check.name}"]
    if check.expected:
        lines.append(f"    expected  {check.expected}")
    found = (check.found or check.summary).splitlines() or [""]
    lines += [f"    found     {found[0]}", *(f"              {line}" for line in found[1:])]
    return lines + [f"    {line}" for line in check.evidence.splitlines()]
