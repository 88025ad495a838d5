"""A run brought back from CXDB and its branch, where its logs root is gone or on another machine.

The turns of its context hold every event as it was written, and with them the graph, the manifest, the configuration
and each step of the checkpoint. So its folder can be made again up to the last event that CXDB has got; its files come
from the branch, as at any resume. Of stages' own files those come back that say more than events do. What CXDB never
had (open questions, sessions of agents, folders of branches) does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from blake3 import blake3

from attractor.app.request import runnable_graph
from attractor.app.start import initial_state
from attractor.config import REMOVED
from attractor.contracts import EventName, Finished, NotReadable, RunState, read_json
from attractor.cxdb import CxdbConnection, StoredTurn, described, line_of, newest_contexts
from attractor.errors import CxdbError, CxdbOutcomeUnknown, RunDirectoryError, UsageError, WorkspaceError
from attractor.extensions import Extensions, installed_extensions
from attractor.graph import Graph
from attractor.rundir import (
    CheckpointStore,
    CxdbManifest,
    Event,
    Layout,
    Manifest,
    acquire,
    is_held,
    make_directory,
    write_atomic,
    write_manifest,
)
from attractor.workspace import (
    NESTING,
    commit_exists,
    inspect_repository,
    parallel_branches,
    prefix_of,
    remove_tree,
    set_aside_branches,
)

CLIENT_TAG = "attractor/restore"
READ_SECONDS = 60.0  # for all turns of a long run at once


@dataclass(frozen=True, slots=True)
class Restored:
    """A run's folder that was made again. `notes`: what did not come back, a sentence each."""

    layout: Layout
    run_id: str
    events: int
    notes: tuple[str, ...]


def restore_run(
    wanted: str,
    logs_root: Path,
    *,
    repository: Path | None,
    binary_addr: str,
    http_base_url: str,
    extensions: Extensions | None = None,
) -> Restored:
    """Make `logs_root` from the context `wanted`: its number, or the id of the run. Then the run can be resumed.

    `repository`: where its branch is now; None where it was. Raises UsageError, RunDirectoryError, WorkspaceError or
    CxdbError, with nothing made, where it cannot be brought back.
    """
    layout = Layout(logs_root)
    _check_free(layout)
    context_id, turns = _find(wanted, binary_addr, http_base_url)
    record = _read_record(context_id, turns)
    _check_dead(record.manifest, layout)
    manifest = _moved_here(record.manifest, layout, repository, context_id, binary_addr, http_base_url)
    if manifest.repo_path and not Path(manifest.repo_path).is_dir():
        raise UsageError(
            f"the run's repository {manifest.repo_path} is not there", hint="name where it is now with --repo"
        )
    known = (installed_extensions() if extensions is None else extensions).as_recorded(manifest.extensions)
    graph = runnable_graph(record.graph_dot.encode(), str(layout.graph), known)
    states = list(_states(graph, manifest, record.events))
    if manifest.repo_path and not commit_exists(Path(manifest.repo_path), states[-1].commit_sha):
        raise WorkspaceError(
            f"{manifest.repo_path} does not have commit {states[-1].commit_sha}, where the run stands",
            hint=f"bring the run's branch here first: git fetch ORIGIN {manifest.run_branch}:{manifest.run_branch}",
        )
    missing = _write(layout, manifest, record, states)
    return Restored(layout, manifest.run_id, len(record.events), _notes(record, manifest, missing))


def _check_free(layout: Layout) -> None:
    if layout.root.exists() and (not layout.root.is_dir() or any(layout.root.iterdir())):
        raise UsageError(f"{layout.root} is there and not empty", hint="name a new folder with --logs-root")


def _check_dead(manifest: Manifest, layout: Layout) -> None:
    """The run's own folder wins, where there is one on this machine."""
    old = Layout(Path(manifest.logs_root))
    if old.root != layout.root and old.manifest.exists():
        state = "is still in use" if is_held(old) else "is still there"
        raise RunDirectoryError(
            f"the run's own folder {old.root} {state}",
            hint=f"go on there: attractor resume --logs-root {old.root}",
        )


# --- what CXDB has ---


@dataclass(frozen=True, slots=True)
class _Record:
    manifest: Manifest
    graph_dot: str
    run_config: str
    events: tuple[Event, ...]
    lines: tuple[bytes, ...]
    cut: int  # events that CXDB has behind a gap


