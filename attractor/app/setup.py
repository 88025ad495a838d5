"""`setup.commands` of the run configuration: run in the worktree before the first node (and when it is made anew)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from attractor.config import without_secrets
from attractor.contracts import EventName, Redactor
from attractor.errors import WorkspaceError
from attractor.processes import Limits, StopRequest, describe_exit, last_line, run_command
from attractor.rundir import EventLog, Layout, Policy, make_own_directory, write_atomic


def run_setup(
    policy: Policy,
    layout: Layout,
    worktree: Path,
    environment: Mapping[str, str],
    events: EventLog,
    stop: StopRequest,
) -> None:
    """Run each command with `sh -c`, unless they have all succeeded in this worktree before; WorkspaceError for the
    first that fails. Output is kept in `setup.d/`.

    A life that ends before the last one has succeeded leaves no mark, and the next one runs them all again.
    """
    folder = layout.setup
    if not policy.setup_commands or layout.setup_done.exists():
        return
    make_own_directory(folder, layout.root)
    redactor = Redactor(environment)
    for number, command in enumerate(policy.setup_commands, start=1):
        if stop.requested:
            return
        stderr = folder / f"{number}.stderr.log"
        started = time.monotonic()
        result = run_command(
            ("/bin/sh", "-c", command),
            cwd=worktree,
            environment=environment,
            stdout=folder / f"{number}.stdout.log",
            stderr=stderr,
            limits=Limits(timeout_seconds=policy.setup_timeout_seconds or None),
            stop=stop,
        )
        redactor.tree(folder)
        exit_code = None if result.timed_out else result.exit_code
        events.emit(
            EventName.SETUP_COMMAND,
            command=without_secrets(command),
            exit_code=exit_code,
            duration_ms=round((time.monotonic() - started) * 1000),
        )
        if result.stopped:
            return
        if exit_code != 0:
            how = "timed out" if exit_code is None else f"ended with {describe_exit(exit_code)}"
            told = f"setup command {number} {how}: {without_secrets(command)}: {last_line(stderr)}"
            raise WorkspaceError(told.rstrip(": "))
    write_atomic(layout.setup_done, b"")


def forget_setup(layout: Layout) -> None:
    """The worktree is another one: what stood in the last one does not count."""
    layout.setup_done.unlink(missing_ok=True)
