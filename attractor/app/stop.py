"""Ending a run from another process: `attractor stop`."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from attractor.app.inspect import RunStatus, checkpointed_commit, newest_root, refuse_branch, view_run
from attractor.contracts import FailureClass
from attractor.errors import RunDirectoryError
from attractor.processes import end_run
from attractor.rundir import (
    Final,
    Layout,
    Owner,
    acquire,
    is_held,
    is_there,
    leader_notes,
    living_owner,
    rfc3339,
    write_final,
)

POLL_SECONDS = 0.02
OWNER_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """`how`: `already` (no engine was at work), `stopped` (it ended in order), `killed`."""

    how: str
    status: str


def stop_run(logs_root: Path, *, grace_seconds: float, force: bool) -> Stopped:
    """Ask the run's engine to end (SIGTERM) and wait for it; with `force`, SIGKILL it after the grace.

    Raises RunDirectoryError where it does not end in time and `force` is off.
    """
    layout = Layout(logs_root)
    refuse_branch(view_run(logs_root).manifest)
    owner = living_owner(layout)
    if owner is None:
        owner = _wait_for_owner(layout)
        if owner is None:
            return Stopped("already", view_run(logs_root).status.value)
    _signal(owner, signal.SIGTERM)
    if _ended(layout, owner, grace_seconds):
        return Stopped("stopped", view_run(logs_root).status.value)
    if not force:
        raise RunDirectoryError(
            f"process {owner.pid} is still ending its stage after {grace_seconds:g} s",
            hint="wait longer with --grace-ms, or end it at once with --force",
        )
    if living_owner(layout) == owner:
        _signal(owner, signal.SIGKILL)
    _ended(layout, owner, grace_seconds + 5.0)
    return Stopped("killed", _finish_for(layout).value)


def _ended(layout: Layout, owner: Owner, seconds: float) -> bool:
    """Wait until the run is free and its engine's process gone, which follows a moment later."""
    deadline = time.monotonic() + seconds
    while is_held(layout) or is_there(owner):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _wait_for_owner(layout: Layout) -> Owner | None:
    """Who holds the run, None where nobody does. An engine that begins writes its name a moment after locking."""
    deadline = time.monotonic() + OWNER_WAIT_SECONDS
    while is_held(layout):
        owner = living_owner(layout)
        if owner is not None:
            return owner
        if time.monotonic() >= deadline:
            raise RunDirectoryError(
                f"the run in {layout.root} is held by a process that is not the one its run.lock names",
                hint=f"find it with `fuser {layout.lock}` or `lsof {layout.lock}`; it may be on another host",
            )
        time.sleep(POLL_SECONDS)
    return None


def _signal(owner: Owner, number: signal.Signals) -> None:
    """Send a signal; a process that is gone already is as good."""
    try:
        os.kill(owner.pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise RunDirectoryError(
            f"{owner} belongs to another user and cannot be ended", hint="ask its owner, or call this as root"
        ) from error


def _finish_for(layout: Layout) -> RunStatus:
    """What the killed engine could not do itself: end its processes and write final.json."""
    lock = acquire(layout)
    try:
        view = view_run(layout.root)
        end_run(view.manifest.token, grace_seconds=0.5, leader_notes=leader_notes(layout))
        if view.final is None:
            final = Final(
                timestamp=rfc3339(datetime.now(UTC)),
                status="canceled",
                run_id=view.manifest.run_id,
                final_git_commit_sha=checkpointed_commit(layout),
                failure_reason="killed by attractor stop --force",
                failure_class=FailureClass.CANCELED.value,
                cxdb_context_id=view.manifest.cxdb.context_id if view.manifest.cxdb else "",
            )
            current = newest_root(layout)
            write_final([layout] if current == layout else [layout, current], final)
    finally:
        lock.release()
    return RunStatus.CANCELED
