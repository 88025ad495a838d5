"""Branches of fan-outs, run for real: each has a worktree, a git branch, a run directory and a CXDB context.

A branch is a small run inside of the run: the same loop, checkpoints, events and turns, in the folder
`parallel.d/<fan>/<pass>/<child>`. It has no lock and no final end of its processes: those are the run's. What
finishes it is `branch_result.json`; until that is there, a later life of the engine goes on with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from attractor.app.assembly import Host, Parts, assemble, initial_context
from attractor.app.history import (
    TERMINAL_EVENT,
    read_history,
    started_fields,
    tell_resumed,
    terminal_fields,
)
from attractor.app.peers import Shipped, note_unshipped, open_branch_journal, settle
from attractor.app.request import read_graph_file, runnable_graph
from attractor.backends import ModelCatalog
from attractor.contracts import (
    USAGE_COST,
    USAGE_TOKENS,
    BranchPlan,
    BranchResult,
    EventName,
    FailureClass,
    Redactor,
    RunState,
    Status,
    Stop,
    Telemetry,
    Workspace,
    read_json,
)
from attractor.cxdb import Copies
from attractor.engine import STEERING, Ending, RunLoop
from attractor.errors import AttractorError, RecordsLost, RunDirectoryError
from attractor.graph import Graph
from attractor.rundir import (
    CheckpointStore,
    Event,
    EventLog,
    Layout,
    Manifest,
    check_own_directory,
    load_checkpoint,
    make_directory,
    pretty_json,
    read_events,
    read_manifest,
    rfc3339,
    write_atomic,
    write_manifest,
)
from attractor.workspace import (
    NESTING,
    GitWorkspace,
    fork_worktree,
    parallel_branch,
    remove_tree,
    remove_worktree,
    restore_worktree,
)

# A CXDB that is away must not hold up every branch: progress.ndjson has what it lacks.
SETTLE_SECONDS = 0.5
MAX_NESTING = 10
MAX_NAME_BYTES = 240  # of 255: git adds a suffix while it writes


@dataclass(frozen=True, slots=True)
class Branches:
    """Implements `contracts.BranchRunner` for the fan-outs of one run, or of one branch.

    `owner` is the manifest of that run or branch; `run_id` and `prefix` are the whole run's. `path` names the branch
    among the run's ('' for the run itself).
    """

    owner: Manifest
    run_id: str
    prefix: str
    path: str
    graph: Graph
    workspace: Workspace
    catalog: ModelCatalog | None
    host: Host
    copies: Copies | None = None

    def fan_path(self, node_id: str) -> str:
        return f"{self.path}{NESTING}{node_id}" if self.path else node_id

    def finished(self, plan: BranchPlan) -> BranchResult | None:
        place = _place(plan).branch_result
        try:
            result = BranchResult.from_json(read_json(place.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise RecordsLost(f"{place} is damaged: {error}", hint="remove it to run that branch again") from error
        self.host.spend.add(result.tokens, result.cost_usd)  # an earlier life's
        return result

    def adopt(self, result: BranchResult) -> tuple[str, tuple[str, ...]]:
        return self.workspace.adopt(result.base_sha, result.head_sha)

    def run(self, plan: BranchPlan, stop: Stop) -> BranchResult:
        layout = _place(plan)
        begun = layout.checkpoint.exists()
        manifest, state, workspace = self._revive(layout) if begun else self._begin(plan, layout)
        self.host.spend.add(*_used(plan, state))  # in earlier lives
        graph = self._own_graph(layout) if plan.graph_file else self.graph
        events = EventLog(layout, manifest.run_id, redactor=Redactor(self.host.environment))
        history = read_history(layout) if events.seq else None  # a crash may have come right behind the checkpoint
        turns = open_branch_journal(manifest, self.owner, events, layout, self.copies)
        try:
            if history is None:
                events.emit(EventName.RUN_STARTED, **started_fields(manifest))
            else:
                tell_resumed(events, state, layout, history, None)
            turns.flush()
            parts = Parts(
                manifest,
                graph,
                layout,
                workspace,
                events,
                turns,
                stop,
                replace(self.host, observe=self._observe_branch),
            )
            return self._live(plan, parts, state)
        finally:
            turns.close()
            events.close()
            if self.copies is not None:
                self.copies.end(layout.copies)

    def _own_graph(self, layout: Layout) -> Graph:
        return runnable_graph(layout.graph.read_bytes(), str(layout.graph), self.host.extensions)

    def _observe_branch(self, step: str) -> None:
        self.host.observe(step if step.startswith("branch_") else f"branch_{step}")

    # --- looking on --------------------------------------------------------------------------------------

    def watch(self, plan: BranchPlan) -> Telemetry:
        return telemetry(read_events(_place(plan).progress), datetime.now(UTC))

    def steer(self, plan: BranchPlan, instructions: str) -> str:
        layout = _place(plan)
        node_id = self.watch(plan).active_node
        if not node_id or not layout.stage(node_id).is_dir():
            return ""
        try:
            write_atomic(layout.stage(node_id) / STEERING, instructions.encode() + b"\n")
        except RunDirectoryError:  # a stage may take its own folder away: then it is not steered this time
            return ""
        return node_id

    # --- opening -----------------------------------------------------------------------------------------

    def _begin(self, plan: BranchPlan, layout: Layout) -> tuple[Manifest, RunState, Workspace]:
        """A branch from its start. What a crash before its first checkpoint has left is cleared away."""
        manifest = self._manifest(plan, layout)
        repository, worktree = Path(manifest.repo_path), Path(manifest.worktree)
        check_own_directory(layout.root, Path(plan.logs_root))
        if layout.root.exists():
            if manifest.repo_path:
                remove_worktree(repository, worktree, manifest.run_branch)
            remove_tree(layout.root)
        make_directory(layout.root)
        write_manifest(layout, manifest)
        target, own_context = plan.target_id, {}
        if plan.graph_file is not None:
            text = read_graph_file(plan.graph_file)
            graph = runnable_graph(text, str(plan.graph_file), self.host.extensions)
            write_atomic(layout.graph, text)  # the child's own copy: a resume goes on with what it began with
            target, own_context = graph.start_node.id, initial_context(graph)
        workspace = self.workspace
        if manifest.repo_path:
            assert isinstance(workspace, GitWorkspace)
            workspace = fork_worktree(workspace, repository, worktree, manifest.run_branch, plan.base_sha)
        state = RunState(
            run_id=self.run_id,
            base_logs_root=str(layout.root),
            next_node=target,
            commit_sha=plan.base_sha,
            timestamp=manifest.start_time,
            context={k: v for k, v in plan.context.items() if k != "internal.failed_node"} | own_context,
        )
        CheckpointStore(layout).save(state, None)
        self.host.observe("branch_begun")
        return manifest, state, workspace

    def _manifest(self, plan: BranchPlan, layout: Layout) -> Manifest:
        owner = self.owner
        _check_nesting(plan)
        with_git = bool(owner.repo_path)
        branch = parallel_branch(self.prefix, self.run_id, plan.fan, plan.pass_name, plan.child)
        cxdb = owner.cxdb
        return msgspec.structs.replace(
            owner,
            run_id=f"{self.run_id}/{_path(plan)}",
            start_time=rfc3339(datetime.now(UTC)),
            logs_root=str(layout.root),
            worktree=str(layout.worktree) if with_git else owner.worktree,
            branch_of=owner.branch_of or owner.logs_root,
            base_sha=plan.base_sha,
            run_branch=branch if with_git else "",
            cxdb=msgspec.structs.replace(cxdb, context_id="") if cxdb else None,
        )

    def _revive(self, layout: Layout) -> tuple[Manifest, RunState, Workspace]:
        """A branch as an earlier life of the engine has left it."""
        manifest, state = read_manifest(layout), load_checkpoint(layout)
        if not manifest.repo_path:
            return manifest, state, self.workspace
        repository, worktree = Path(manifest.repo_path), Path(manifest.worktree)
        restore_worktree(repository, worktree, manifest.run_branch, self.run_id, state.commit_sha)
        return manifest, state, GitWorkspace(repository, worktree, manifest.run_branch, state.commit_sha)

    # --- living ------------------------------------------------------------------------------------------

    def _live(self, plan: BranchPlan, parts: Parts, state: RunState) -> BranchResult:
        token = f"{self.owner.token}/{_path(plan)}"
        nested = replace(self, owner=parts.manifest, path=_path(plan), graph=parts.graph, workspace=parts.workspace)
        loop = assemble(
            parts, state, self.catalog, nested, None, stage_token=token, until=plan.until, folder=plan.folder
        )
        try:
            return self._finish(plan, parts, state, _run_guarded(loop))
        except RunDirectoryError as error:
            # One that was written, and whose folder could not be synced, would speak for a branch that lives on.
            with suppress(OSError):
                parts.layout.branch_result.unlink()
            raise RecordsLost(error.message, hint=error.hint) from error

    def _finish(self, plan: BranchPlan, parts: Parts, state: RunState, ending: Ending) -> BranchResult:
        parts.events.emit(TERMINAL_EVENT[ending.status], **terminal_fields(ending, state))
        CheckpointStore(parts.layout).close(state)
        shipped = settle(parts.turns, SETTLE_SECONDS)
        note_unshipped(parts.layout, shipped)
        result = _result(plan, parts.manifest, state, ending, shipped)
        if not result.canceled:
            write_atomic(parts.layout.branch_result, pretty_json(result.to_json()))
            self.host.observe("branch_finished")
        return result


def _check_nesting(plan: BranchPlan) -> None:
    """Names of nested fan-outs hold all that they are in: git and file systems end a name at 255 bytes."""
    depth = plan.fan.count(NESTING) // 3 + 1
    if depth > MAX_NESTING:
        raise RunDirectoryError(
            f"fan-outs and child pipelines are nested more than {MAX_NESTING} deep: {plan.fan[:80]}...",
            hint="does a child pipeline name itself, or one above it, as its child?",
        )
    longest = max(len(plan.fan.encode()), len(plan.child.encode()))
    if longest > MAX_NAME_BYTES:
        raise RunDirectoryError(
            f"the ids of the nested fan-outs are too long together: {longest} bytes, {MAX_NAME_BYTES} fit in a name",
            hint="give the nodes of the outer fan-outs shorter ids",
        )


def _place(plan: BranchPlan) -> Layout:
    """A nested fan-out's folder is in its branch's: its last name is enough there."""
    return Layout(plan.logs_root).branch(plan.fan.rpartition(NESTING)[2], plan.pass_name, plan.child)


def telemetry(events: Iterable[Event], now: datetime) -> Telemetry:
    """What the events of a branch so far say. Pure."""
    seen = Telemetry()
    newest = None
    for event in events:
        newest = event
        match event["event"]:
            case EventName.STAGE_ATTEMPT_START:
                seen = replace(seen, active_node=event["node_id"], attempts=seen.attempts + 1)
            case EventName.STAGE_ATTEMPT_END:
                failed = event["status"] == Status.FAIL.value
                seen = replace(seen, failures=seen.failures + failed, active_node="")
            case EventName.CHECKPOINT_SAVED:
                seen = replace(seen, finished=(*seen.finished, event["node_id"]))
    if newest is None:
        return seen
    return replace(seen, quiet_seconds=(now - datetime.fromisoformat(newest["ts"])).total_seconds())


def _path(plan: BranchPlan) -> str:
    """`<fan>/<pass>/<child>` as one part of a name."""
    return NESTING.join((plan.fan, plan.pass_name, plan.child))


def _run_guarded(loop: RunLoop) -> Ending:
    try:
        return loop.run()
    except RunDirectoryError:
        raise
    except AttractorError as error:
        return Ending("fail", error.message, FailureClass.DETERMINISTIC)
    except OSError as error:
        return Ending("fail", f"the branch cannot go on: {error}", FailureClass.DETERMINISTIC)


def _number(score: object) -> float:
    try:
        return float(score) if isinstance(score, int | float) else 0.0
    except OverflowError:  # an integer of hundreds of digits: the best there can be, or the worst
        return math.inf if isinstance(score, int) and score > 0 else -math.inf


def _used(plan: BranchPlan, state: RunState) -> tuple[int, float]:
    """Tokens and US dollars that the branch alone has used."""
    tokens = state.context.get(USAGE_TOKENS, 0) - plan.context.get(USAGE_TOKENS, 0)
    return tokens, round(state.context.get(USAGE_COST, 0.0) - plan.context.get(USAGE_COST, 0.0), 6)


def _result(plan: BranchPlan, manifest: Manifest, state: RunState, ending: Ending, shipped: Shipped) -> BranchResult:
    used, cost = _used(plan, state)
    last = state.node_outcomes[state.current_node] if state.completed_nodes else None
    status = Status.FAIL
    if ending.status == "success":
        partial = last is not None and last.status is Status.PARTIAL_SUCCESS
        status = Status.PARTIAL_SUCCESS if partial else Status.SUCCESS
    score = state.context.get("score", 0.0)
    return BranchResult(
        child=plan.child,
        status=status,
        failure_reason=ending.reason,
        failure_class=ending.failure_class,
        canceled=ending.status == "canceled",
        notes=last.notes if last else "",
        score=_number(score),
        branch=manifest.run_branch,
        base_sha=plan.base_sha,
        head_sha=state.commit_sha if manifest.run_branch else "",
        worktree=manifest.worktree,
        logs_root=manifest.logs_root,
        cxdb_context_id=shipped.context_id,
        nodes=tuple(state.completed_nodes),
        tokens=used,
        cost_usd=cost,
    )
