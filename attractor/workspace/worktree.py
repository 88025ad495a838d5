"""A run's worktree and branch as a whole: made once, put back at resume, removed by prune. With the git program.

The worktree's HEAD is detached: the branch belongs to the engine alone (see `commits`), so git does not see it as
checked out there, and a stage cannot move it by accident.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import pygit2
from pygit2.enums import ResetMode

from attractor.errors import WorkspaceError
from attractor.workspace.commits import GitWorkspace, subject_start
from attractor.workspace.leftovers import open_folder, open_tree, remove_tree
from attractor.workspace.program import git, git_path, git_text
from attractor.workspace.repository import (
    branch_exists,
    check_branch_free,
    common_dir_of,
    worktree_list_of,
)

# What an interrupted git of a stage leaves in the worktree's git directory; its next git would trip over it.
_INTERRUPTED = ("index.lock", "HEAD.lock", "config.worktree.lock", "rebase-merge", "rebase-apply", "sequencer")
_NO_COMMIT = "0" * 40


def create_worktree(repository: Path, worktree: Path, branch: str, base_sha: str) -> None:
    """Make the branch at `base_sha` and check it out. The branch must be new: git refuses a second one atomically."""
    check_branch_free(repository, branch)
    try:
        git(repository, "update-ref", f"refs/heads/{branch}", base_sha, _NO_COMMIT)
    except WorkspaceError:
        check_branch_free(repository, branch)  # somebody was quicker: say so
        raise
    try:
        _register(repository, worktree, base_sha)
    except WorkspaceError:  # what is in the worktree's place is not ours, and stays
        git(repository, "update-ref", "-d", f"refs/heads/{branch}", base_sha)
        raise
    try:
        _fill(worktree, base_sha)
    except WorkspaceError:
        with suppress(WorkspaceError):
            remove_worktree(repository, worktree, branch)
        raise


def fork_worktree(parent: GitWorkspace, repository: Path, worktree: Path, branch: str, base_sha: str) -> GitWorkspace:
    """A worktree and branch of their own at `base_sha`, the commit that `parent` is at: for a branch of a fan-out.

    By libgit2 where it can: a tenth of what the git program's processes cost.
    """
    if not parent.needs_program:
        name = f"attractor-{hashlib.sha256(os.fsencode(worktree)).hexdigest()[:16]}"
        try:
            _fork_by_library(parent.common, name, worktree, branch, base_sha)
            return GitWorkspace(repository, worktree, branch, base_sha, like=parent)
        except (pygit2.GitError, KeyError, OSError, ValueError, WorkspaceError):
            remove_tree(parent.common / f"{name}.tmp")
            _clear_fork(repository, worktree, branch, base_sha)  # git itself will say what is the matter
    create_worktree(repository, worktree, branch, base_sha)
    return GitWorkspace(repository, worktree, branch, base_sha)


def _fork_by_library(common: Path, name: str, worktree: Path, branch: str, base_sha: str) -> None:
    """What `git worktree add --detach` makes (gitrepository-layout, "worktrees"), without its look at all the others:
    that would cost the square of the branches, as libgit2's own function does.
    """
    repo = pygit2.Repository(str(common))
    repo.references.create(f"refs/heads/{branch}", base_sha)  # refused where it is there
    worktree.mkdir(mode=0o700)
    listed = common / "worktrees" / name
    (worktree / ".git").write_text(f"gitdir: {listed}\n")
    # Put in place whole: git stumbles over one that is half made. The name is this worktree's alone.
    made = common / f"{name}.tmp"
    made.mkdir()
    for file, text in (("gitdir", f"{worktree}/.git"), ("commondir", "../.."), ("HEAD", base_sha)):
        (made / file).write_text(f"{text}\n")
    listed.parent.mkdir(exist_ok=True)
    made.rename(listed)
    pygit2.Repository(str(worktree)).reset(pygit2.Oid(hex=base_sha), ResetMode.HARD)


def _clear_fork(repository: Path, worktree: Path, branch: str, base_sha: str) -> None:
    """Nothing but what `_fork_by_library` can have made is taken away: a branch that has gone on is somebody's."""
    with suppress(WorkspaceError):
        remove_worktree(repository, worktree, None)
    with suppress(WorkspaceError):
        git(repository, "update-ref", "-d", f"refs/heads/{branch}", base_sha)


def _register(repository: Path, worktree: Path, commit_sha: str) -> None:
    """Make a worktree without files: other runs need not wait for those until the lock is given back."""
    options = ("--quiet", "--force", "--force", "--detach", "--no-checkout")  # forced: also where a lost one was
    with worktree_list_of(repository):
        try:
            git(repository, "worktree", "add", *options, str(worktree), commit_sha)
        except WorkspaceError:  # the user's own git may have been at the list, which takes no lock of ours
            git(repository, "worktree", "add", *options, str(worktree), commit_sha)


def _fill(worktree: Path, commit_sha: str) -> None:
    git(worktree, "reset", "--quiet", "--hard", commit_sha)


