"""What can go wrong inside the harness itself, by who must act.

    HarnessError          the machine or the harness: a case that meets it gets the verdict `error`
      StepAbandoned       a step could not be carried out, so the following ones make no sense
    ScenarioError         the author of a scenario file (in toml_table.py, where it is raised)

A promise the engine broke is never an exception: it is a red check.
"""

from __future__ import annotations

__all__ = ["HarnessError", "StepAbandoned"]


class HarnessError(Exception):
    """The harness, or something it stands on, failed; nothing is known about the engine."""


class StepAbandoned(HarnessError):
    """The steps that follow are not attempted; what was seen so far is still judged."""
