"""Removing finished runs with all they made: logs, worktree, branch, and the pointer that lists them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from attractor.app.inspect import RunStatus, RunView
from attractor.errors import RunDirectoryError, WorkspaceError
from attractor.processes import end_run
from attractor.rundir import runs_home
from attractor.workspace import remove_worktree


def prune_run(view: RunView, environment: Mapping[str, str], *, keep_branch: bool) -> None:
    """Remove one run. Raises RunDirectoryError for one that is running."""
    if view.status is RunStatus.RUNNING:
        raise RunDirectoryError(
            f"run {view.manifest.run_id} is running", hint=f"attractor stop --logs-root {view.layout.root}"
        )
    manifest = view.manifest
    end_run(manifest.token, grace_seconds=0.5)
    if manifest.repo_path:
        # A repository that is gone has taken branch and worktree with it.
        with suppress(WorkspaceError):
            branch = None if keep_branch else manifest.run_branch
            remove_worktree(Path(manifest.repo_path), Path(manifest.worktree), branch)
    shutil.rmtree(view.layout.root)
    pointer = runs_home(environment) / manifest.run_id
    if pointer.is_symlink():
        pointer.unlink()
