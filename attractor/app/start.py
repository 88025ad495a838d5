"""Beginning a run: from a checked plan to a life that owns its directory (spec 3.1 INITIALIZE)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import attractor
from attractor.app.assembly import Host, initial_context
from attractor.app.history import started_fields
from attractor.app.interviews import choose_interviewer
from attractor.app.life import Life, RunResult
from attractor.app.peers import CxdbPeer, open_copies, open_journal
from attractor.app.preflight import Preflight, pass_preflight, probe_models, write_report
from attractor.app.request import Plan, check_unused
from attractor.contracts import (
    AgentSettings,
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
from attractor.errors import AttractorError, CxdbError
from attractor.graph import Graph
from attractor.processes import StopRequest
from attractor.rundir import (
    CheckpointStore,
    CxdbManifest,
    EventLog,
    Final,
    Manifest,
    Policy,
    acquire,
    make_directory,
    new_token,
    pretty_json,
    rfc3339,
    write_atomic,
    write_final,
    write_manifest,
)
from attractor.workspace import GitWorkspace, PlainFolder, create_worktree


def start_run(
    plan: Plan,
    *,
    environment: Mapping[str, str],
    stop: StopRequest,
    on_owned: Callable[[], None] = lambda: None,
    on_events: Callable[[EventLog], None] = lambda log: None,
    observe: CrashObserver = lambda step: None,
    interviewer: Interviewer | None = None,
) -> RunResult:
    """Run a plan to its end. `on_owned` is called once the run is this process's, `on_events` with its log.
    `interviewer` asks people in place of the run's question files; `--auto-approve` wins over both.

    Raises AttractorError for what stops a run before it owns its directory; after that every end, a failed
    one too, is a RunResult and a final.json.
    """
    preflight = pass_preflight(plan, environment)
    make_directory(plan.layout.root)
    lock = acquire(plan.layout)
    try:
        check_unused(plan.layout)
        with suppress(FileNotFoundError):
            plan.layout.final.unlink()  # of a beginning that failed, in this folder
        preflight = probe_models(plan, preflight, environment, stop).require(plan)
        on_owned()
        try:
            life = _initialize(plan, preflight, environment, stop, on_events, observe, interviewer)
        except AttractorError as error:
            _fail_before_life(plan, error)
            if isinstance(error, CxdbError) and error.hint is None:
                error.hint = _after_cxdb(plan)
            raise
        return life.live()
    finally:
        lock.release()


def _initialize(
    plan: Plan,
    preflight: Preflight,
    environment: Mapping[str, str],
    stop: StopRequest,
    on_events: Callable[[EventLog], None],
    observe: CrashObserver,
    interviewer: Interviewer | None,
) -> Life:
    layout = plan.layout
    write_atomic(layout.graph, plan.graph_text)
    write_atomic(layout.run_config, pretty_json(plan.config.written))
    write_report(plan, preflight)
    peer = preflight.peer
    manifest = _manifest(plan, peer, keep_catalog(plan))
    write_manifest(layout, manifest)
    observe("manifest_written")
    workspace = _make_workspace(plan)
    observe("worktree_created")
    state = initial_state(plan.graph, manifest)
    CheckpointStore(layout).save(state, None)
    observe("first_checkpoint")
    events = EventLog(layout, plan.run_id, redactor=Redactor(environment))
    on_events(events)
    copies = open_copies(manifest)
    turns = open_journal(manifest, peer, events, layout, copies, fresh=True)
    asked = choose_interviewer(layout, interviewer, manifest.policy, plan.extensions)
    events.emit(EventName.RUN_STARTED, **started_fields(manifest))
    events.emit(EventName.PREFLIGHT_PASSED, checks=len(preflight.checks))
    return Life(
        manifest,
        plan.graph,
        state,
        layout,
        workspace,
        events,
        turns,
        copies,
        stop,
        Host(environment, observe, asked, plan.extensions, Spend()),
        needs_setup=True,
    )


def keep_catalog(plan: Plan) -> AgentSettings:
    """The agents' settings with the run's own copy of the model catalogue: a run must not change under a download."""
    settings = plan.config.agents
    if plan.config.catalog is None:
        return settings
    content = plan.config.catalog.read_bytes()
    make_directory(plan.layout.catalog.parent)
    write_atomic(plan.layout.catalog, content)
    digest = hashlib.sha256(content).hexdigest()
    return replace(settings, catalog=str(plan.layout.catalog), catalog_sha256=digest)


def _manifest(plan: Plan, peer: CxdbPeer | None, agents: AgentSettings) -> Manifest:
    repository, config = plan.repository, plan.config
    return Manifest(
        run_id=plan.run_id,
        name=plan.graph.name,
        goal=plan.graph.goal,
        start_time=rfc3339(datetime.now(UTC)),
        logs_root=str(plan.layout.root),
        worktree=str(plan.workdir),
        repo_path=str(repository.root) if repository else "",
        base_sha=repository.base_sha if repository else "",
        run_branch=plan.branch,
        graph_dot=str(plan.layout.graph),
        labels=dict(plan.labels),
        cxdb=_open_context(peer, config.cxdb_snapshots_max_bytes, required=config.cxdb_required) if peer else None,
        policy=Policy(
            stage_timeout_seconds=plan.config.stage_timeout_seconds,
            setup_commands=plan.config.setup_commands,
            setup_timeout_seconds=plan.config.setup_timeout_seconds,
            agents=agents,
            auto_approve=plan.auto_approve,
            interviewer=plan.interviewer,
        ),
        extensions=plan.extensions.used_by(plan.graph, plan.interviewer),
        token=new_token(),
        engine_version=attractor.__version__,
    )


def _open_context(peer: CxdbPeer, max_bytes: int, *, required: bool) -> CxdbManifest:
    return CxdbManifest(
        context_id=str(peer.connection.create_context().context_id),
        http_base_url=peer.http_base_url,
        binary_addr=peer.binary_addr,
        registry_bundle_id=peer.bundle_id,
        required=required,
        snapshots_max_bytes=max_bytes,
    )


def _make_workspace(plan: Plan) -> Workspace:
    repository = plan.repository
    if repository is None:
        return PlainFolder(plan.workdir)
    create_worktree(repository.root, plan.workdir, plan.branch, repository.base_sha)
    return GitWorkspace(repository.root, plan.workdir, plan.branch, repository.base_sha)


def initial_state(graph: Graph, manifest: Manifest) -> RunState:
    """The state before the first node."""
    return RunState(
        run_id=manifest.run_id,
        base_logs_root=manifest.logs_root,
        next_node=graph.start_node.id,
        commit_sha=manifest.base_sha,
        timestamp=manifest.start_time,
        context=initial_context(graph),
    )


def _after_cxdb(plan: Plan) -> str:
    """What to do about a CXDB that passed preflight and then went away."""
    if plan.layout.manifest.exists():
        return f"once CXDB is back: attractor resume --logs-root {plan.layout.root}"
    return "once CXDB is back, give the same command again: nothing has run yet"


def _fail_before_life(plan: Plan, error: AttractorError) -> None:
    """The directory is ours and no life began: say so in final.json, and let the error go its way."""
    if plan.layout.final.exists():
        return
    with suppress(AttractorError):
        write_final([plan.layout], failed_final(plan.run_id, error))


def failed_final(run_id: str, error: AttractorError) -> Final:
    ending = Ending("fail", error.message, FailureClass.DETERMINISTIC)
    return Final(
        timestamp=rfc3339(datetime.now(UTC)),
        status=ending.status,
        run_id=run_id,
        final_git_commit_sha="",
        failure_reason=ending.reason,
        failure_class=FailureClass.DETERMINISTIC.value,
    )
