"""Lints for graphs: the table of rules, and validation of a file in one call (spec 7)."""

from attractor.diagnostics import Diagnostic, Severity
from attractor.lint.rule import Facts, Finding, Rule
from attractor.lint.rules import RULES
from attractor.lint.validate import Validation, lint, require_valid, validate_text

__all__ = [
    "RULES",
    "Diagnostic",
    "Facts",
    "Finding",
    "Rule",
    "Severity",
    "Validation",
    "lint",
    "require_valid",
    "validate_text",
]
