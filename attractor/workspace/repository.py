"""The user's repository, looked at and never changed: where it is, what a run would start from, is its branch free."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pygit2

from attractor.errors import WorkspaceError
from attractor.workspace.program import git_path, git_text


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """`root`: the top of the checkout (the git directory of a bare repository). `base_sha`: its HEAD commit."""

    root: Path
    base_sha: str
    dirty: bool


def inspect_repository(folder: Path) -> RepositoryFacts:
    """The repository `folder` is in. Raises WorkspaceError with the remedy where a run cannot start from it."""
    try:
        bare = git_text(folder, "rev-parse", "--is-bare-repository") == "true"
        root = git_path(folder, "rev-parse", "--absolute-git-dir" if bare else "--show-toplevel")
    except WorkspaceError as error:
        if "not a git repository" in error.message:
            raise WorkspaceError(
                f"{folder} is not in a git repository",
                hint="run inside one, name one with repo.path in the configuration, or pass --no-git",
            ) from error
        raise
    _open(root)
    try:
        base_sha = git_text(root, "rev-parse", "--verify", "HEAD^{commit}")
    except WorkspaceError as error:
        raise WorkspaceError(
            f"the repository {root} has no commit to start from",
            hint="make one first: git commit --allow-empty -m 'first commit'",
        ) from error
    dirty = not bare and bool(git_text(root, "status", "--porcelain", "--untracked-files=no"))
    return RepositoryFacts(root, base_sha, dirty)


def _open(root: Path) -> pygit2.Repository:
    try:
        return pygit2.Repository(str(root))
    except (pygit2.GitError, OSError) as error:
        form = "SHA-256 objects" if "sha256" in str(error) else "a format libgit2 does not know"
        raise WorkspaceError(
            f"the repository {root} has {form}, which attractor cannot write: {error}",
            hint="run in a clone that has SHA-1 objects and the files reference format (git's defaults)",
        ) from error


def branch_exists(repository: Path, branch: str) -> bool:
    """Whether a local branch of that name is there."""
    return (
        f"refs/heads/{branch}"
        in git_text(repository, "for-each-ref", "--format=%(refname)", f"refs/heads/{branch}").splitlines()
    )


def check_branch_free(repository: Path, branch: str) -> None:
    """Raise WorkspaceError, with the remedy, where a branch of that name is there or cannot be made."""
    if branch_exists(repository, branch):
        raise WorkspaceError(
            f"branch {branch} already exists in {repository}: this run id has been used",
            hint="resume that run, or choose another --run-id",
        )
    parts = branch.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    for taken in above:
        if branch_exists(repository, taken):
            raise WorkspaceError(
                f"branch {branch} cannot be made in {repository}: there is a branch {taken}, and git has no "
                "branches below a branch",
                hint="set git.run_branch_prefix in the configuration to another prefix, such as "
                f"{taken}-runs, or rename that branch",
            )
    below = git_text(repository, "for-each-ref", "--count=1", "--format=%(refname:short)", f"refs/heads/{branch}/")
    if below:
        raise WorkspaceError(
            f"branch {branch} cannot be made in {repository}: there is a branch {below} below that name",
            hint="choose another --run-id, or another git.run_branch_prefix in the configuration",
        )


def common_dir(git_dir: Path) -> Path:
    """The directory all worktrees of a repository share, from the git directory of one (gitrepository-layout)."""
    try:
        return (git_dir / os.fsdecode((git_dir / "commondir").read_bytes().removesuffix(b"\n"))).resolve()
    except FileNotFoundError:
        return git_dir


def common_dir_of(folder: Path) -> Path:
    """The same, from a checkout or a bare repository."""
    return common_dir(git_path(folder, "rev-parse", "--absolute-git-dir"))


@contextmanager
def worktree_list_of(repository: Path) -> Iterator[None]:
    """Hold the repository's list of worktrees: git adds to it and removes from it without a lock of its own, and
    one that looks while another writes fails ("failed to read .../commondir: Success").

    The lock is the kernel's, on the directory itself: it makes no file and dies with its holder.
    """
    descriptor = os.open(common_dir_of(repository), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some network file systems have none: then trying again must do
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
