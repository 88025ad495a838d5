"""Reaching CXDB for a run: connect, start it where configured, make our types known, open a context."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from attractor.config import Autostart, RunConfig, without_secrets
from attractor.contracts import EventName
from attractor.cxdb import (
    FINAL_WAIT_SECONDS,
    Copies,
    CxdbConnection,
    Head,
    Journal,
    NoJournal,
    RunFacts,
    Watch,
    check_base_url,
    is_complete,
    publish_bundle,
    split_address,
)
from attractor.errors import AttractorError, CxdbError, CxdbUnreachable
from attractor.rundir import (
    EventLog,
    Layout,
    Manifest,
    encode_json,
    owned_branches,
    pretty_json,
    read_manifest,
    write_atomic,
    write_manifest,
)
from attractor.workspace import GitTrees

IN_RUN_HTTP_SECONDS = 0.25
AWAY_WAIT_SECONDS = 0.2
BRANCH_BEGIN_SECONDS = 1.0  # for all that CXDB is asked before a branch begins: four replies of an ordinary distance


@dataclass(slots=True)
class CxdbPeer:
    """A reachable CXDB that knows our types."""

    connection: CxdbConnection
    binary_addr: str
    http_base_url: str
    bundle_id: str


def reach_cxdb(config: RunConfig, run_id: str) -> CxdbPeer:
    """Connect to both ports. Raises CxdbError with the addresses tried and the remedy, ConfigError for addresses
    that are none.
    """
    split_address(config.cxdb_binary_addr)
    check_base_url(config.cxdb_http_base_url)
    try:
        return connect_cxdb(config.cxdb_binary_addr, config.cxdb_http_base_url, run_id)
    except CxdbUnreachable as error:
        if config.cxdb_autostart is not None:
            return _autostart(config, config.cxdb_autostart, run_id, error)
        raise CxdbUnreachable(
            error.message,
            address=error.address,
            hint="start one (`attractor-harness cxdb` brings one along), name yours in the configuration "
            "(cxdb.binary_addr, cxdb.http_base_url), or pass --no-cxdb",
        ) from error


def open_copies(manifest: Manifest) -> Copies | None:
    """What copies the files that the turns of a run and its branches name; None for a run without CXDB."""
    cxdb = manifest.cxdb
    if cxdb is None:
        return None
    address, tag = cxdb.binary_addr, f"attractor/{manifest.run_id}/files"
    wanted = manifest.repo_path and cxdb.snapshots_max_bytes
    trees = GitTrees(Path(manifest.repo_path)) if wanted else None
    return Copies(lambda: CxdbConnection(address, client_tag=tag, patient=True), trees, cxdb.snapshots_max_bytes)


def open_journal(
    manifest: Manifest,
    peer: CxdbPeer | None,
    events: EventLog,
    layout: Layout,
    copies: Copies | None,
    *,
    fresh: bool = False,
) -> Journal | NoJournal:
    """The journal of a run, attached to `peer`'s connection, listening to `events`. `fresh`: its context is new."""
    cxdb = manifest.cxdb
    if peer is None or cxdb is None:
        return NoJournal()
    graph_dot = layout.graph.read_text(encoding="utf-8", errors="replace")
    facts = RunFacts(
        manifest.run_id,
        cxdb.context_id,
        graph_dot,
        manifest_json=_recorded_manifest(manifest),
        run_config_json=_text(layout.run_config),
    )
    watch = copies.watch(manifest.run_id, cxdb.context_id, layout.copies) if copies else None
    journal = _journal(facts, peer.binary_addr, peer.http_base_url, events, layout, watch)
    journal.attach(peer.connection, fresh=fresh)
    events.listen(journal.take)
    return journal


def _recorded_manifest(manifest: Manifest) -> str:
    """Without what looks like a secret: CXDB has more readers than the logs root."""
    policy = msgspec.structs.replace(
        manifest.policy, setup_commands=tuple(map(without_secrets, manifest.policy.setup_commands))
    )
    return encode_json(msgspec.structs.replace(manifest, policy=policy)).decode()


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""


