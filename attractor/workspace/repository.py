"""The user's repository, looked at and never changed: where it is, what a run would start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attractor.errors import WorkspaceError
from attractor.workspace.program import git_text


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
        root = Path(git_text(folder, "rev-parse", "--absolute-git-dir" if bare else "--show-toplevel"))
    except WorkspaceError as error:
        if "not a git repository" in error.message:
            raise WorkspaceError(
                f"{folder} is not in a git repository",
                hint="run inside one, name one with repo.path in the configuration, or pass --no-git",
            ) from error
        raise
    try:
        base_sha = git_text(root, "rev-parse", "--verify", "HEAD^{commit}")
    except WorkspaceError as error:
        raise WorkspaceError(
            f"the repository {root} has no commit to start from",
            hint="make one first: git commit --allow-empty -m 'first commit'",
        ) from error
    dirty = not bare and bool(git_text(root, "status", "--porcelain", "--untracked-files=no"))
    return RepositoryFacts(root, base_sha, dirty)


def branch_exists(repository: Path, branch: str) -> bool:
    """Whether a local branch of that name is there."""
    return bool(git_text(repository, "for-each-ref", "--format=x", f"refs/heads/{branch}"))
