"""Going on with a run after its engine has died, was stopped, or failed (spec 5.3, DESIGN 2.4, 3).

Order matters: look first, change nothing that is damaged; then own; then end what outlived the crash; only then put
the worktree back. The state comes from the checkpoint alone, the way onward from routing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from attractor.app.assembly import Host
from attractor.app.history import History, read_history, started_fields, tell_resumed
from attractor.app.inspect import checkpointed_commit, newest_root, refuse_branch
from attractor.app.interviews import choose_interviewer
from attractor.app.life import LEFTOVER_GRACE_SECONDS, Life, RunResult, final_of
from attractor.app.peers import open_copies, open_journal
from attractor.app.request import runnable_graph
from attractor.app.setup import forget_setup
from attractor.app.shipping import reach_again, ship_pending, ship_rest
from attractor.app.start import failed_final, initial_state
from attractor.contracts import (
    CrashObserver,
    EventName,
    FailureClass,
    Interviewer,
    Redactor,
    RunState,
    Spend,
    Workspace,
)
from attractor.engine import Ending
from attractor.errors import AttractorError, GraphError, RunDirectoryError
from attractor.extensions import Extensions, installed_extensions
from attractor.graph import FAN_IN, FAN_OUT, Graph, join_of
from attractor.processes import StopRequest, end_run
from attractor.rundir import (
    CheckpointStore,
    Event,
    EventLog,
    Final,
    Layout,
    Manifest,
    acquire,
    leader_notes,
    load_checkpoint,
    read_final,
    read_manifest,
    write_final,
)
from attractor.workspace import GitWorkspace, PlainFolder, restore_worktree


def resume_run(
    logs_root: Path,
    *,
    environment: Mapping[str, str],
    stop: StopRequest,
    on_owned: Callable[[], None] = lambda: None,
    on_events: Callable[[EventLog], None] = lambda log: None,
    observe: CrashObserver = lambda step: None,
    interviewer: Interviewer | None = None,
    auto_approve: bool = False,
    extensions: Extensions | None = None,
) -> RunResult:
    """Continue the run in `logs_root` behind its last finished node, to its end.

    `on_owned` is called once nothing more keeps it from going on. A run that has succeeded is left as it is. One that
    failed begins again with the node that failed. `auto_approve` is for this life alone; a run begun with it keeps it.
    `extensions` None: those that are installed. Raises AttractorError, with nothing changed but a final.json that says
    so, where it cannot be continued.
    """
    layout = Layout(logs_root)
    manifest = read_manifest(layout)
    refuse_branch(manifest)
    _check_moved(layout, manifest)
    lock = acquire(layout)
    try:
        # First of all: whatever becomes of this, nobody must go on writing into a run that nobody watches.
        end_run(manifest.token, grace_seconds=LEFTOVER_GRACE_SECONDS, leader_notes=leader_notes(layout))
        observe("leftovers_ended")
        final = read_final(layout, manifest.run_id)
        if final is not None and final.status == "success":
            on_owned()
            return _finished(layout, manifest, final)
        try:
            known = (installed_extensions() if extensions is None else extensions).as_recorded(manifest.extensions)
            asked = choose_interviewer(layout, interviewer, manifest.policy, known, auto_approve=auto_approve)
            host = Host(environment, observe, asked, known, Spend())
            history = read_history(layout)
            if final is None and history.terminal is not None:
                final = _write_missing_final(layout, manifest, history.terminal, known)
                if final.status == "success":
                    on_owned()
                    return _finished(layout, manifest, final)
            life = _revive(layout, manifest, final, history, host, stop, on_events)
        except (RunDirectoryError, GraphError) as error:
            # Damage: it can never be resumed as it is. Anything else (CXDB away, a moved branch) may pass, and a
            # crashed run stays a crashed one.
            if final is None:
                with suppress(AttractorError):
                    write_final([layout], _damaged_final(layout, manifest, error))
            raise
        on_owned()
        return life.live()
    finally:
        lock.release()


def _check_moved(layout: Layout, manifest: Manifest) -> None:
    if Path(manifest.logs_root) != layout.root and not _same(Path(manifest.logs_root), layout.root):
        raise RunDirectoryError(
            f"{layout.root} was moved: its manifest says {manifest.logs_root}",
            hint="move it back; its worktree and paths in its records belong to that place",
        )


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _damaged_final(layout: Layout, manifest: Manifest, error: AttractorError) -> Final:
    return msgspec.structs.replace(
        failed_final(manifest.run_id, error),
        final_git_commit_sha=checkpointed_commit(layout),
        cxdb_context_id=manifest.cxdb.context_id if manifest.cxdb else "",
    )


def _finished(layout: Layout, manifest: Manifest, final: Final) -> RunResult:
    """Nothing is left to run. Turns that CXDB still lacks are shipped, where it is back."""
    final = ship_pending(layout, manifest, final)
    return RunResult(
        manifest.run_id, layout.root, Path(manifest.worktree), manifest.run_branch, final, already_finished=True
    )


def _write_missing_final(layout: Layout, manifest: Manifest, terminal: Event, extensions: Extensions) -> Final:
    """The engine died between its terminal event and final.json: only the file is missing, and only it is made."""
    state, current = load_state(layout, manifest, _runnable_graph_of(layout, extensions), read_history(layout))
    failure_class = terminal.get("failure_class")
    ending = Ending(
        terminal["status"],
        terminal.get("failure_reason", ""),
        FailureClass(failure_class) if failure_class else None,
        terminal.get("node_id", ""),
    )
    shipped = ship_rest(layout, manifest)
    CheckpointStore(current).close(state)
    final = final_of(manifest, ending, state, shipped)
    write_final([layout] if current == layout else [layout, current], final)
    return final


def _runnable_graph_of(layout: Layout, extensions: Extensions) -> Graph:
    """The run's own copy of its graph."""
    try:
        text = layout.graph.read_bytes()
    except OSError as error:
        raise RunDirectoryError(
            f"cannot read {layout.graph}: {error.strerror or error}", hint="it is the run's own copy of its graph"
        ) from error
    return runnable_graph(text, str(layout.graph), extensions)