def open_branch_journal(
    manifest: Manifest,
    owner: Manifest,
    events: EventLog,
    layout: Layout,
    copies: Copies | None,
    wait_seconds: float = BRANCH_BEGIN_SECONDS,
) -> Journal | NoJournal:
    """The journal of a fan-out's branch: a context forked from that of `owner`, whose fan-out it is.

    CXDB away costs no more than `wait_seconds` here, also where it takes connections and answers nothing: what the
    branch does is in its progress.ndjson, and is shipped once it is back.
    """
    cxdb = manifest.cxdb
    if cxdb is None:
        return NoJournal()
    fresh = not cxdb.context_id
    connection, inherited = None, 0
    deadline = time.monotonic() + wait_seconds
    with suppress(CxdbError):
        tag = f"attractor/{manifest.run_id}"
        connection = CxdbConnection(cxdb.binary_addr, client_tag=tag, timeout_seconds=wait_seconds)
        if fresh and owner.cxdb is not None:
            fork = _fork(connection, owner.cxdb.context_id, deadline)
            context_id, inherited = str(fork.context_id), fork.depth + 1 if fork.turn_id else 0
            cxdb = msgspec.structs.replace(cxdb, context_id=context_id)
            note_context(layout, context_id)
    facts = RunFacts(manifest.run_id, cxdb.context_id, "", forked_from=owner.run_id)
    watch = copies.watch(manifest.run_id, cxdb.context_id, layout.copies, inherited) if copies else None
    journal = _journal(facts, cxdb.binary_addr, cxdb.http_base_url, events, layout, watch)
    if connection is not None:
        with suppress(CxdbError):
            journal.attach(connection, fresh=fresh, timeout_seconds=_left(deadline))
    events.listen(journal.take)
    return journal


def _fork(connection: CxdbConnection, context_id: str, deadline: float) -> Head:
    """A new context that begins with the turns of another one, as far as they are stored."""
    head = connection.head(int(context_id), _left(deadline)) if context_id else None
    base_turn_id = head.turn_id if head else 0
    return connection.create_context(_left(deadline), base_turn_id=base_turn_id)


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def _journal(
    facts: RunFacts, binary_addr: str, http_base_url: str, events: EventLog, layout: Layout, watch: Watch | None
) -> Journal:
    tag = f"attractor/{facts.run_id}"

    def move(context_id: str) -> None:
        with suppress(OSError):
            layout.copies.unlink()  # it speaks of a context that may have had the same number
        note_context(layout, context_id)
        if watch is not None:
            watch.move(context_id)
        _note_forgotten_branches(layout)

    return Journal(
        lambda timeout: CxdbConnection(binary_addr, client_tag=tag, timeout_seconds=timeout),
        facts,
        layout.progress,
        on_outage=lambda reason: events.emit(EventName.CXDB_DEGRADED, reason=reason),
        on_recovery=lambda seconds, context_id: events.emit(
            EventName.CXDB_RECOVERED, context_id=context_id, outage_ms=round(seconds * 1000)
        ),
        publish=lambda timeout: publish_bundle(http_base_url, max(timeout, IN_RUN_HTTP_SECONDS)),
        on_context=move,
        on_sent=watch.look if watch is not None else lambda: None,
    )


def note_context(layout: Layout, context_id: str) -> None:
    """Let the manifest name the context the run's turns are in now. final.json will too, whatever becomes of this."""
    with suppress(AttractorError):
        manifest = read_manifest(layout)
        if manifest.cxdb is not None:
            cxdb = msgspec.structs.replace(manifest.cxdb, context_id=context_id)
            write_manifest(layout, msgspec.structs.replace(manifest, cxdb=cxdb))


def connect_cxdb(binary_addr: str, http_base_url: str, run_id: str) -> CxdbPeer:
    connection = CxdbConnection(binary_addr, client_tag=f"attractor/{run_id}")
    try:
        return CxdbPeer(connection, binary_addr, http_base_url, publish_bundle(http_base_url))
    except CxdbError:
        connection.close()
        raise


