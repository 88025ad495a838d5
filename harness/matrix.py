"""Scenarios times their axes: the cases of a session, found under a directory and chosen by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from harness.scenario import Scenario
from harness.scenario_file import load_scenarios
from harness.toml_table import ScenarioError, did_you_mean

__all__ = ["Case", "cases_of_file", "find_case", "find_cases", "scenario_files"]


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One cell of the matrix."""

    scenario: Scenario
    scenarios: Path  # the directory in which guardrails have theirs
    saboteur: str | None = None  # the historic bug that is put back for it

    @property
    def case_id(self) -> str:
        values = dict(self.scenario.axes)
        if self.saboteur is not None:
            values["saboteur"] = self.saboteur
        axes = ",".join(f"{axis}={value}" for axis, value in values.items())
        return f"{self.scenario.guardrail}/{self.scenario.name}" + (f"[{axes}]" if axes else "")


def scenario_files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.toml"))


def cases_of_file(path: Path) -> list[Case]:
    return [Case(scenario, path.parent.parent) for scenario in load_scenarios(path)]


def find_cases(directory: Path) -> list[Case]:
    """All cases; raises ScenarioError with the problems of all files at once."""
    cases: list[Case] = []
    problems: list[str] = []
    for path in scenario_files(directory):
        try:
            cases += cases_of_file(path)
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(directory, problems)
    return cases


def find_case(cases: Iterable[Case], case_id: str) -> list[Case]:
    """The case of that id, or all that belong to it when its axes are left out; raises KeyError."""
    known = {case.case_id: case for case in cases}
    if case_id in known:
        return [known[case_id]]
    found = [case for name, case in known.items() if name.partition("[")[0] == case_id]
    if not found:
        raise KeyError(f"no case {case_id!r}; {did_you_mean(case_id, known)}")
    return found