def restore_worktree(repository: Path, worktree: Path, branch: str, run_id: str, commit_sha: str) -> None:
    """Put branch and worktree back to `commit_sha`, whatever state a crash left them in.

    Commits after `commit_sha` are dropped from the branch only where this run made them (a crash between a commit and
    its checkpoint); anything else on the branch is somebody's work, and raises WorkspaceError.
    """
    _check_commit_exists(repository, commit_sha)
    _mend_reference(common_dir_of(repository), branch)
    _check_branch(repository, branch, run_id, commit_sha)
    git(repository, "update-ref", f"refs/heads/{branch}", commit_sha)
    open_folder(worktree)
    if not _is_worktree(worktree):
        remove_tree(worktree)
        _register(repository, worktree, commit_sha)
        _fill(worktree, commit_sha)
        return
    try:
        _reset(worktree, commit_sha)
    except WorkspaceError:  # a stage may have taken away the permission to change folders
        open_tree(worktree)
        _reset(worktree, commit_sha)


def _reset(worktree: Path, commit_sha: str) -> None:
    git_dir = git_path(worktree, "rev-parse", "--absolute-git-dir")
    for name in _INTERRUPTED:
        remove_tree(git_dir / name)
    git(worktree, "checkout", "--quiet", "--force", "--detach", commit_sha)
    _fill(worktree, commit_sha)
    git(worktree, "clean", "--quiet", "-ffd")


def _check_commit_exists(repository: Path, commit_sha: str) -> None:
    try:
        git(repository, "cat-file", "-e", f"{commit_sha}^{{commit}}")
    except WorkspaceError as error:
        raise WorkspaceError(
            f"commit {commit_sha}, which the checkpoint names, is not in {repository}",
            hint="was the repository replaced, or the branch deleted and collected? Restore it from a backup",
        ) from error


def _check_branch(repository: Path, branch: str, run_id: str, commit_sha: str) -> None:
    if not branch_exists(repository, branch):
        return  # deleted by someone: the checkpoint still knows where it was
    ahead = git_text(repository, "log", "--format=%H %s", f"{commit_sha}..refs/heads/{branch}").splitlines()
    behind = git_text(repository, "rev-list", "--count", f"refs/heads/{branch}..{commit_sha}")
    foreign = [line for line in ahead if not line.partition(" ")[2].startswith(subject_start(run_id))]
    if foreign or behind != "0":
        what = f"it holds {foreign[0]!r}" if foreign else f"it is {behind} commits behind the checkpoint"
        raise WorkspaceError(
            f"branch {branch} was moved since the run stopped: {what}; the checkpoint is at {commit_sha}",
            hint=f"keep that work under another name (git branch saved {branch}), "
            f"then put the branch back: git branch -f {branch} {commit_sha}",
        )


def _is_worktree(worktree: Path) -> bool:
    try:
        return (worktree / ".git").is_file() and git_path(worktree, "rev-parse", "--show-toplevel").samefile(worktree)
    except (WorkspaceError, OSError):
        return False


def _mend_reference(common: Path, branch: str) -> None:
    # Only a killed engine can have left the lock: the run's lock is ours, and nobody else moves this branch.
    reference = common / "refs" / "heads" / branch
    reference.with_name(f"{reference.name}.lock").unlink(missing_ok=True)
    # A power failure may have left the reference empty; git would refuse it, the checkpoint knows better.
    if reference.is_file() and not reference.read_bytes().strip(b"\0\n "):
        reference.unlink()


def remove_worktree(repository: Path, worktree: Path, branch: str | None) -> str:
    """Remove a finished run's worktree, and its branch where one is named. Missing ones are fine.

    Says what had to stay, and why; '' where nothing did. Raises WorkspaceError where the worktree cannot be removed.
    """
    with worktree_list_of(repository):
        if not _unregister(repository, worktree):
            remove_tree(worktree)
            _unregister(repository, worktree)
        if branch is None or not branch_exists(repository, branch):
            return ""
        return _remove_branch(repository, branch)


def remove_branches(repository: Path, start: str) -> str:
    """Remove all branches whose names begin with `start/`. Says what had to stay, and why; '' where nothing did."""
    named = git_text(repository, "for-each-ref", "--format=%(refname:short)", f"refs/heads/{start}/").splitlines()
    return "; ".join(filter(None, (_remove_branch(repository, name) for name in named)))


def _unregister(repository: Path, worktree: Path) -> bool:
    """Whether git removed the worktree, folder and entry. It refuses a folder that is damaged or no worktree."""
    try:
        git(repository, "worktree", "remove", "--force", "--force", str(worktree))
    except WorkspaceError:
        return False
    return True


def _remove_branch(repository: Path, branch: str) -> str:
    place = git_text(repository, "for-each-ref", "--format=%(worktreepath)", f"refs/heads/{branch}")
    if place:
        return f"branch {branch} was kept: it is checked out in {place}"
    try:
        git(repository, "branch", "--quiet", "-D", branch)
    except WorkspaceError as error:
        return f"branch {branch} was kept: {error.message}"
    return ""
