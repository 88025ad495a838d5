"""What fan-ins have taken over: a branch's commits, repeated on top of the run's own, as `branch_adopted` names them.

Pure. The copies have other parents than the originals, and therefore other names; nodes, messages and trees are the
same. They are not commits of the run's own finished nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.evidence import RunEvidence
from harness.repos import Commit

__all__ = ["adopted_shas", "adoption_problems"]

Event = Mapping[str, Any]


def adopted_shas(run: RunEvidence) -> frozenset[str]:
    events = [event for event in run.log.events if event.get("event") == "branch_adopted"]
    return frozenset(commit.sha for event in events for commit in _copies(run, event))


def _copies(run: RunEvidence, event: Event) -> Sequence[Commit]:
    """As many of the run's commits as the event names nodes, ending with its head; none where that is elsewhere."""
    names = [commit.sha for commit in run.commits]
    if event.get("head_sha") not in names:
        return ()
    end = names.index(str(event["head_sha"])) + 1
    return run.commits[max(0, end - len(event.get("nodes") or ())) : end]


def adoption_problems(run: RunEvidence) -> list[str]:
    return [
        f"{event.get('node_id')} adopts {event.get('branch')!r}: {problem}"
        for event in _kept(run.log.events)
        for problem in _problems(run, event)
    ]


def _kept(events: Sequence[Event]) -> list[Event]:
    """Those whose fan-in was finished. A crash before its checkpoint takes the adoption back, and it is made again."""
    kept: list[Event] = []
    pending: Event | None = None
    for event in events:
        name = event.get("event")
        if name == "branch_adopted":
            pending = event
        elif name == "run_resumed":
            pending = None
        elif name == "checkpoint_saved" and pending is not None and event.get("node_id") == pending.get("node_id"):
            kept.append(pending)
            pending = None
    return kept


def _problems(run: RunEvidence, event: Event) -> list[str]:
    branch = next((b for b in run.parallel if b.branch and b.branch == event.get("git_branch")), None)
    if branch is None:
        return [f"{event.get('git_branch')!r} is the git branch of none of the run's branches"]
    problems = []
    if branch.name.rpartition("/")[2] != event.get("branch"):
        problems.append(f"{event.get('git_branch')!r} is the git branch of {branch.name}")
    copies, nodes = _copies(run, event), list(event.get("nodes") or ())
    if not copies:
        problems.append(f"its head {event.get('head_sha')} is not on the run's branch")
        return problems
    told = [commit.trailers.get("Attractor-Node") for commit in copies]
    if told != nodes:
        problems.append(f"nodes {nodes} are named, the commits up to {event.get('head_sha')} are of {told}")
    if [_work(commit) for commit in copies] != [_work(commit) for commit in branch.commits]:
        shown = [commit.trailers.get("Attractor-Node") for commit in branch.commits]
        problems.append(f"its commits of {told} are not what {branch.name} has made: {shown}")
    return problems


def _work(commit: Commit) -> tuple[object, ...]:
    return commit.subject, commit.tree, dict(commit.trailers), commit.author