def _autostart(config: RunConfig, autostart: Autostart, run_id: str, first: CxdbUnreachable) -> CxdbPeer:
    """Start the configured command, which is to bring up CXDB and may go on running, and wait for the ports."""
    environment = dict(os.environ) | {
        "ATTRACTOR_RUN_ID": run_id,
        "ATTRACTOR_CXDB_BINARY_ADDR": config.cxdb_binary_addr,
        "ATTRACTOR_CXDB_HTTP_BASE_URL": config.cxdb_http_base_url,
    }
    folder = Path(config.file).parent if config.file else Path("/")
    try:
        process = subprocess.Popen(
            autostart.command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise CxdbUnreachable(
            f"{first.message}, and cxdb.autostart.command {autostart.command[0]!r} cannot be started: {error.strerror}",
            address=config.cxdb_binary_addr,
        ) from error
    deadline = time.monotonic() + autostart.wait_timeout_seconds
    while True:
        try:
            return connect_cxdb(config.cxdb_binary_addr, config.cxdb_http_base_url, run_id)
        except CxdbUnreachable as error:
            failed = process.poll() not in (None, 0)
            if failed or time.monotonic() >= deadline:
                how = f"ended with status {process.returncode}" if failed else "was started"
                raise CxdbUnreachable(
                    f"{error.message}; cxdb.autostart.command {how}, waited up to {autostart.wait_timeout_seconds:g} s",
                    address=config.cxdb_binary_addr,
                ) from error
            time.sleep(autostart.poll_interval_seconds)


@dataclass(frozen=True, slots=True)
class Shipped:
    """Where the run's turns are, as its end found them. `outage`: why some are missing; `files_missing`: why some
    do not show their commit's files.
    """

    context_id: str = ""
    head_turn_id: str = ""
    pending: int = 0
    outage: str = ""
    files_missing: str = ""

    def with_branches(self, layout: Layout, copies: Copies | None) -> Shipped:
        """With what CXDB lacks of the run's branches, after another try; a short one where it is away."""
        branches = settle_branches(layout, copies, AWAY_WAIT_SECONDS if self.pending else FINAL_WAIT_SECONDS)
        return replace(self, pending=self.pending + branches.pending, outage=self.outage or branches.outage)

    def with_copies(
        self,
        copies: Copies | None,
        layout: Layout,
        *,
        patient: bool = True,
        hurried: Callable[[], bool] = lambda: False,
    ) -> Shipped:
        """With what is missing of the files, after a wait within a bound; then `copies` is closed."""
        if copies is None:
            return self
        try:
            _watch_left_over_branches(copies, layout)
            wait_seconds = AWAY_WAIT_SECONDS if self.pending else FINAL_WAIT_SECONDS
            return replace(self, files_missing=copies.settle(wait_seconds, patient=patient, hurried=hurried))
        finally:
            copies.close()


def _watch_left_over_branches(copies: Copies, layout: Layout) -> None:
    """Those of earlier lives that have ended, and whose files have not been seen complete."""
    for _, branch in owned_branches(layout):
        try:
            manifest = read_manifest(branch)
        except AttractorError:  # killed before it had one: nothing of it is anywhere
            continue
        cxdb = manifest.cxdb
        if cxdb is None or not cxdb.context_id or copies.is_watched(branch.copies):
            continue
        if not is_complete(branch.copies, cxdb.context_id):
            copies.watch(manifest.run_id, cxdb.context_id, branch.copies)
            copies.end(branch.copies)


def note_unshipped(layout: Layout, shipped: Shipped, *, durable: bool = True) -> None:
    """Let whoever ends the run know of a branch that has ended while CXDB was away."""
    if shipped.pending:
        said = pretty_json({"pending": shipped.pending, "outage": shipped.outage})
        write_atomic(layout.unshipped, said, durable=durable)


def _note_forgotten_branches(layout: Layout) -> None:
    """A server that has forgotten a run's context has forgotten its branches' too: they are told again at its end."""
    with suppress(AttractorError):
        for _, branch in owned_branches(layout):
            note_unshipped(branch, Shipped(pending=1, outage="CXDB had forgotten what it knew"), durable=False)


def settle_branches(layout: Layout, copies: Copies | None, wait_seconds: float) -> Shipped:
    """Ship what CXDB lacks of the branches of a run, all within a bound: how many turns it lacks still, and why."""
    deadline = time.monotonic() + wait_seconds
    pending, outage = 0, ""
    for owner, branch in owned_branches(layout):
        if not branch.unshipped.exists():
            continue
        shipped = _settle_branch(owner, branch, copies, max(0.0, deadline - time.monotonic()))
        pending, outage = pending + shipped.pending, outage or shipped.outage
        if not shipped.pending:
            branch.unshipped.unlink(missing_ok=True)
    return Shipped(pending=pending, outage=outage)


def _settle_branch(owner: Layout, branch: Layout, copies: Copies | None, wait_seconds: float) -> Shipped:
    manifest = read_manifest(branch)
    events = EventLog(branch, manifest.run_id)
    try:
        deadline = time.monotonic() + wait_seconds
        began = min(wait_seconds, BRANCH_BEGIN_SECONDS)
        journal = open_branch_journal(manifest, read_manifest(owner), events, branch, copies, began)
        return settle(journal, max(0.0, deadline - time.monotonic()))
    finally:
        events.close()
        if copies is not None:
            copies.end(branch.copies)


def settle(turns: Journal | NoJournal, wait_seconds: float = FINAL_WAIT_SECONDS) -> Shipped:
    """Wait for the last turns to be stored, within a bound, and close the journal."""
    try:
        head, pending = turns.settle(wait_seconds)
        return Shipped(turns.context_id, head, pending, turns.outage)
    finally:
        turns.close()
