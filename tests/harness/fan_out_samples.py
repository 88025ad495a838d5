"""Hand-written evidence of a healthy run with a fan-out of two branches, the first of which was adopted."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from evidence_samples import PREFIX, RUN_ID, event_log, healthy_run, stage, subject, turns_of

from harness.evidence import Document, RunEvidence, Turns
from harness.repos import Commit

BEFORE, AFTER = "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:01.000000Z"


def line(*made: tuple[str, str, int], parent: str) -> tuple[Commit, ...]:
    """Commits on top of each other: name, node, number."""
    commits = []
    for sha, node, number in made:
        trailers = {"Attractor-Run": RUN_ID, "Attractor-Node": node, "Attractor-Sequence": str(number)}
        commits.append(Commit(sha, (parent,), f"tree of {node}", subject(node), trailers, "a <a@b>"))
        parent = sha
    return tuple(commits)


def saved(node: str, sha: str) -> dict[str, Any]:
    return {"event": "checkpoint_saved", "node_id": node, "git_commit_sha": sha}


def branch_events(node: str, sha: str) -> list[dict[str, Any]]:
    end = {"event": "run_completed", "status": "success", "final_git_commit_sha": sha}
    git = {"run_branch": f"attractor/run/parallel/{RUN_ID}/fan/1/{node}"}
    return [{"event": "run_started", **git}, *stage(node, 1)[:2], saved(node, sha), end]


def healthy_branch(node: str, **changes: Any) -> RunEvidence:
    """One node; its context begins with a turn of the run's."""
    run_id, sha = f"{RUN_ID}/fan+1+{node}", f"sha-{node}"
    log = event_log(*changes.pop("events", branch_events(node, sha)), run_id=run_id)
    result = {"id": node, "outcome": "success", "base_sha": "sha1", "head_sha": sha, "nodes": [node]}
    result["branch"] = f"attractor/run/parallel/{RUN_ID}/fan/1/{node}"
    result |= changes.pop("result", {})
    branch = RunEvidence(
        name=f"fan/1/{node}",
        run_id=run_id,
        whole_run_id=RUN_ID,
        logs_root=f"/logs/run/parallel.d/fan/1/{node}",
        log=log,
        finals={"": Document("branch_result.json", result)},
        checkpoints={"": Document("checkpoint.json", {"git_commit_sha": sha, "completed_nodes": [node]})},
        base_sha="sha1",
        branch=str(result["branch"]),
        tip=sha,
        commits=line((sha, node, 1), parent="sha1"),
        turns=Turns((turns_of(event_log({"event": "run_started"})).turns[0], *turns_of(log).turns)),
        turn_prefix=PREFIX,
    )
    return dataclasses.replace(branch, **changes)


def told(node: str, **fields: Any) -> list[dict[str, Any]]:
    """What the run's events say of one branch."""
    about = {"node_id": "fan", "branch": node, "ts": AFTER}
    return [
        {"event": "parallel_branch_started", **about},
        {"event": "parallel_branch_completed", **about, "status": "success", **fields},
    ]


def adopted(**fields: Any) -> dict[str, Any]:
    git = f"attractor/run/parallel/{RUN_ID}/fan/1/a"
    event = {"event": "branch_adopted", "node_id": "pick", "branch": "a", "nodes": ["a"], "git_branch": git}
    return {**event, "head_sha": "copy-a", **fields}


def fan_out_events(*, branches: Iterable[dict[str, Any]] = (), **changes: Any) -> list[dict[str, Any]]:
    fan = [
        {"event": "stage_attempt_start", "node_id": "fan", "attempt": 1, "visit": 1},
        {"event": "parallel_started", "node_id": "fan", "branches": ["a", "b"]},
        *(branches or (*told("a"), *told("b"))),
        {"event": "parallel_completed", "node_id": "fan", "succeeded": 2, "failed": 0, "canceled": 0}
        | changes.get("completed", {}),
        *stage("fan", 2)[1:],
    ]
    pick = stage("pick", 3)
    pick.insert(1, adopted(**changes.get("adopted", {})))
    end = {"event": "run_completed", "status": "success", "final_git_commit_sha": "sha4"}
    begin = {"event": "run_started", "run_branch": f"attractor/run/{RUN_ID}", "base_sha": "base"}
    return [begin, *stage("start", 1), *fan, *pick, *stage("exit", 4), end]


COMMITS = (("sha1", "start", 1), ("sha2", "fan", 2), ("copy-a", "a", 1), ("sha3", "pick", 3), ("sha4", "exit", 4))


def healthy_fan_out(a: RunEvidence | None = None, b: RunEvidence | None = None, **changes: Any) -> RunEvidence:
    """start, the fan-out, the adopted branch a, the fan-in, exit."""
    final = {"status": "success", "run_id": RUN_ID, "final_git_commit_sha": "sha4"}
    checkpoint = {"git_commit_sha": "sha4", "completed_nodes": ["start", "fan", "pick", "exit"]}
    changes = {
        "events": fan_out_events(),
        "finals": {"": Document("final.json", final)},
        "checkpoints": {"": Document("checkpoint.json", checkpoint)},
        "commits": line(*COMMITS, parent="base"),
        "tip": "sha4",
        "parallel": (a or healthy_branch("a"), b or healthy_branch("b")),
        **changes,
    }
    return healthy_run(**changes)
