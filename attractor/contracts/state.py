"""Where a run stands: what has finished, with which outcome, and the context (spec 5.1, 5.3).

`RunState` is everything resume needs; `Finished` is the step from one state to the next. A state is only
ever changed by `apply`, so replaying the same steps on the same snapshot gives the same state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attractor.contracts.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Finished:
    """One node has finished: the unit of progress, and of `checkpoint.log`.

    `sequence` counts finished nodes over the whole run from 1, loop restarts included. `outcome` carries
    no context updates: they are part of `context_changes`.
    """

    sequence: int
    node_id: str
    outcome: Outcome
    context_changes: Mapping[str, Any]
    retries: int
    commit_sha: str
    timestamp: str
    tree_sha: str = ""

    def to_json(self) -> dict[str, Any]:
        """As a line of `checkpoint.log` has it, and the event of the step."""
        return {
            "sequence": self.sequence,
            "timestamp": self.timestamp,
            "node": self.node_id,
            "outcome": self.outcome.to_json(),
            "context": dict(self.context_changes),
            "retries": self.retries,
            "git_commit_sha": self.commit_sha,
            "git_tree_sha": self.tree_sha,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Finished:
        """Raises KeyError, TypeError or ValueError for what `to_json` does not write."""
        return cls(
            sequence=data["sequence"],
            node_id=data["node"],
            outcome=Outcome.from_json(data["outcome"]),
            context_changes=data["context"],
            retries=data["retries"],
            commit_sha=data["git_commit_sha"],
            tree_sha=data["git_tree_sha"],
            timestamp=data["timestamp"],
        )


@dataclass(slots=True)
class RunState:
    """The state after `sequence` finished nodes.

    `completed_nodes` begins anew at a loop restart, `sequence` does not. `next_node`, where it is not '', is the
    node to run next: at the beginning, and when a failed node is to be run again. Otherwise routing from the last
    finished node decides.
    """

    run_id: str
    base_logs_root: str
    next_node: str
    sequence: int = 0
    restart_count: int = 0
    commit_sha: str = ""
    tree_sha: str = ""
    timestamp: str = ""
    completed_nodes: list[str] = field(default_factory=list)
    node_outcomes: dict[str, Outcome] = field(default_factory=dict)
    node_retries: dict[str, int] = field(default_factory=dict)
    node_visits: dict[str, int] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    restart_signatures: dict[str, int] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)

    @property
    def current_node(self) -> str:
        """The last finished node, '' before the first."""
        return self.completed_nodes[-1] if self.completed_nodes else ""

    @property
    def newest_step(self) -> Finished:
        """The step that led here. What it has changed in the context is not known any more: all of it stands there."""
        node_id = self.current_node
        return Finished(
            sequence=self.sequence,
            node_id=node_id,
            outcome=self.node_outcomes[node_id],
            context_changes=dict(self.context),
            retries=self.node_retries.get(node_id, 0),
            commit_sha=self.commit_sha,
            tree_sha=self.tree_sha,
            timestamp=self.timestamp,
        )

    def apply(self, step: Finished) -> None:
        """Take one step. Steps are applied in order of `sequence`, each once."""
        self.sequence = step.sequence
        self.next_node = ""
        self.completed_nodes.append(step.node_id)
        self.node_outcomes[step.node_id] = step.outcome
        self.node_visits[step.node_id] = self.node_visits.get(step.node_id, 0) + 1
        if step.retries:
            self.node_retries[step.node_id] = step.retries
        else:
            self.node_retries.pop(step.node_id, None)
        self.context.update(step.context_changes)
        self.commit_sha = step.commit_sha
        self.tree_sha = step.tree_sha
        self.timestamp = step.timestamp
        if step.outcome.notes:
            self.logs.append(f"{step.node_id}: {step.outcome.notes}")
            del self.logs[:-LOGS_KEPT]


# The run log in a checkpoint is for people; all of it stands in progress.ndjson. Keeping it whole here
# would make a checkpoint grow with the length of the run.
LOGS_KEPT = 50
