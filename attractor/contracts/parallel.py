"""Branches of a fan-out: what one is to do, what came of it, and who runs it (spec 4.8, 4.9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from attractor.contracts.outcome import FailureClass, Status

if TYPE_CHECKING:
    from attractor.contracts.ports import Stop

# Context keys (spec 4.8, 4.9).
PARALLEL_RESULTS: Final = "parallel.results"
FAN_IN_BEST_ID: Final = "parallel.fan_in.best_id"
FAN_IN_BEST_OUTCOME: Final = "parallel.fan_in.best_outcome"
FAN_IN_ADOPTED: Final = "parallel.fan_in.adopted_sha"


@dataclass(frozen=True, slots=True)
class BranchPlan:
    """One branch before it runs. `fan`, `pass_name` and `child` name it: in git, in its folder, in events.

    `until` are the nodes it ends before; `logs_root` is the one now in force, below which its folder is made. A child
    pipeline (spec 4.11) has a graph of its own, the file `graph_file`, and runs it from its start behind its exit, in
    `folder` of its worktree; `target_id` is '' then.
    """

    fan: str
    pass_name: str
    child: str
    target_id: str
    until: frozenset[str]
    base_sha: str
    context: Mapping[str, Any]
    logs_root: Path
    graph_file: Path | None = None
    folder: str = ""


@dataclass(frozen=True, slots=True)
class BranchResult:
    """One branch after its end. `child` is its id among the fan-out's.

    `canceled`: it was ended because the others had decided. `head_sha` is the newest commit on `branch`; both are ''
    without git. `tokens` and `cost_usd` are what this branch alone has used.
    """

    child: str
    status: Status
    failure_reason: str = ""
    failure_class: FailureClass | None = None
    canceled: bool = False
    notes: str = ""
    score: float = 0.0
    branch: str = ""
    base_sha: str = ""
    head_sha: str = ""
    worktree: str = ""
    logs_root: str = ""
    cxdb_context_id: str = ""
    nodes: tuple[str, ...] = field(default=())
    tokens: int = 0
    cost_usd: float = 0.0
    duration_ms: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As in `parallel_results.json` and in the context; what is empty is left out."""
        data: dict[str, Any] = {"id": self.child, "outcome": self.status.value}
        if self.failure_class is not None:
            data["failure_class"] = self.failure_class.value
        for name in (
            "failure_reason",
            "canceled",
            "notes",
            "score",
            "branch",
            "base_sha",
            "head_sha",
            "worktree",
            "logs_root",
            "cxdb_context_id",
            "tokens",
            "cost_usd",
            "duration_ms",
        ):
            if value := getattr(self, name):
                data[name] = value
        if self.nodes:
            data["nodes"] = list(self.nodes)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BranchResult:
        """Inverse of `to_json`; KeyError, ValueError or TypeError for anything else."""
        known = dict(data)
        failure_class = known.pop("failure_class", None)
        return cls(
            child=known.pop("id"),
            status=Status(known.pop("outcome")),
            failure_class=FailureClass(failure_class) if failure_class else None,
            nodes=tuple(known.pop("nodes", ())),
            **known,
        )


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What can be seen of a branch that runs. `active_node` '' between stages; `quiet_seconds` since its last event."""

    active_node: str = ""
    finished: tuple[str, ...] = ()
    failures: int = 0
    attempts: int = 0
    quiet_seconds: float = 0.0


class BranchRunner(Protocol):
    """Runs branches, each in a worktree and on a git branch of its own."""

    def finished(self, plan: BranchPlan) -> BranchResult | None:
        """What came of this branch in an earlier life of the engine; None where it has not finished."""
        ...

    def run(self, plan: BranchPlan, stop: Stop) -> BranchResult:
        """Run a branch to its end, from where an earlier life has left it. Called in a thread of its own.

        After a stop the result is `canceled` and the branch can be gone on with. Raises AttractorError or OSError
        for a failure of the engine's own means.
        """
        ...

    def adopt(self, result: BranchResult) -> tuple[str, tuple[str, ...]]:
        """Put the branch's commits on top of the run's own and its files into the worktree: the new head, and the
        nodes whose commits these are, oldest first.

        Raises WorkspaceError where the run has gone on meanwhile.
        """
        ...

    def watch(self, plan: BranchPlan) -> Telemetry:
        """How far a branch that runs has come; may be called from another thread than `run`."""
        ...

    def steer(self, plan: BranchPlan, instructions: str) -> str:
        """Leave instructions in the folder of the stage that runs, where its next attempt's prompt takes them up: the
        stage's node, '' where none runs.
        """
        ...

    def fan_path(self, node_id: str) -> str:
        """The name of this fan-out among all of the run: its node id, behind the branch's path where it is in one."""
        ...
