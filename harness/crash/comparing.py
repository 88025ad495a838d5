"""What must be equal between a run that was crashed and one that was left alone, and what differs.

Pure: evidence -> picture; two pictures -> sentences. Times, commit names and CXDB's numbers differ from run to run and
are no part of a picture. That a run agrees with itself (its log with its commits, its turns with its events) is the
history checker's business; here each is held against the twin's.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from harness.engines import TERMINAL_EVENTS
from harness.evidence import RunEvidence

__all__ = ["Picture", "Surroundings", "differences", "picture_of", "repeated"]

# Of these there is one for each thing done, however often the engine died; others (a stage begun) may come again.
COUNTED_TURNS = ("RunStarted", "GitCheckpoint", "CheckpointSaved", "RunCompleted", "RunFailed")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Around the run: what git says of its worktree, and which branches and worktrees there are."""

    worktree_at_tip: bool
    worktree_status: str
    branches: tuple[str, ...]
    worktrees: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Each field is compared by itself; its name is what a difference is called."""

    status: str
    tree: str
    commits: tuple[str, ...]  # subjects, oldest first
    merges: int
    finished: tuple[str, ...]  # by the events: node, status, sequence
    completed_nodes: tuple[str, ...]  # by the checkpoint in force
    restarts: tuple[str, ...]
    run_started_events: int
    terminal_events: tuple[str, ...]
    turns: Mapping[str, int]
    branches_of_fan_outs: Mapping[str, Any]
    surroundings: Surroundings


def picture_of(run: RunEvidence, surroundings: Surroundings) -> Picture:
    events = run.log.events
    names = Counter(str(event.get("event")) for event in events)
    current = run.checkpoints.get(run.current_root)
    final = run.final.value if run.final is not None and run.final.value is not None else {}
    return Picture(
        status=str(final.get("status", "no final.json")),
        tree=run.commits[-1].tree if run.commits else "no commits",
        commits=tuple(commit.subject for commit in run.commits),
        merges=sum(len(commit.parents) > 1 for commit in run.commits),
        finished=finished_of(run),
        completed_nodes=tuple((current.value or {}).get("completed_nodes") or ()) if current is not None else (),
        restarts=tuple(sorted(place for place in run.checkpoints if place)),
        run_started_events=names["run_started"],
        terminal_events=tuple(str(event["event"]) for event in events if event.get("event") in TERMINAL_EVENTS),
        turns=turns_of(run),
        branches_of_fan_outs={branch.name: _branch(branch) for branch in run.all_branches()},
        surroundings=surroundings,
    )


def finished_of(run: RunEvidence) -> tuple[str, ...]:
    saved = [event for event in run.log.events if event.get("event") == "checkpoint_saved"]
    return tuple(f"{event.get('node_id')} {event.get('status')} {event.get('sequence')}" for event in saved)


def turns_of(run: RunEvidence) -> dict[str, int]:
    found = Counter(turn.turn_type.removeprefix(run.turn_prefix) for turn in run.turns.turns)
    return {name: found[name] for name in COUNTED_TURNS if found[name]}


def _branch(branch: RunEvidence) -> dict[str, Any]:
    return {
        "tree": branch.commits[-1].tree if branch.commits else "no commits",
        "commits": [commit.subject for commit in branch.commits],
        "finished": list(finished_of(branch)),
        "outcome": (branch.final.value or {}).get("outcome") if branch.final is not None else "no result",
    }


def differences(twin: Picture, found: Picture, ignored: Sequence[str] = ()) -> list[str]:
    """A sentence for each field that is not as the twin's."""
    return [
        f"{field.name.replace('_', ' ')}: {getattr(found, field.name)!r}, undisturbed {getattr(twin, field.name)!r}"
        for field in dataclasses.fields(Picture)
        if field.name not in ignored and getattr(found, field.name) != getattr(twin, field.name)
    ]


def repeated(twin: Sequence[str], found: Sequence[str], allowed: int) -> list[str]:
    """Stages that were begun less often than by the twin, or, all in all, too often."""
    expected, begun = Counter(twin), Counter(found)
    problems = [
        f"stage {name} was begun {begun[name]} times, undisturbed {expected[name]}"
        for name in expected
        if begun[name] < expected[name]
    ]
    surplus = {name: begun[name] - expected[name] for name in begun if begun[name] > expected[name]}
    if sum(surplus.values()) > allowed:
        problems.append(f"stages were begun again more often than this crash can cause ({allowed}): {surplus}")
    return problems
