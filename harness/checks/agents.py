"""What every case with agents is held to: how the engine started them, as the programs themselves saw it. Pure."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from harness.evidence import CaseEvidence
from harness.judging import compared, judged
from harness.results import CheckResult
from harness.scenario import Expectation

__all__ = ["AGENT_CHECKS", "judge_starts"]

PRIVATE = "0700"


def judge_starts(expect: Expectation, case: CaseEvidence) -> list[CheckResult]:
    results = []
    if expect.starts is not None:
        found = [f"{start['provider']} {start.get('model', '')}".strip() for start in case.starts]
        results.append(compared("agents started", list(expect.starts), found))
    if expect.asked is not None:
        results.append(compared("models asked for", list(expect.asked), list(case.asked)))
    return results


def _command_lines(name: str, case: CaseEvidence) -> CheckResult:
    """A program that refuses its command line ends like any other that fails: it must not pass for a fault."""
    problems = [
        f"{start['program']} refused: {start['refused']}\n{start['argv']}"
        for start in case.starts
        if start.get("refused")
    ]
    return judged(name, problems, "every agent was started in a way its program takes")


def _working_directories(name: str, case: CaseEvidence) -> CheckResult:
    roots = [run.logs_root for run in case.runs.values()]
    problems = [
        f"{start['program']} ran in {start['cwd']}, outside every logs root"
        for start in case.starts
        if not any(_is_inside(start["cwd"], root) for root in roots)
    ]
    return judged(name, problems, "agents ran in their run's own worktree")


def _state_roots(name: str, case: CaseEvidence) -> CheckResult:
    problems = [f"{start['program']}: {problem}" for start in case.starts for problem in _state_problems(start, case)]
    return judged(name, problems, "absolute, the stage's own, for its owner only")


def _state_problems(start: Mapping[str, Any], case: CaseEvidence) -> Iterator[str]:
    place = str(start.get("state_dir", ""))
    if not place:
        yield "no state directory was named: it would use the user's"
        return
    if not os.path.isabs(place):
        yield f"the state directory {place!r} is relative"
        return
    stage = start.get("shown", {}).get("ATTRACTOR_STAGE_DIR")
    roots = [stage] if stage else [run.logs_root for run in case.runs.values()]
    if not any(_is_inside(place, root) for root in roots):
        yield f"the state directory {place} lies outside {' and '.join(roots)}"
    if start.get("state_mode") != PRIVATE:
        yield f"the state directory {place} has mode {start.get('state_mode')}, not {PRIVATE}"


def _is_inside(path: str, root: str) -> bool:
    return os.path.realpath(path).startswith(os.path.realpath(root) + os.sep)


AGENT_CHECKS: dict[str, Callable[[str, CaseEvidence], CheckResult]] = {
    "agent command lines": _command_lines,
    "agent working directories": _working_directories,
    "agent state roots": _state_roots,
}
