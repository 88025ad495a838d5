"""One life of an engine on a run: from ownership to final.json, however it ends (DESIGN 2.2, 2.6).

`live` is the only place that ends a run. Whatever happens inside - success, failure, a signal, an error of the
engine's own - exactly one terminal event is written, what the run started is ended, the turns are settled, and
final.json is written last.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from attractor.app.assembly import Host, Parts, assemble, stage_environment
from attractor.app.branches import Branches
from attractor.app.history import TERMINAL_EVENT, terminal_fields
from attractor.app.peers import AWAY_WAIT_SECONDS, Shipped, settle
from attractor.app.setup import run_setup
from attractor.backends import load_catalog
from attractor.contracts import USAGE_COST, USAGE_TOKENS, FailureClass, RunState, Workspace
from attractor.cxdb import FINAL_WAIT_SECONDS, Copies, Journal, NoJournal
from attractor.engine import Ending, RunLoop
from attractor.errors import AttractorError
from attractor.graph import Graph
from attractor.processes import StopRequest, end_run
from attractor.rundir import (
    CheckpointStore,
    EventLog,
    Final,
    Layout,
    Manifest,
    leader_notes,
    make_own_directory,
    read_manifest,
    rfc3339,
    write_final,
    write_manifest,
)
from attractor.workspace import prefix_of

LEFTOVER_GRACE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RunResult:
    """What became of a run. `unwritten`: what could not be recorded at its end, each with cause and remedy."""

    run_id: str
    logs_root: Path
    worktree: Path
    run_branch: str
    final: Final
    already_finished: bool = False
    unwritten: tuple[str, ...] = ()


@dataclass(slots=True)
class Life:
    """All that a life needs, opened by `start` or `resume` and owned from then on."""

    manifest: Manifest
    graph: Graph
    state: RunState
    layout: Layout
    workspace: Workspace
    events: EventLog
    turns: Journal | NoJournal
    copies: Copies | None
    stop: StopRequest
    host: Host
    needs_setup: bool = False

    def live(self) -> RunResult:
        """Run to the end and close everything but the lock."""
        loop = self._loop()
        ending = self._run_guarded(loop)
        return self._finish(loop, ending)

    def _loop(self) -> RunLoop:
        manifest = self.manifest
        agents = manifest.policy.agents
        catalog = load_catalog(Path(agents.catalog)) if agents.catalog and not agents.simulate else None
        branches = Branches(
            owner=manifest,
            run_id=manifest.run_id,
            prefix=prefix_of(manifest.run_branch, manifest.run_id),
            path="",
            graph=self.graph,
            workspace=self.workspace,
            catalog=catalog,
            host=self.host,
            copies=self.copies,
        )
        parts = Parts(
            manifest,
            self.graph,
            self.layout,
            self.workspace,
            self.events,
            self.turns,
            self.stop,
            self.host,
        )
        folders = _RestartFolders(manifest, self.events)
        return assemble(parts, self.state, catalog, branches, folders, stage_token=manifest.token)

    def _run_guarded(self, loop: RunLoop) -> Ending:
        try:
            if self.needs_setup:
                run_setup(
                    self.manifest.policy,
                    self.layout,
                    self.workspace.path,
                    stage_environment(self.manifest, self.manifest.run_id, self.host.environment),
                    self.events,
                    self.stop,
                )
            return loop.run()
        except AttractorError as error:
            return Ending("fail", error.message, FailureClass.DETERMINISTIC)
        except (OSError, MemoryError) as error:
            # The disk, a folder that was removed, no memory left: the machine's, not ours.
            return Ending("fail", f"the run cannot go on: {str(error) or 'out of memory'}", FailureClass.DETERMINISTIC)
        except Exception as error:
            # Not a user's mistake: the trace goes to stderr (run.out when detached), the run still ends in order.
            with suppress(OSError, ValueError):
                traceback.print_exc(file=sys.stderr)
            reason = f"internal error: {type(error).__name__}: {error}"
            return Ending("fail", reason, FailureClass.DETERMINISTIC)

    def _finish(self, loop: RunLoop, ending: Ending) -> RunResult:
        """End what the run started, then make each record, whatever became of the others."""
        state = loop.state
        losses: list[str] = []
        with _noted(losses, "processes that the run has started may go on: "):
            # Looking for them takes an open file, and too many of those may be what has ended the run.
            end_run(self.manifest.token, grace_seconds=LEFTOVER_GRACE_SECONDS, leader_notes=leader_notes(self.layout))
        missing = self._missing_history(ending, losses)
        if missing is not None:
            ending = missing
        with _noted(losses):
            self.events.emit(TERMINAL_EVENT[ending.status], **terminal_fields(ending, state))
        self.host.observe("terminal_event")
        with _noted(losses):
            CheckpointStore(loop.layout).close(state)
        wait_seconds = FINAL_WAIT_SECONDS if missing is None else AWAY_WAIT_SECONDS
        final = self._settle(ending, state, losses, wait_seconds)
        for layout in {loop.layout.root: loop.layout, self.layout.root: self.layout}.values():
            with _noted(losses):
                write_final([layout], final)
        self.host.observe("final_written")
        self.events.close()
        return RunResult(
            self.manifest.run_id,
            self.layout.root,
            self.workspace.path,
            self.manifest.run_branch,
            final,
            unwritten=tuple(losses),
        )

    def _missing_history(self, ending: Ending, losses: list[str]) -> Ending | None:
        """How a run that has gone well ends all the same, because CXDB lacks some of it and must not (cxdb.required).

        Judged before the terminal event, with which final.json has to agree. So that event's own turn is the only one
        that may still be missing behind a success; cxdb_pending_turns says so.
        """
        cxdb = self.manifest.cxdb
        if cxdb is None or not cxdb.required or ending.status != "success":
            return None
        shipped = Shipped(pending=1, outage="what it has cannot be found out")
        with _noted(losses):
            _, pending = self.turns.settle(FINAL_WAIT_SECONDS)
            shipped = Shipped(pending=pending, outage=self.turns.outage).with_branches(self.layout, self.copies)
        if not shipped.pending:
            return None
        reason = (
            f"CXDB at {cxdb.binary_addr} lacks {shipped.pending} turns of this run, which its configuration has as "
            f"required: {shipped.outage}; all nodes are done: once CXDB is back, `attractor resume --logs-root "
            f"{self.layout.root}` ships the turns and ends the run well"
        )
        return Ending("fail", reason, FailureClass.TRANSIENT_INFRA)

    def _settle(self, ending: Ending, state: RunState, losses: list[str], wait_seconds: float) -> Final:
        shipped = Shipped(self.turns.context_id)
        with _noted(losses):
            shipped = settle(self.turns, wait_seconds)
        with _noted(losses):
            shipped = shipped.with_branches(self.layout, self.copies)
        with _noted(losses):
            canceled = ending.status == "canceled"
            shipped = shipped.with_copies(
                self.copies,
                self.layout,
                patient=not canceled,
                hurried=lambda: self.stop.urgent or (self.stop.requested and not canceled),
            )
        return final_of(self.manifest, ending, state, shipped)


@contextmanager
def _noted(losses: list[str], meaning: str = "") -> Iterator[None]:
    """A step at the end of a run that must not keep the next ones from being made."""
    try:
        yield
    except (AttractorError, OSError, MemoryError) as error:
        losses.append(f"{meaning}{str(error) or 'out of memory'}")


@dataclass(slots=True)
class _RestartFolders:
    """Implements `engine.loop.RestartFolders`."""

    manifest: Manifest
    events: EventLog

    def enter(self, layout: Layout) -> None:
        make_own_directory(layout.root, Path(self.manifest.logs_root))
        # The file's own words: the CXDB context may have become another one since the run began.
        write_manifest(layout, read_manifest(Layout(Path(self.manifest.logs_root))))
        self.events.mirror_into(layout)


def final_of(manifest: Manifest, ending: Ending, state: RunState, shipped: Shipped) -> Final:
    return Final(
        timestamp=rfc3339(datetime.now(UTC)),
        status=ending.status,
        run_id=manifest.run_id,
        final_git_commit_sha=state.commit_sha,
        failure_reason=ending.reason,
        failure_class=ending.failure_class.value if ending.failure_class else "",
        failed_node=ending.node_id,
        restart_count=state.restart_count,
        cxdb_context_id=shipped.context_id,
        cxdb_head_turn_id=shipped.head_turn_id,
        cxdb_pending_turns=shipped.pending,
        cxdb_outage=shipped.outage,
        cxdb_files_missing=shipped.files_missing,
        total_tokens=state.context.get(USAGE_TOKENS, 0),
        cost_usd=state.context.get(USAGE_COST, 0.0),
    )
