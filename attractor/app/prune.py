"""Removing finished runs with all they made: logs, worktree, branch, and the pointer that lists them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attractor.app.inspect import RunStatus, RunView
from attractor.errors import RunDirectoryError, WorkspaceError
from attractor.processes import end_run
from attractor.rundir import branch_layouts, leader_notes, runs_home
from attractor.workspace import parallel_branches, prefix_of, remove_branches, remove_tree, remove_worktree


def prune_run(view: RunView, environment: Mapping[str, str], *, keep_branch: bool) -> str:
    """Remove one run. Says what of it had to be kept, and why; '' where nothing was.

    Raises RunDirectoryError for one that is running, WorkspaceError for one whose files cannot be removed: its
    manifest goes last, so it can be pruned once the cause is gone.
    """
    if view.status is RunStatus.RUNNING:
        raise RunDirectoryError(
            f"run {view.manifest.run_id} is running", hint=f"attractor stop --logs-root {view.layout.root}"
        )
    manifest = view.manifest
    end_run(manifest.token, grace_seconds=0.5, leader_notes=leader_notes(view.layout))
    kept = ""
    if manifest.repo_path:
        repository = Path(manifest.repo_path)
        for layout in branch_layouts(view.layout):
            kept = _leave_repository(repository, layout.worktree, None) or kept
        branch = None if keep_branch else manifest.run_branch
        kept = _leave_repository(repository, Path(manifest.worktree), branch) or kept
        if not keep_branch and repository.exists():
            prefix = prefix_of(manifest.run_branch, manifest.run_id)
            kept = remove_branches(repository, parallel_branches(prefix, manifest.run_id)) or kept
    for entry in view.layout.root.iterdir():
        if entry != view.layout.manifest:
            remove_tree(entry)
    remove_tree(view.layout.root)
    pointer = runs_home(environment) / manifest.run_id
    if pointer.is_symlink():
        pointer.unlink()
    return kept


def _leave_repository(repository: Path, worktree: Path, branch: str | None) -> str:
    try:
        return remove_worktree(repository, worktree, branch)
    except WorkspaceError as error:
        if not repository.exists():
            return ""  # it has taken branch and worktree with it
        return f"what the run made in {repository} was kept: {error.message}"
