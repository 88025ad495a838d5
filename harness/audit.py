"""The history checker: git log, checkpoint, events, final.json and CXDB turns of one run against each other.

Pure: RunEvidence in, CheckResults out. It needs no scenario, so it judges any run's logs root, and it
is part of every case. What it holds to:

- events are whole lines of JSON, their `seq` runs 1, 2, 3 ... over restarts and resumes, all of one run;
- a life begins with run_started (once, first) or run_resumed; it has at most one terminal event and
  nothing after it; only a life that was killed has none;
- final.json says what the last life's terminal event says; after a life without one it says `fail`;
- the branch is a straight line on the base commit, one commit for each finished node, in the order in
  which checkpoints were saved, and its trailers agree with its subjects;
- the checkpoint in force names the branch's tip and the nodes of its newest commits;
- each event that has a CXDB turn has it once, and no turn stands for nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.engines import TERMINAL_EVENTS, TURN_TYPES
from harness.evidence import RunEvidence
from harness.judging import judged
from harness.repos import Commit
from harness.results import CheckResult, Verdict

__all__ = ["HISTORY_CHECKS", "audit_run"]

Event = Mapping[str, Any]
LIFE_BEGINS = ("run_started", "run_resumed")
SUBJECT = re.compile(r"^attractor\((?P<run>[^)]*)\): (?P<node>.+) \((?P<status>[a-z_]+)\)$")


def audit_run(run: RunEvidence) -> list[CheckResult]:
    """All history checks; none for a run that was refused before anything was made."""
    if not run.exists or not (run.log.present or run.commits or run.finals):
        return []
    return [guarded(name, check, run) for name, check in HISTORY_CHECKS.items()]


def guarded(name: str, check: Callable[[str, RunEvidence], CheckResult], run: RunEvidence) -> CheckResult:
    """A check that breaks has proven nothing: `error`, with what broke it."""
    try:
        return check(name, run)
    except Exception as error:
        return CheckResult(name=name, verdict=Verdict.ERROR, summary=f"the check itself failed: {error!r}")


def _events(name: str, run: RunEvidence) -> CheckResult:
    problems = [f"not a whole JSON object: {line}" for line in run.log.torn]
    for place, event in enumerate(run.log.events, start=1):
        if event.get("seq") != place:
            problems.append(f"event {place} has seq {event.get('seq')!r} ({event.get('event')})")
        if event.get("run_id") != run.run_id:
            problems.append(f"event {place} is of run {event.get('run_id')!r}, not {run.run_id!r}")
        if not str(event.get("ts", "")).endswith("Z"):
            problems.append(f"event {place} has no UTC instant: {event.get('ts')!r}")
    if not run.log.events:
        problems.append("there are no events")
    return judged(name, problems, "whole lines, seq 1, 2, 3 ... without a gap, one run")


def lives(events: Sequence[Event]) -> list[list[Event]]:
    """The events of each engine process that owned the run, in order."""
    found: list[list[Event]] = []
    for event in events:
        if event.get("event") in LIFE_BEGINS or not found:
            found.append([])
        found[-1].append(event)
    return found


def _lives(name: str, run: RunEvidence) -> CheckResult:
    problems = []
    for number, life in enumerate(lives(run.log.events), start=1):
        wanted = "run_started" if number == 1 else "run_resumed"
        if life[0].get("event") != wanted:
            problems.append(f"life {number} begins with {life[0].get('event')}, not {wanted}")
        ends = [place for place, event in enumerate(life) if event.get("event") in TERMINAL_EVENTS]
        if len(ends) > 1:
            problems.append(f"life {number} has {len(ends)} terminal events")
        if ends and ends[0] != len(life) - 1:
            after = life[ends[0] + 1]
            problems.append(f"life {number} goes on after {life[ends[0]].get('event')}: {after.get('event')}")
    return judged(name, problems, "one terminal event a life, nothing after it")


def last_terminal(run: RunEvidence) -> Event | None:
    found = lives(run.log.events)
    ending = found[-1][-1] if found else None
    return ending if ending is not None and ending.get("event") in TERMINAL_EVENTS else None


def _final(name: str, run: RunEvidence) -> CheckResult:
    ending = last_terminal(run)
    problems = []
    for root, final in run.finals.items():
        problems += [f"{final.path}: {final.unreadable}"] if final.unreadable else []
        if root in ("", run.current_root) and final.value is not None:
            judge = _posthumous if ending is None else _final_against
            problems += [f"{final.path}: {text}" for text in judge(final.value, ending, run)]
    if ending is not None and not run.engine_alive:
        missing = [root for root in {"", run.current_root} if root not in run.finals]
        problems += [f"no final.json in {root or 'the base logs root'} after {ending.get('event')}" for root in missing]
    return judged(name, problems, "final.json agrees with the terminal event and the branch")


def _posthumous(final: Event, _ending: Event | None, run: RunEvidence) -> list[str]:
    """The engine was killed without a last word; whoever looked after it may have said so in its place."""
    problems = [] if final.get("status") == "fail" else [f"status {final.get('status')!r}, but no terminal event"]
    problems += [] if final.get("failure_reason") else ["no terminal event, and no failure_reason either"]
    if final.get("final_git_commit_sha") not in (None, "", run.tip):
        problems.append(f"final_git_commit_sha {final['final_git_commit_sha']!r}, the branch is at {run.tip}")
    return problems


def _final_against(final: Event, ending: Event | None, run: RunEvidence) -> list[str]:
    problems = []
    if ending is not None:
        status = TERMINAL_EVENTS[str(ending["event"])]
        if final.get("status") != status:
            problems.append(f"status {final.get('status')!r} after {ending['event']}")
        for field in ("failure_class", "final_git_commit_sha"):
            if (final.get(field) or None) != (ending.get(field) or None):
                problems.append(f"{field} {final.get(field)!r}, the terminal event says {ending.get(field)!r}")
    if final.get("run_id") != run.run_id:
        problems.append(f"run_id {final.get('run_id')!r}, not {run.run_id!r}")
    if run.git and run.tip and final.get("final_git_commit_sha") != run.tip:
        problems.append(f"final_git_commit_sha {final.get('final_git_commit_sha')!r}, the branch is at {run.tip}")
    return problems


def nodes_of(commits: Sequence[Commit]) -> list[str]:
    return [match["node"] for commit in commits if (match := SUBJECT.match(commit.subject))]


def _commits(name: str, run: RunEvidence) -> CheckResult:
    if not run.git:
        return CheckResult(name=name, verdict=Verdict.SKIPPED, summary="the run has no git repository")
    problems, parent, sequence = [], run.base_sha, 0
    for commit in run.commits:
        short = commit.sha[:10]
        if commit.parents != (parent,):
            problems.append(f"{short} {commit.subject!r} has parents {commit.parents}, expected {parent}")
        problems += [f"{short}: {text}" for text in _subject_problems(commit, run.run_id)]
        number = commit.trailers.get("Attractor-Sequence", "")
        if not number.isdigit() or int(number) <= sequence:
            problems.append(f"{short}: Attractor-Sequence {number!r} after {sequence}")
        parent, sequence = commit.sha, int(number) if number.isdigit() else sequence
    problems += _commits_against_events(run)
    return judged(name, problems, "a straight line on the base, one commit a finished node")


def _subject_problems(commit: Commit, run_id: str) -> list[str]:
    match = SUBJECT.match(commit.subject)
    if match is None:
        return [f"subject {commit.subject!r} is not of the form attractor(<run>): <node> (<status>)"]
    wanted = {"Attractor-Run": run_id, "Attractor-Node": match["node"]}
    problems = [f"subject names run {match['run']!r}"] if match["run"] != run_id else []
    return problems + [
        f"trailer {key} is {commit.trailers.get(key)!r}, expected {text!r}"
        for key, text in wanted.items()
        if commit.trailers.get(key) != text
    ]


def _commits_against_events(run: RunEvidence) -> list[str]:
    """Each saved checkpoint names one commit, in order; a crash may have cost the event of the commit
    just before it, which the resume then names as the node it goes on after."""
    saved = [event for event in run.log.events if event.get("event") == "checkpoint_saved"]
    named = [event.get("git_commit_sha") for event in saved]
    problems = [f"commit {sha} is named by {n} checkpoints" for sha, n in Counter(named).items() if n > 1]
    on_branch = [commit.sha for commit in run.commits]
    problems += [
        f"checkpoint of {event.get('node_id')} names {event.get('git_commit_sha')}, which is not on the branch"
        for event in saved
        if event.get("git_commit_sha") not in on_branch
    ]
    resumed_after = Counter(e.get("after_node") for e in run.log.events if e.get("event") == "run_resumed")
    for commit in run.commits:
        if commit.sha in named:
            continue
        node = next(iter(nodes_of([commit])), None)
        if resumed_after[node] > 0:
            resumed_after[node] -= 1
        else:
            problems.append(f"commit {commit.sha[:10]} {commit.subject!r} belongs to no saved checkpoint")
    if not problems and [sha for sha in on_branch if sha in named] != named:
        problems.append("commits and saved checkpoints are in different order")
    return problems


def _checkpoint(name: str, run: RunEvidence) -> CheckResult:
    problems = [f"{doc.path}: {doc.unreadable}" for doc in run.checkpoints.values() if doc.unreadable]
    current = run.checkpoints.get(run.current_root)
    if current is None:
        problems += ["there is no checkpoint"] if run.commits else []
    elif current.value is not None and run.git:
        sha, done = current.value.get("git_commit_sha"), list(current.value.get("completed_nodes") or [])
        if run.tip and not run.engine_alive and sha != run.tip:
            problems.append(f"{current.path} names commit {sha}, the branch is at {run.tip}")
        nodes = nodes_of(run.commits)
        if nodes[len(nodes) - len(done) :] != done:
            problems.append(
                f"{current.path} has completed_nodes {done}, the newest commits are of {nodes[-len(done) :]}"
            )
        if not run.current_root and len(done) != len(nodes):
            problems.append(f"{len(nodes)} commits, but {len(done)} completed_nodes: {done}")
    return judged(name, problems, "the checkpoint names the tip and the nodes of the newest commits")


def _turns(name: str, run: RunEvidence) -> CheckResult:
    if not run.turns.expected:
        return CheckResult(name=name, verdict=Verdict.SKIPPED, summary="the run was told to do without CXDB")
    if run.turns.unavailable:
        return CheckResult(name=name, verdict=Verdict.ERROR, summary=f"no turns to judge: {run.turns.unavailable}")
    problems = []
    for rule in TURN_TYPES:
        wanted = [event.get("seq") for event in run.log.events if rule.wants(event)]
        turns = [turn for turn in run.turns.turns if turn.turn_type == run.turn_prefix + rule.turn_type]
        found = [_number(turn.data.get("event_seq")) for turn in turns]
        if found == wanted:
            continue
        doubled = [seq for seq, n in Counter(found).items() if n > 1]
        missing = [seq for seq in wanted if seq not in found]
        strange = [seq for seq in found if seq not in wanted]
        parts = {"doubled": doubled, "missing": missing, "without an event": strange}
        words = [f"{word}: {numbers}" for word, numbers in parts.items() if numbers] or ["out of order"]
        problems.append(f"{rule.turn_type} turns for {' or '.join(rule.events)}: {'; '.join(words)} (by event_seq)")
    return judged(name, problems, "each event has its turn, once")


def _number(value: object) -> object:
    """CXDB's HTTP shows 64-bit numbers as text."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


HISTORY_CHECKS: Mapping[str, Callable[[str, RunEvidence], CheckResult]] = {
    "history: events": _events,
    "history: lives": _lives,
    "history: final.json": _final,
    "history: commits": _commits,
    "history: checkpoint": _checkpoint,
    "history: CXDB turns": _turns,
}
