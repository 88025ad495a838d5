"""Putting an engine loop together from what a life has opened: for a run, and for each branch of its fan-outs."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attractor.backends import ModelCatalog
from attractor.contracts import BranchRunner, CrashObserver, Interviewer, Redactor, RunState, Spend, Stop, Workspace
from attractor.cxdb import Journal, NoJournal
from attractor.engine import RestartFolders, RunLoop, StageRunner
from attractor.errors import RunDirectoryError
from attractor.extensions import Extensions
from attractor.graph import Graph
from attractor.handlers import handlers_for
from attractor.processes import RUN_TOKEN_VARIABLE
from attractor.rundir import CheckpointStore, EventLog, Layout, Manifest, rfc3339
from attractor.workspace import without_git_variables, worktree_variables


@dataclass(frozen=True, slots=True)
class Host:
    """What the program around a run brings: its environment, who asks people, its own kinds of nodes. `spend`: what
    this life and those before it have used.
    """

    environment: Mapping[str, str]
    observe: CrashObserver
    interviewer: Interviewer
    extensions: Extensions
    spend: Spend


@dataclass(frozen=True, slots=True)
class Parts:
    """What one loop works with. `manifest` is the run's or the branch's own."""

    manifest: Manifest
    graph: Graph
    layout: Layout
    workspace: Workspace
    events: EventLog
    turns: Journal | NoJournal
    stop: Stop
    host: Host


def assemble(
    parts: Parts,
    state: RunState,
    catalog: ModelCatalog | None,
    branches: BranchRunner,
    folders: RestartFolders | None,
    *,
    stage_token: str,
    until: frozenset[str] = frozenset(),
    folder: str = "",
) -> RunLoop:
    """A loop that goes on from `state`. `stage_token`: what the tokens of its stages begin with, unique in the run.

    `folders` None: the loop may not restart. `folder`: where in the worktree stages run. Raises RunDirectoryError for
    one that is not there.
    """
    manifest, policy, host = parts.manifest, parts.manifest.policy, parts.host
    home = Path(host.environment.get("HOME") or "/")
    handlers = handlers_for(policy.agents, catalog, home, branches, host.interviewer, host.spend)
    types = {node.handler_type for node in parts.graph.nodes.values()}
    handlers |= {name: host.extensions.handler(name) for name in host.extensions.handlers if name in types}
    stages = StageRunner(
        graph=parts.graph,
        handlers=handlers,
        events=parts.events,
        turns=parts.turns,
        stop=parts.stop,
        worktree=_inside(parts.workspace.path, folder),
        environment=stage_environment(manifest, state.run_id, host.environment),
        token=stage_token,
        default_timeout_seconds=policy.stage_timeout_seconds,
        uniform=random.uniform,
        leader_note=parts.layout.leader_note,
        overspent=lambda: host.spend.over(policy.agents.limits),
        redactor=Redactor(host.environment),
    )
    return RunLoop(
        graph=parts.graph,
        state=state,
        base=parts.layout,
        stages=stages,
        workspace=parts.workspace,
        store=CheckpointStore(parts.layout.restart(state.restart_count)),
        events=parts.events,
        turns=parts.turns,
        folders=folders or _NoRestarts(),
        may_restart=folders is not None,
        observe=host.observe,
        timestamp=lambda: rfc3339(datetime.now(UTC)),
        initial_context=initial_context(parts.graph),
        until=until,
    )


class _NoRestarts:
    """Implements `engine.RestartFolders` where there are none (see `RunLoop.may_restart`)."""

    def enter(self, layout: Layout) -> None:
        raise AssertionError(f"{layout.root}: a branch cannot restart the run")


def _inside(worktree: Path, folder: str) -> Path:
    place = (worktree / folder).resolve()
    if not place.is_relative_to(worktree.resolve()) or not place.is_dir():
        raise RunDirectoryError(
            f"stack.child_workdir={folder!r} is no folder of the worktree {worktree}",
            hint="name a folder of the repository, relative to its root",
        )
    return worktree / folder if folder else worktree


def stage_environment(manifest: Manifest, run_id: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What every stage inherits. `run_id` is the whole run's, also in a branch."""
    own = {
        "ATTRACTOR_RUN_ID": run_id,
        "ATTRACTOR_LOGS_ROOT": manifest.logs_root,
        "ATTRACTOR_WORKTREE": manifest.worktree,
        "ATTRACTOR_GOAL": manifest.goal,
        RUN_TOKEN_VARIABLE: manifest.token,
    }
    if manifest.run_branch:
        own |= worktree_variables(environment, Path(manifest.worktree))
    return without_git_variables(environment) | own


def initial_context(graph: Graph) -> dict[str, Any]:
    """The context a run begins with: the graph's attributes, mirrored (spec 3.1, 5.1)."""
    return {f"graph.{key}": attribute.text for key, attribute in graph.attributes.items()}
