"""The branches of a run's fan-outs, held against their own histories and against the events of whoever owns them.

Pure. A manager's child pipeline is a branch like any other, the only one of its pass. Each branch keeps the rules of
any history. Beyond that: it begins on its owner's line; `branch_result.json` says what its last life's terminal event
says; its owner's events speak of it, with the same outcome; and once it is finished it never lives again, whatever
becomes of the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from harness.evidence import RunEvidence
from harness.history import (
    checkpoint_problems,
    commit_problems,
    event_problems,
    last_terminal,
    life_problems,
    nodes_of,
    own_commits,
    turn_problems,
)

__all__ = ["branch_problems", "has_fan_outs"]

Event = Mapping[str, Any]
GOOD = ("success", "partial_success")
CHILD = "child"  # what a manager's branch is called
STARTED = ("parallel_branch_started", "child_started")
ENDED = ("parallel_branch_completed", "child_completed")
OUTCOMES = {"run_completed": GOOD, "run_failed": ("fail",)}


def has_fan_outs(run: RunEvidence) -> bool:
    return bool(run.parallel) or any(
        event.get("event") in ("parallel_started", "child_started") for event in run.log.events
    )


def branch_problems(owner: RunEvidence, above: tuple[str, ...] = ()) -> list[str]:
    """Of all branches below `owner`; `above` are the ids of those that it is itself a branch of."""
    problems = _against_owner(owner)
    for branch in owner.parallel:
        chain = (*above, owner.run_id)
        problems += [f"{branch.name}: {text}" for text in _own_problems(branch, owner, chain)]
        problems += branch_problems(branch, chain)
    return problems


def _own_problems(branch: RunEvidence, owner: RunEvidence, chain: tuple[str, ...]) -> list[str]:
    if _never_began(branch) and (last_terminal(owner) is None or branch.name in _said_to_have_failed(owner)):
        return []  # the engine was killed before the branch had done anything, or could not even begin it
    problems = event_problems(branch) + life_problems(branch) + _result_problems(branch, owner)
    if branch.git:
        line = [owner.base_sha, *(commit.sha for commit in owner.commits)]
        problems += [] if branch.base_sha in line else [f"begins at {branch.base_sha}, where its run has never been"]
        problems += commit_problems(branch)
    problems += checkpoint_problems(branch)
    if branch.turns.expected and not branch.turns.unavailable:
        problems += turn_problems(branch, forked_from=chain)
    return problems


def _never_began(branch: RunEvidence) -> bool:
    return not (branch.log.present or branch.final or branch.commits or branch.checkpoints)


def _said_to_have_failed(owner: RunEvidence) -> set[str]:
    ends = [(path, event) for path, event in _by_pass(owner) if event["event"] in ENDED]
    return {_name(path, event) for path, event in ends if event.get("status") == "fail" and not event.get("canceled")}


def _result_problems(branch: RunEvidence, owner: RunEvidence) -> list[str]:
    ending, result = last_terminal(branch), branch.final
    name = str(ending["event"]) if ending is not None else "no terminal event"
    if result is None:
        lost = name in OUTCOMES and last_terminal(owner) is not None
        return [f"no branch_result.json after {name}"] if lost else []
    if result.value is None:
        return [f"{result.path}: {result.unreadable}"]
    said = result.value
    problems = (
        [] if said.get("outcome") in OUTCOMES.get(name, ()) else [f"outcome {said.get('outcome')!r} after {name}"]
    )
    expected = {
        "id": branch.name.rpartition("/")[2],
        "branch": branch.branch,
        "base_sha": branch.base_sha,
        "head_sha": branch.tip,
        "nodes": nodes_of(own_commits(branch)),
        "failure_class": ending.get("failure_class") if ending is not None else None,
    }
    if not branch.git:
        expected = {key: expected[key] for key in ("id", "failure_class")}
    return problems + [
        f"{result.path} has {key} {said.get(key)!r}, expected {value!r}"
        for key, value in expected.items()
        if (said.get(key) or None) != (value or None)
    ]


def _against_owner(owner: RunEvidence) -> list[str]:
    """What the owner's events say of its branches, and of how many of them succeeded."""
    by_name = {branch.name: branch for branch in owner.parallel}
    started: set[str] = set()
    ended: dict[str, Event] = {}
    finished_at: dict[str, str] = {}
    problems: list[str] = []
    for path, event in _by_pass(owner):
        name = _name(path, event)
        if event["event"] in STARTED:
            started.add(name)
        elif event["event"] in ENDED:
            ended[name] = event
            if _has_result(by_name.get(name)) and not event.get("canceled"):
                finished_at.setdefault(name, str(event.get("ts")))
        elif event["event"] == "parallel_completed":
            problems += _count_problems(path, event, [e for n, e in ended.items() if n.rpartition("/")[0] == path])
    problems += [f"{name}: has records, and no event says that it was started" for name in sorted({*by_name} - started)]
    for name, event in ended.items():
        problems += [f"{name}: {text}" for text in _outcome_problems(event, by_name.get(name))]
    for name, at in finished_at.items():
        later = next((e for e in by_name[name].log.events if str(e.get("ts")) > at), None)
        if later is not None:
            problems.append(f"{name}: lives again after its end: {later.get('event')} at {later.get('ts')}")
    return problems


def _name(path: str, event: Event) -> str:
    return f"{path}/{event.get('branch') or CHILD}"


def _by_pass(owner: RunEvidence) -> Iterator[tuple[str, Event]]:
    """The events of fan-outs and managers, each with `<fan>/<pass>`.

    A pass is a visit, numbered anew behind a loop restart. A manager that is tried again has one for each attempt.
    """
    restarts, visits = 0, Counter[str]()
    attempts = Counter[str]()
    outer = owner.name.replace("/", "+") + "+" if owner.is_branch else ""
    for event in owner.log.events:
        name, node = str(event.get("event")), str(event.get("node_id"))
        if name in ("loop_restart", "run_resumed"):
            restarts = int(event.get("restart_count") or 0)
        elif name == "stage_attempt_start":
            visits[node], attempts[node] = int(event.get("visit") or 1), int(event.get("attempt") or 1)
        elif name.startswith(("parallel_", "child_")):
            again = f"-{attempts[node]}" if name.startswith("child_") and attempts[node] > 1 else ""
            yield f"{outer}{node}/{f'r{restarts}.' if restarts else ''}{visits[node]}{again}", event


def _has_result(branch: RunEvidence | None) -> bool:
    return branch is not None and branch.final is not None


def _outcome_problems(event: Event, branch: RunEvidence | None) -> list[str]:
    result = branch.final.value if branch is not None and branch.final is not None else None
    if result is None:
        well = event.get("status") in GOOD
        return [f"is said to have ended with {event.get('status')}, and has no branch_result.json"] if well else []
    problems = [f"has a result although it was canceled at seq {event.get('seq')}"] if event.get("canceled") else []
    if result.get("outcome") != event.get("status"):
        problems.append(f"its result is {result.get('outcome')!r}, the run's event says {event.get('status')!r}")
    return problems


def _count_problems(path: str, event: Event, ended: list[Event]) -> list[str]:
    canceled = [e for e in ended if e.get("canceled")]
    good = [e for e in ended if e.get("status") in GOOD]
    found = {"succeeded": len(good), "failed": len(ended) - len(good) - len(canceled), "canceled": len(canceled)}
    return [
        f"{path}: {event.get(key)} {key} by its last event, {number} by those of its branches"
        for key, number in found.items()
        if event.get(key) != number
    ]
