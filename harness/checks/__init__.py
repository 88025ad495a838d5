"""harness.checks: judges a case. Pure functions from evidence and expectations to check results."""

from harness.checks.judge import ALWAYS_CHECKED, judge_case, judge_proofs

__all__ = ["ALWAYS_CHECKED", "judge_case", "judge_proofs"]
