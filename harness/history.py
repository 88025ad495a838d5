"""What must be true of one history: the rules behind the audit, each a list of problems.

Pure. They hold for a run and for a branch of a fan-out, which is a small run of its own. What differs: a branch's
last word is branch_result.json, its commits carry the whole run's id, and its CXDB context is forked from the run's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from harness.adoption import adopted_shas
from harness.engines import TERMINAL_EVENTS, TURN_TYPES
from harness.evidence import FileSeen, RunEvidence
from harness.repos import Commit

__all__ = [
    "SUBJECT",
    "artifact_problems",
    "checkpoint_problems",
    "commit_problems",
    "event_problems",
    "final_problems",
    "last_terminal",
    "life_problems",
    "nodes_of",
    "own_commits",
    "snapshot_problems",
    "turn_problems",
]

Event = Mapping[str, Any]
LIFE_BEGINS = ("run_started", "run_resumed")
SUBJECT = re.compile(r"^attractor\((?P<run>[^)]*)\): (?P<node>.+) \((?P<status>[a-z_]+)\)$")


def event_problems(run: RunEvidence) -> list[str]:
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
    return problems


def lives(events: Sequence[Event]) -> list[list[Event]]:
    """The events of each engine process that owned the run, in order."""
    found: list[list[Event]] = []
    for event in events:
        if event.get("event") in LIFE_BEGINS or not found:
            found.append([])
        found[-1].append(event)
    return found


def life_problems(run: RunEvidence) -> list[str]:
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
    return problems


def last_terminal(run: RunEvidence) -> Event | None:
    found = lives(run.log.events)
    ending = found[-1][-1] if found else None
    return ending if ending is not None and ending.get("event") in TERMINAL_EVENTS else None


def final_problems(run: RunEvidence) -> list[str]:
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
    return problems


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


def own_commits(run: RunEvidence) -> list[Commit]:
    """Those of its own finished nodes: without what its fan-ins have taken over from branches."""
    adopted = adopted_shas(run)
    return [commit for commit in run.commits if commit.sha not in adopted]


def commit_problems(run: RunEvidence) -> list[str]:
    problems, parent, sequence = [], run.base_sha, 0
    adopted = adopted_shas(run)
    for commit in run.commits:
        short = commit.sha[:10]
        if commit.parents != (parent,):
            problems.append(f"{short} {commit.subject!r} has parents {commit.parents}, expected {parent}")
        parent = commit.sha
        problems += [f"{short}: {text}" for text in _subject_problems(commit, run.whole_run_id or run.run_id)]
        if commit.sha in adopted:
            continue  # numbered by its branch, whose commits it is compared with
        number = commit.trailers.get("Attractor-Sequence", "")
        if not number.isdigit() or int(number) <= sequence:
            problems.append(f"{short}: Attractor-Sequence {number!r} after {sequence}")
        sequence = int(number) if number.isdigit() else sequence
    return problems + _commits_against_events(run)


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
    commits = own_commits(run)
    on_branch = [commit.sha for commit in commits]
    problems += [
        f"checkpoint of {event.get('node_id')} names {event.get('git_commit_sha')}, which is not on the branch"
        for event in saved
        if event.get("git_commit_sha") not in on_branch
    ]
    resumed_after = Counter(e.get("after_node") for e in run.log.events if e.get("event") == "run_resumed")
    for commit in commits:
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


def checkpoint_problems(run: RunEvidence) -> list[str]:
    problems = [f"{doc.path}: {doc.unreadable}" for doc in run.checkpoints.values() if doc.unreadable]
    current = run.checkpoints.get(run.current_root)
    if current is None:
        problems += ["there is no checkpoint"] if run.commits else []
    elif current.value is not None and run.git:
        sha, done = current.value.get("git_commit_sha"), list(current.value.get("completed_nodes") or [])
        if run.tip and not run.engine_alive and sha != run.tip:
            problems.append(f"{current.path} names commit {sha}, the branch is at {run.tip}")
        nodes = nodes_of(own_commits(run))
        if nodes[len(nodes) - len(done) :] != done:
            problems.append(
                f"{current.path} has completed_nodes {done}, the newest commits are of {nodes[-len(done) :]}"
            )
        if not run.current_root and len(done) != len(nodes):
            problems.append(f"{len(nodes)} commits, but {len(done)} completed_nodes: {done}")
    return problems


def turn_problems(run: RunEvidence, forked_from: Collection[str] = ()) -> list[str]:
    """`forked_from`: the run, and the branches, whose turns the context of a branch may begin with."""
    ids = [turn.data.get("run_id") for turn in run.turns.turns]
    first = ids.index(run.run_id) if run.run_id in ids else len(ids)
    problems = [
        f"turn {place} is of run {found!r}, not {run.run_id!r}"
        for place, found in enumerate(ids)
        if found != run.run_id and (place >= first or found not in forked_from)
    ]
    for rule in TURN_TYPES:
        wanted = [event.get("seq") for event in run.log.events if rule.wants(event)]
        turns = [turn for turn in run.turns.turns[first:] if turn.turn_type == run.turn_prefix + rule.turn_type]
        found = [_number(turn.data.get("event_seq")) for turn in turns]
        if found == wanted:
            continue
        doubled = [seq for seq, n in Counter(found).items() if n > 1]
        missing = [seq for seq in wanted if seq not in found]
        strange = [seq for seq in found if seq not in wanted]
        parts = {"doubled": doubled, "missing": missing, "without an event": strange}
        words = [f"{word}: {numbers}" for word, numbers in parts.items() if numbers] or ["out of order"]
        problems.append(f"{rule.turn_type} turns for {' or '.join(rule.events)}: {'; '.join(words)} (by event_seq)")
    return problems


def snapshot_problems(run: RunEvidence) -> list[str]:
    """Each turn of a commit shows the commit's files: all of them, as they are."""
    problems = []
    for snapshot in run.snapshots or ():
        place = f"the turn of commit {snapshot.commit[:10]}"
        if snapshot.unreadable:
            problems.append(f"{place}: {snapshot.unreadable}")
        elif snapshot.shown is None:
            problems.append(f"{place} shows no files")
        else:
            problems += [f"{place}: {text}" for text in _differences(snapshot.shown, snapshot.committed)]
    return problems


def artifact_problems(run: RunEvidence) -> list[str]:
    """What a turn names is stored, unless its file has become another one before that could be."""
    problems = [f"{artifact.name}: {artifact.unreadable}" for artifact in run.artifacts if artifact.unreadable]
    lost = [
        artifact for artifact in run.artifacts if artifact.there and not artifact.stored and not artifact.unreadable
    ]
    return problems + [f"{artifact.name} ({artifact.content_hash[:10]}) is not in CXDB" for artifact in lost]


def _differences(shown: Mapping[str, FileSeen], committed: Mapping[str, FileSeen]) -> list[str]:
    problems = []
    for path in sorted({*shown, *committed}):
        seen, meant = shown.get(path), committed.get(path)
        if seen is None or meant is None:
            problems.append(f"{path} is {'not shown' if seen is None else 'shown, and not in the commit'}")
        elif (seen.mode, seen.size) != (meant.mode, meant.size) or seen.sha not in ("", meant.sha):
            problems.append(f"{path} is shown as {seen}, the commit has {meant}")
    return problems


def _number(value: object) -> object:
    """CXDB's HTTP shows 64-bit numbers as text."""
    return int(value) if isinstance(value, str) and value.isdigit() else value
