"""What CXDB has of a run, and what it lacks: shipped behind the run's end, read back, compared.

`progress.ndjson` says which turns there must be, so everything here is a comparison with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from attractor.app.inspect import newest_root, refuse_branch
from attractor.app.peers import CxdbPeer, Shipped, connect_cxdb, open_copies, open_journal, settle
from attractor.cxdb import CxdbConnection, Origin, RunFacts, StoredTurn, origin_of, turns_of
from attractor.errors import CxdbError, CxdbOutcomeUnknown, CxdbUnreachable, UsageError
from attractor.rundir import (
    EventLog,
    Final,
    Layout,
    Manifest,
    acquire,
    owned_branches,
    read_events,
    read_final,
    read_manifest,
    write_final,
)


def reach_again(manifest: Manifest) -> CxdbPeer | None:
    """The CXDB a run was begun with; None for a run without. Raises CxdbUnreachable, with the remedy."""
    if manifest.cxdb is None:
        return None
    try:
        return connect_cxdb(manifest.cxdb.binary_addr, manifest.cxdb.http_base_url, manifest.run_id)
    except CxdbUnreachable as error:
        raise CxdbUnreachable(
            error.message,
            address=error.address,
            hint=f"start the CXDB this run was begun with ({manifest.cxdb.binary_addr}, "
            f"{manifest.cxdb.http_base_url}) and try again",
        ) from error


def ship_rest(layout: Layout, manifest: Manifest) -> Shipped:
    """Ship what CXDB lacks of a run that has ended; where it cannot be reached, all of it counts as lacking."""
    events = EventLog(layout, manifest.run_id)
    try:
        copies = open_copies(manifest)
        shipped = settle(open_journal(manifest, reach_again(manifest), events, layout, copies))
        return shipped.with_branches(layout, copies).with_copies(copies, layout)
    except CxdbError as error:
        context_id = manifest.cxdb.context_id if manifest.cxdb else ""
        facts = RunFacts(manifest.run_id, context_id, "")
        made = sum(len(turns_of(event, facts)) for event in read_events(layout.progress))
        return Shipped(context_id, "", made, error.message)
    finally:
        events.close()


def ship_pending(layout: Layout, manifest: Manifest, final: Final) -> Final:
    """Try again to ship what final.json says is missing; the final.json there is now."""
    if manifest.cxdb is None or not (final.cxdb_pending_turns or final.cxdb_files_missing):
        return final
    shipped = ship_rest(layout, manifest)
    if shipped.pending and shipped.pending >= final.cxdb_pending_turns:
        return final
    final = msgspec.structs.replace(
        final,
        cxdb_context_id=shipped.context_id,
        cxdb_head_turn_id=shipped.head_turn_id,
        cxdb_pending_turns=shipped.pending,
        cxdb_outage=shipped.outage,
        cxdb_files_missing=shipped.files_missing,
    )
    current = newest_root(layout)
    write_final([layout] if current == layout else [layout, current], final)
    return final


@dataclass(frozen=True, slots=True)
class Flushed:
    """`pending`: turns CXDB lacks still; `outage`: why, '' for none. `files_missing`: as in final.json."""

    context_id: str
    pending: int
    outage: str
    files_missing: str


def flush_run(logs_root: Path) -> Flushed:
    """Ship what CXDB lacks of a run that nobody is at work on. Raises RunDirectoryError where somebody is, UsageError
    for a run without CXDB.
    """
    layout = Layout(logs_root)
    manifest = _with_cxdb(layout)
    lock = acquire(layout)
    try:
        final = read_final(layout, manifest.run_id)
        if final is not None:
            final = ship_pending(layout, manifest, final)
            missing = final.cxdb_files_missing
            return Flushed(final.cxdb_context_id, final.cxdb_pending_turns, final.cxdb_outage, missing)
        shipped = ship_rest(layout, manifest)  # of a crashed run, as far as it has come
        return Flushed(shipped.context_id, shipped.pending, shipped.outage, shipped.files_missing)
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class RecordedContext:
    """A run's or a branch's context as CXDB has it. `path`: which branch, '' for the run; `turns`: oldest first.

    `problems`: what is not as progress.ndjson says it must be.
    """

    path: str
    context_id: str
    address: str
    turns: tuple[StoredTurn, ...]
    problems: tuple[str, ...]


def recorded_contexts(logs_root: Path) -> Iterator[RecordedContext]:
    """The contexts of a run and its branches, compared with what they must hold. Raises CxdbError, UsageError."""
    layout = Layout(logs_root)
    manifest = _with_cxdb(layout)
    yield _recorded(layout, manifest, "", "")
    for owner, branch in owned_branches(layout):
        path = branch.root.relative_to(layout.root).as_posix()
        yield _recorded(branch, read_manifest(branch), path, read_manifest(owner).run_id)


def newest_turns(logs_root: Path, count: int) -> list[StoredTurn]:
    """The newest turns of a run's own context, oldest first. Raises CxdbError, UsageError."""
    manifest = _with_cxdb(Layout(logs_root))
    cxdb = manifest.cxdb
    assert cxdb is not None
    return _turns(cxdb.binary_addr, int(cxdb.context_id), manifest.run_id, count) or []