def _revive(
    layout: Layout,
    manifest: Manifest,
    final: Final | None,
    history: History,
    host: Host,
    stop: StopRequest,
    on_events: Callable[[EventLog], None],
) -> Life:
    graph = _runnable_graph_of(layout, host.extensions)
    state, current = load_state(layout, manifest, graph, history)
    _check_fits(state, graph, current)
    peer = reach_again(manifest)
    with _watched_for_remaking(layout, manifest):
        workspace = _restore_workspace(manifest, state)
    host.observe("worktree_restored")
    host = replace(host, spend=Spend(state.context))
    _rerun_failed_node(graph, state, final, current)
    _keep_old_final(layout, current, history.resumes)
    events = EventLog(layout, manifest.run_id, redactor=Redactor(host.environment))
    on_events(events)
    if state.restart_count:
        events.mirror_into(current)
    copies = open_copies(manifest)
    turns = open_journal(manifest, peer, events, layout, copies)
    if events.seq == 0:  # killed before its first event: its history begins here
        events.emit(EventName.RUN_STARTED, **started_fields(manifest))
    tell_resumed(events, state, current, history, final)
    turns.flush()
    return Life(
        manifest,
        graph,
        state,
        layout,
        workspace,
        events,
        turns,
        copies,
        stop,
        host,
        needs_setup=True,
    )


def load_state(layout: Layout, manifest: Manifest, graph: Graph, history: History) -> tuple[RunState, Layout]:
    """The newest state and the logs root it was saved in."""
    current = newest_root(layout)
    count = 0 if current == layout else int(current.root.name.rpartition("-")[2])
    if count == 0 and not current.checkpoint.exists() and history.last_checkpoint == 0:
        return initial_state(graph, manifest), current  # died before the first checkpoint: nothing was done yet
    if history.last_restart > count:
        raise RunDirectoryError(
            f"{layout.restart(history.last_restart).checkpoint} is missing, although the run had restarted "
            f"{history.last_restart} times",
            hint="nothing was changed; restore the folder from a backup",
        )
    return load_checkpoint(current), current


def _check_fits(state: RunState, graph: Graph, current: Layout) -> None:
    unknown = [
        node_id for node_id in (*state.completed_nodes, state.next_node) if node_id and node_id not in graph.nodes
    ]
    if unknown:
        raise RunDirectoryError(
            f"{current.checkpoint} names node {unknown[0]!r}, which graph.dot does not have",
            hint="graph.dot in the logs root is the run's own copy; put it back as it was",
        )


def _restore_workspace(manifest: Manifest, state: RunState) -> Workspace:
    worktree = Path(manifest.worktree)
    if not manifest.repo_path:
        return PlainFolder(worktree)
    repository = Path(manifest.repo_path)
    restore_worktree(repository, worktree, manifest.run_branch, manifest.run_id, state.commit_sha)
    return GitWorkspace(repository, worktree, manifest.run_branch, state.commit_sha)


@contextmanager
def _watched_for_remaking(layout: Layout, manifest: Manifest) -> Iterator[None]:
    """Forget the setup where the worktree is made anew meanwhile, also where that is interrupted."""
    worktree = Path(manifest.worktree)
    if manifest.repo_path and not (worktree / ".git").exists():
        forget_setup(layout)
        yield
        return
    # Held open, so that the number of the folder cannot be given to a new one.
    held = os.open(worktree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield
        if not os.path.samestat(os.fstat(held), worktree.stat()):
            forget_setup(layout)
    finally:
        os.close(held)


def _rerun_failed_node(graph: Graph, state: RunState, final: Final | None, current: Layout) -> None:
    """After a failure, the node that failed is next. Saved, so that a crash before it finishes does not lose it."""
    if final is not None and final.status == "fail" and final.failed_node in graph.nodes:
        state.next_node = _where_to_begin(graph, state, final.failed_node)
        CheckpointStore(current).save(state, None)


def _where_to_begin(graph: Graph, state: RunState, failed_node: str) -> str:
    """The node that failed; for a fan-in whose branches all failed, the fan-out: choosing again changes nothing."""
    if graph.nodes[failed_node].handler_type != FAN_IN:
        return failed_node
    fan_outs = (node_id for node_id in reversed(state.completed_nodes) if graph.nodes[node_id].handler_type == FAN_OUT)
    return next((node_id for node_id in fan_outs if join_of(graph, node_id) == failed_node), failed_node)


def _keep_old_final(layout: Layout, current: Layout, resumes: int) -> None:
    """final.json means "no engine is at work": it goes out of the way, and stays as final.<n>.json."""
    for place in {layout, current}:
        if place.final.exists():
            place.final.rename(place.root / f"final.{resumes}.json")
