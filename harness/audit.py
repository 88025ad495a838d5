"""The history checker: git log, checkpoint, events, final.json and CXDB turns of one run against each other.

Pure: RunEvidence in, CheckResults out. It needs no scenario, so it judges any run's logs root, and it
is part of every case. What it holds to:

- events are whole lines of JSON, their `seq` runs 1, 2, 3 ... over restarts and resumes, all of one run;
- a life begins with run_started (once, first) or run_resumed; it has at most one terminal event and
  nothing after it; only a life that was killed has none;
- final.json says what the last life's terminal event says; after a life without one it says `fail`;
- the branch is a straight line on the base commit, one commit for each finished node, in the order in
  which checkpoints were saved, and its trailers agree with its subjects; what a fan-in has adopted are
  the commits of that branch, and of no finished node of the run;
- the checkpoint in force names the branch's tip and the nodes of its newest commits;
- each event that has a CXDB turn has it once, and no turn stands for nothing or for another run;
- each turn of a commit shows the commit's files, and what an Artifact turn names is stored, where the run says that
  it has seen to that;
- each branch of a fan-out keeps all this for itself, and agrees with what the run says of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.adoption import adoption_problems
from harness.engines import FILES_MISSING
from harness.evidence import RunEvidence
from harness.fan_outs import branch_problems, has_fan_outs
from harness.history import (
    SUBJECT,
    artifact_problems,
    checkpoint_problems,
    commit_problems,
    event_problems,
    final_problems,
    last_terminal,
    life_problems,
    snapshot_problems,
    turn_problems,
)
from harness.judging import judged
from harness.results import CheckResult, Verdict

__all__ = ["HISTORY_CHECKS", "SUBJECT", "audit_run"]

BRANCHES = "history: branches"


def audit_run(run: RunEvidence) -> list[CheckResult]:
    """All history checks; none for a run that was refused before anything was made."""
    if not run.exists or not (run.log.present or run.commits or run.finals):
        return []
    results = [guarded(name, check, run) for name, check in HISTORY_CHECKS.items()]
    return [result for result in results if result.name != BRANCHES or result.verdict is not Verdict.SKIPPED]


def guarded(name: str, check: Callable[[str, RunEvidence], CheckResult], run: RunEvidence) -> CheckResult:
    """A check that breaks has proven nothing: `error`, with what broke it."""
    try:
        return check(name, run)
    except Exception as error:
        return CheckResult(name=name, verdict=Verdict.ERROR, summary=f"the check itself failed: {error!r}")


def _events(name: str, run: RunEvidence) -> CheckResult:
    return judged(name, event_problems(run), "whole lines, seq 1, 2, 3 ... without a gap, one run")


def _lives(name: str, run: RunEvidence) -> CheckResult:
    return judged(name, life_problems(run), "one terminal event a life, nothing after it")


def _final(name: str, run: RunEvidence) -> CheckResult:
    return judged(name, final_problems(run), "final.json agrees with the terminal event and the branch")


def _commits(name: str, run: RunEvidence) -> CheckResult:
    if not run.git:
        return CheckResult(name=name, verdict=Verdict.SKIPPED, summary="the run has no git repository")
    problems = commit_problems(run) + adoption_problems(run)
    return judged(name, problems, "a straight line on the base, one commit a finished node")


def _checkpoint(name: str, run: RunEvidence) -> CheckResult:
    return judged(name, checkpoint_problems(run), "the checkpoint names the tip and the nodes of the newest commits")


def _turns(name: str, run: RunEvidence) -> CheckResult:
    if not run.turns.expected:
        return CheckResult(name=name, verdict=Verdict.SKIPPED, summary="the run was told to do without CXDB")
    if run.turns.unavailable:
        return CheckResult(name=name, verdict=Verdict.ERROR, summary=f"no turns to judge: {run.turns.unavailable}")
    return judged(name, turn_problems(run), "each event has its turn, once")


def _files(name: str, run: RunEvidence) -> CheckResult:
    why = _without_files(run)
    if why:
        return CheckResult(name=name, verdict=Verdict.SKIPPED, summary=why)
    with_snapshots = bool(((run.manifest.value or {}).get("cxdb") or {}).get("snapshots_max_bytes"))
    problems = artifact_problems(run) + (snapshot_problems(run) if with_snapshots else [])
    for branch in run.all_branches():
        own = artifact_problems(branch) + (snapshot_problems(branch) if with_snapshots else [])
        problems += [f"{branch.name}: {text}" for text in own]
    return judged(name, problems, "each turn of a commit shows its files, and what turns name is there")


def _without_files(run: RunEvidence) -> str:
    """Why there are none to be judged; '' where all must be there."""
    final = run.final.value if run.final is not None else None
    if run.snapshots is None or final is None:
        return "the run says nothing of files in CXDB"
    if missing := final.get(FILES_MISSING):
        return f"the run says that some are missing: {missing}"
    if last_terminal(run) is None or run.engine_alive or run.turns.unavailable:
        return "the run has not come to its end"
    return "" if run.turns.expected else "the run was told to do without CXDB"


def _branches(name: str, run: RunEvidence) -> CheckResult:
    if not has_fan_outs(run):
        return CheckResult(name=name, verdict=Verdict.SKIPPED, summary="the run has no fan-outs")
    unread = [f"{b.name}: {b.turns.unavailable}" for b in run.all_branches() if b.turns.unavailable]
    if unread:
        return CheckResult(name=name, verdict=Verdict.ERROR, summary=f"no turns to judge of {unread[0]}")
    problems = branch_problems(run)
    if run.git:
        problems += [f"{b.name}: {text}" for b in run.all_branches() for text in adoption_problems(b)]
    return judged(name, problems, "each branch keeps the rules of a run, and is what the run says of it")


HISTORY_CHECKS: Mapping[str, Callable[[str, RunEvidence], CheckResult]] = {
    "history: events": _events,
    "history: lives": _lives,
    "history: final.json": _final,
    "history: commits": _commits,
    "history: checkpoint": _checkpoint,
    "history: CXDB turns": _turns,
    "history: CXDB files": _files,
    BRANCHES: _branches,
}