def _find(wanted: str, binary_addr: str, http_base_url: str) -> tuple[int, list[StoredTurn]]:
    if wanted.isascii() and wanted.isdigit():
        return int(wanted), _all_turns(binary_addr, int(wanted))
    connection = CxdbConnection(binary_addr, client_tag=CLIENT_TAG)
    try:
        for context_id in newest_contexts(http_base_url):
            # Every turn of ours says whose it is.
            newest = connection.last_turns(context_id, 1)
            if newest and described(newest[0].type_id, newest[0].payload)[1].get("run_id") == wanted:
                return context_id, _all_turns(binary_addr, context_id)
    finally:
        connection.close()
    raise CxdbError(
        f"CXDB at {http_base_url} knows no context of a run {wanted!r}",
        address=http_base_url,
        hint="name the context by its number, which final.json, `attractor status --json` and CXDB's own list have",
    )


def _all_turns(binary_addr: str, context_id: int) -> list[StoredTurn]:
    connection = CxdbConnection(binary_addr, client_tag=CLIENT_TAG)
    try:
        return connection.last_turns(context_id, connection.head(context_id).depth + 1, READ_SECONDS)
    except CxdbOutcomeUnknown as error:
        if not connection.ended_by_peer:
            raise
        raise CxdbError(
            f"CXDB at {binary_addr} does not know context {context_id}",
            address=binary_addr,
            hint="was it restarted? Real ones forget everything",
        ) from error
    finally:
        connection.close()


def _read_record(context_id: int, turns: Sequence[StoredTurn]) -> _Record:
    started = next((fields for fields in map(_started, turns) if fields), None)
    if started is None:
        raise CxdbError(
            f"context {context_id} holds no run that can be brought back: its first turns are not those of one",
            hint="branches of fan-outs have contexts of their own; name the run's",
        )
    lines = [line for turn in turns if (line := line_of(turn.payload)) is not None]
    events = [_event(line) for line in lines]
    whole = next((n for n, event in enumerate(events) if event is None or event["seq"] != n + 1), len(events))
    try:
        manifest = read_json(started["manifest_json"], Manifest)
    except NotReadable as error:
        raise CxdbError(f"context {context_id}: its manifest cannot be read: {error}") from error
    return _Record(
        manifest,
        started["graph_dot"],
        started.get("run_config_json", ""),
        tuple(event for event in events[:whole] if event is not None),
        tuple(lines[:whole]),
        len(events) - whole,
    )


def _started(turn: StoredTurn) -> dict[str, Any] | None:
    name, fields = described(turn.type_id, turn.payload)
    return fields if name == "RunStarted" and fields.get("manifest_json") else None


def _event(line: bytes) -> Event | None:
    try:
        event = read_json(line, dict[str, Any])
    except NotReadable:
        return None
    return event if isinstance(event.get("seq"), int) and isinstance(event.get("event"), str) else None


def _moved_here(
    manifest: Manifest,
    layout: Layout,
    repository: Path | None,
    context_id: int,
    binary_addr: str,
    http_base_url: str,
) -> Manifest:
    was = manifest.cxdb
    return msgspec.structs.replace(
        manifest,
        logs_root=str(layout.root),
        worktree=str(layout.worktree) if manifest.repo_path else manifest.worktree,
        repo_path=str(inspect_repository(repository).root) if manifest.repo_path and repository else manifest.repo_path,
        graph_dot=str(layout.graph),
        cxdb=CxdbManifest(
            context_id=str(context_id),
            http_base_url=http_base_url,
            binary_addr=binary_addr,
            registry_bundle_id=was.registry_bundle_id if was else "",
            required=was.required if was else False,
            snapshots_max_bytes=was.snapshots_max_bytes if was else 0,
        ),
    )


# --- the state, from events ---


def _states(graph: Graph, manifest: Manifest, events: Sequence[Event]) -> Iterator[RunState]:
    """The state that each round of the run ended with, the newest last."""
    state = initial_state(graph, manifest)
    for event in events:
        try:
            match event["event"]:
                case EventName.CHECKPOINT_SAVED if event["sequence"] > state.sequence:
                    state.apply(Finished.from_json(event["step"]))
                case EventName.LOOP_RESTART:
                    yield state
                    state = _begun_again(state, event)
                case EventName.RUN_RESUMED:
                    state.next_node = event.get("next_node") or ""
        except (KeyError, TypeError, ValueError) as error:
            raise CxdbError(f"event {event['seq']} ({event['event']}) cannot be read: {error!r}") from error
    yield state


