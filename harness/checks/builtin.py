"""Checks that every case gets without asking: the user's checkout, what was left behind, branch names.

A scenario can leave one out only by name and with a reason (`[without]`), which the report then shows.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.evidence import CaseEvidence, RunEvidence
from harness.judging import judged
from harness.results import CheckResult, Verdict

__all__ = ["BUILTIN_CHECKS"]

TRACEBACK = "Traceback (most recent call last)"


def _checkout_untouched(name: str, case: CaseEvidence) -> CheckResult:
    if case.before is None or case.after is None:
        return CheckResult(name=name, verdict=Verdict.ERROR, summary="the state of the checkout was not recorded")
    expected = "HEAD, branch, index, status, config, hooks, stash and files as before"
    return judged(name, case.before.differences(case.after), expected)


def _no_process_left(name: str, case: CaseEvidence) -> CheckResult:
    return judged(name, case.leaked_processes, "nothing that the case started still runs")


def _no_file_left(name: str, case: CaseEvidence) -> CheckResult:
    problems = [f"in the temporary directory: {path}" for path in case.leftover_files]
    roots = tuple(run.logs_root for run in case.runs.values())
    for worktree in case.worktrees:
        path = worktree.removeprefix("worktree ").split(" HEAD ")[0]
        if not path.startswith(roots):
            problems.append(f"worktree outside every logs root: {worktree}")
    return judged(name, problems, "no temporary files, no stray worktrees")


def _branch_names(name: str, case: CaseEvidence) -> CheckResult:
    new = [branch for branch in case.branches_after if branch not in case.branches_before]
    prefix = case.branch_prefix.rstrip("/") + "/"
    problems = [f"branch {branch!r} does not begin with {prefix!r}" for branch in new if not branch.startswith(prefix)]
    problems += [f"branch {branch!r} is gone" for branch in case.branches_before if branch not in case.branches_after]
    of_fan_outs: set[str] = set()
    for run in case.runs.values():
        named = {str(event["run_branch"]) for event in run.log.events if event.get("run_branch")}
        if len(named) > 1:
            problems.append(f"the branch of {run.name} drifted: {sorted(named)}")
        problems += [f"{run.name} speaks of branch {b!r}" for b in named if not b.startswith(prefix)]
        for branch in run.all_branches():
            form = f"{prefix}parallel/{run.run_id}/{branch.name}"
            of_fan_outs.add(form)
            problems += [
                f"{branch.name} is on git branch {b!r}, not {form!r}" for b in sorted(_git_branches(branch) - {form})
            ]
    problems += [
        f"branch {branch!r} is neither {prefix}<run> nor {prefix}parallel/<run>/<fan>/<pass>/<child> of a known branch"
        for branch in new
        if branch.startswith(prefix) and "/" in branch.removeprefix(prefix) and branch not in of_fan_outs
    ]
    return judged(name, problems, f"all new branches begin with {prefix}; those of fan-outs have their one form")


def _git_branches(branch: RunEvidence) -> set[str]:
    """By every record of it: manifest, events, result."""
    result = (branch.final.value if branch.final is not None else None) or {}
    told = [branch.branch, result.get("branch"), *(event.get("run_branch") for event in branch.log.events)]
    return {str(name) for name in told if name}


def _no_traceback(name: str, case: CaseEvidence) -> CheckResult:
    """An engine that breaks has exit code 1, too: without this it could pass for a refusal."""
    problems = [
        f"{command.name} of step {command.step}:\n{text[-1500:].strip()}"
        for command in case.commands
        for text in (command.stdout_tail, command.stderr_tail)
        if TRACEBACK in text
    ]
    problems += [f"run.out of {run.name}" for run in case.runs.values() if TRACEBACK in (run.output or "")]
    return judged(name, problems, "no command of the engine broke with a traceback")


def _no_secret_kept(name: str, case: CaseEvidence) -> CheckResult:
    expected = "no file, event, commit, turn or message holds the secret of the environment"
    return judged(name, case.canary_places, expected)


BUILTIN_CHECKS: dict[str, Callable[[str, CaseEvidence], CheckResult]] = {
    "checkout untouched": _checkout_untouched,
    "no process left": _no_process_left,
    "no file left": _no_file_left,
    "branch names": _branch_names,
    "no traceback": _no_traceback,
    "no secret kept": _no_secret_kept,
}