def _with_cxdb(layout: Layout) -> Manifest:
    manifest = read_manifest(layout)
    refuse_branch(manifest)
    if manifest.cxdb is None:
        raise UsageError(f"the run {manifest.run_id} was begun without CXDB: there is nothing of it there")
    return manifest


def _recorded(layout: Layout, manifest: Manifest, path: str, forked_from: str) -> RecordedContext:
    cxdb = manifest.cxdb
    assert cxdb is not None
    if not cxdb.context_id:
        return RecordedContext(path, "", cxdb.binary_addr, (), ("it has no context: CXDB was away when it began",))
    facts = RunFacts(manifest.run_id, cxdb.context_id, "", forked_from=forked_from)
    turns = _turns(cxdb.binary_addr, int(cxdb.context_id), manifest.run_id)
    if turns is None:
        missing = f"CXDB does not know context {cxdb.context_id}: was it restarted? Real ones forget everything"
        return RecordedContext(path, cxdb.context_id, cxdb.binary_addr, (), (missing,))
    problems = compare(facts, layout.progress, turns)
    final = read_final(layout, manifest.run_id) if not forked_from else None  # a branch has none
    if final is not None and final.cxdb_files_missing:
        problems.append(f"files are missing: {final.cxdb_files_missing}")
    return RecordedContext(path, cxdb.context_id, cxdb.binary_addr, tuple(turns), tuple(problems))


def _turns(address: str, context_id: int, run_id: str, count: int | None = None) -> list[StoredTurn] | None:
    """The newest `count`, or all. None for a context that the server does not know: it closes the connection then."""
    connection = CxdbConnection(address, client_tag=f"attractor/{run_id}")
    try:
        return connection.last_turns(context_id, count or connection.head(context_id).depth + 1)
    except CxdbOutcomeUnknown:
        if connection.ended_by_peer:
            return None
        raise
    finally:
        connection.close()


def compare(facts: RunFacts, progress: Path, turns: list[StoredTurn]) -> list[str]:
    """What is not as it must be: turns that are missing, doubled, out of order or of nobody we know."""
    expected = [turn.origin for event in read_events(progress) for turn in turns_of(event, facts)]
    found: list[Origin] = []
    strange = 0
    for turn in turns:
        origin = origin_of(turn.payload, facts)
        if origin is None:
            strange += 1
        elif origin != (0, 0):  # of the run that a branch's context was forked from
            found.append(origin)
    problems = []
    if missing := sorted(set(expected) - set(found)):
        problems.append(f"{len(missing)} turns are missing, the first of event {missing[0][0]}")
    if unknown := sorted(set(found) - set(expected)):
        problems.append(f"{len(unknown)} turns are of events that progress.ndjson does not have: {unknown[0][0]}")
    if doubled := sorted(origin for origin, times in Counter(found).items() if times > 1):
        problems.append(f"{len(doubled)} turns are there twice, the first of event {doubled[0][0]}")
    if found != sorted(found):
        problems.append("the turns are not in the order of their events")
    if strange:
        problems.append(f"{strange} turns are not this run's")
    return problems