def _begun_again(state: RunState, event: Event) -> RunState:
    told = event["state"]
    return RunState(
        run_id=state.run_id,
        base_logs_root=state.base_logs_root,
        next_node=event["to"],
        sequence=told["sequence"],
        restart_count=event["restart_count"],
        commit_sha=told["git_commit_sha"],
        tree_sha=told["git_tree_sha"],
        timestamp=told["timestamp"],
        context=told["context"],
        restart_signatures=told["restart_signatures"],
    )


# --- the folder ---


def _write(layout: Layout, manifest: Manifest, record: _Record, states: Sequence[RunState]) -> list[str]:
    """The manifest last: from it on the folder is a run's. The ids of artifacts that are missing."""
    make_directory(layout.root)
    lock = acquire(layout)
    try:
        write_atomic(layout.graph, record.graph_dot.encode())
        if record.run_config:
            write_atomic(layout.run_config, record.run_config.encode())
        write_atomic(layout.progress, b"".join(record.lines))
        for count, state in enumerate(states):
            place = layout.restart(count)
            make_directory(place.root)
            CheckpointStore(place).save(state, None)
        assert manifest.cxdb is not None, "it was read from there"
        missing = _write_artifacts(layout, record, manifest.cxdb.binary_addr)
        _set_aside(manifest, record.events, states[-1])
        write_manifest(layout, manifest)
        return missing
    except BaseException:
        remove_tree(layout.root)  # it was made here, and half of it would be in the next try's way
        raise
    finally:
        lock.release()


def _set_aside(manifest: Manifest, events: Sequence[Event], state: RunState) -> None:
    """Branches of a fan-out, or a manager, that was at work: it begins again, and they have its new ones' names."""
    at_work = ""
    for event in events:
        if event["event"] in (EventName.PARALLEL_STARTED, EventName.CHILD_STARTED):
            at_work = event["node_id"]
        elif event["event"] in (EventName.CHECKPOINT_SAVED, EventName.LOOP_RESTART):
            at_work = ""
    if at_work and manifest.repo_path:
        visit = state.node_visits.get(at_work, 0) + 1
        pass_name = f"r{state.restart_count}.{visit}" if state.restart_count else str(visit)
        base = parallel_branches(prefix_of(manifest.run_branch, manifest.run_id), manifest.run_id)
        nested = NESTING.join((at_work, pass_name, ""))
        set_aside_branches(Path(manifest.repo_path), (f"{base}/{at_work}/{pass_name}", f"{base}/{nested}"))


def _write_artifacts(layout: Layout, record: _Record, binary_addr: str) -> list[str]:
    """Large values, and stages' files, from their blobs; which of them CXDB has not got."""
    old = Path(record.manifest.logs_root)
    missing = []
    told = [event for event in record.events if event["event"] == EventName.ARTIFACT_STORED]
    for event in {event["path"]: event for event in told}.values():  # what an earlier attempt had there is gone
        path = Path(event["path"])
        content = _blob(event.get("blake3", ""), binary_addr)
        if content is None or not path.is_relative_to(old) or ".." in path.parts:
            missing.append(str(event.get("artifact_id") or f"{event['node_id']}/{event['name']}"))
            continue
        place = layout.root / path.relative_to(old)
        make_directory(place.parent)
        write_atomic(place, content)
    return missing


def _blob(content_hash: str, binary_addr: str) -> bytes | None:
    """None for one that the server does not know: it closes the connection then, so each has one of its own."""
    if not content_hash:
        return None
    connection = CxdbConnection(binary_addr, client_tag=CLIENT_TAG)
    try:
        content = connection.get_blob(bytes.fromhex(content_hash), READ_SECONDS)
        return content if blake3(content).hexdigest() == content_hash else None
    except (CxdbOutcomeUnknown, ValueError):
        return None
    finally:
        connection.close()


def _notes(record: _Record, manifest: Manifest, missing: Sequence[str]) -> tuple[str, ...]:
    notes = ["of stages' own files only the last attempt's come back, and those that events hold whole do not"]
    notes += [f"{name} is not in CXDB and does not come back" for name in missing]
    if record.cut:
        notes.append(f"{record.cut} events behind a gap were left out: what they tell is done again")
    if any(REMOVED in command for command in manifest.policy.setup_commands):
        notes.append("a setup command had a secret in it, which CXDB never had: it will not work as it did")
    if manifest.policy.agents.catalog:
        notes.append("the run's copy of the model catalogue is gone")
    if not manifest.repo_path:
        notes.append(f"the run works without git in {manifest.worktree}: its files are as they are there")
    return tuple(notes)
