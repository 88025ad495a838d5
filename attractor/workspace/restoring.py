"""What a run that is brought back asks of the repository it finds. With the git program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attractor.errors import WorkspaceError
from attractor.workspace.commits import KEPT_REFERENCES
from attractor.workspace.program import git, git_text

_HEADS = "refs/heads/"


def commit_exists(repository: Path, commit_sha: str) -> bool:
    """Raises WorkspaceError where there is no repository."""
    git(repository, "rev-parse", "--git-dir")
    try:
        git(repository, "cat-file", "-e", f"{commit_sha}^{{commit}}")
    except WorkspaceError:
        return False
    return True


def set_aside_branches(repository: Path, beginnings: Sequence[str]) -> None:
    """Branches whose names begin so make room: what they hold is kept as `refs/attractor/kept/<branch>/<commit>`."""
    for line in git_text(repository, "for-each-ref", "--format=%(objectname) %(refname)", _HEADS).splitlines():
        commit_sha, _, name = line.partition(" ")
        branch = name.removeprefix(_HEADS)
        if branch.startswith(tuple(beginnings)):
            git(repository, "update-ref", f"{KEPT_REFERENCES}/{branch}/{commit_sha[:12]}", commit_sha)
            git(repository, "update-ref", "-d", name, commit_sha)
