"""Worktrees of a fan-out's branches: as git's own would be, made without its processes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from attractor.contracts import CommitInfo
from attractor.errors import WorkspaceError
from attractor.workspace import GitWorkspace, create_worktree, fork_worktree, remove_worktree

Git = Callable[..., str]
BRANCH = "attractor/run/parallel/r1/fan/1/a"


def parent_of(repo: Path, git: Git) -> GitWorkspace:
    worktree, sha = repo.parent / "parent", git(repo, "rev-parse", "HEAD")
    create_worktree(repo, worktree, "attractor/run/r1", sha)
    return GitWorkspace(repo, worktree, "attractor/run/r1", sha)


def test_a_fork_is_a_worktree_like_any_other(repo: Path, git: Git) -> None:
    parent, sha = parent_of(repo, git), git(repo, "rev-parse", "HEAD")
    place = repo.parent / "a"
    fork = fork_worktree(parent, repo, place, BRANCH, sha)
    assert git(place, "status", "--porcelain=v2", "--branch").splitlines()[:2] == [
        f"# branch.oid {sha}", "# branch.head (detached)",
    ]  # fmt: skip
    assert git(repo, "rev-parse", BRANCH) == sha
    assert f"worktree {place}\nHEAD {sha}\ndetached" in git(repo, "worktree", "list", "--porcelain")
    (place / "new.txt").write_text("x\n")
    committed = fork.commit(CommitInfo("r1", "a", "success", 1, 1))
    assert git(repo, "rev-parse", BRANCH) == committed.sha
    assert git(parent.path, "status", "--porcelain") == ""
    git(repo, "fsck", "--strict")
    remove_worktree(repo, place, BRANCH)
    assert "/a" not in git(repo, "worktree", "list")


def test_git_itself_makes_it_where_the_content_is_beyond_the_library(repo: Path, git: Git) -> None:
    git(repo, "config", "filter.shout.smudge", "tr a-z A-Z")
    git(repo, "config", "filter.shout.clean", "tr A-Z a-z")
    (repo / ".gitattributes").write_text("*.txt filter=shout\n")
    (repo / "a.txt").write_text("HELLO\n")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "filtered")
    place = repo.parent / "a"
    fork_worktree(parent_of(repo, git), repo, place, BRANCH, git(repo, "rev-parse", "HEAD"))
    assert (place / "a.txt").read_text() == "HELLO\n"


def test_a_branch_that_is_there_is_left_alone(repo: Path, git: Git) -> None:
    parent, sha = parent_of(repo, git), git(repo, "rev-parse", "HEAD")
    git(repo, "commit", "--quiet", "--allow-empty", "--message", "somebody's")
    git(repo, "branch", BRANCH)
    theirs = git(repo, "rev-parse", BRANCH)
    with pytest.raises(WorkspaceError, match="already exists"):
        fork_worktree(parent, repo, repo.parent / "a", BRANCH, sha)
    assert git(repo, "rev-parse", BRANCH) == theirs
    assert not (repo.parent / "a").exists()


def test_what_a_crash_left_half_made_is_no_hindrance(repo: Path, git: Git) -> None:
    parent, sha = parent_of(repo, git), git(repo, "rev-parse", "HEAD")
    place = repo.parent / "a"
    fork_worktree(parent, repo, place, BRANCH, sha)
    listed = Path((place / ".git").read_text().removeprefix("gitdir: ").strip())
    made = parent.common / f"{listed.name}.tmp"
    listed.rename(made)
    git(repo, "update-ref", "-d", f"refs/heads/{BRANCH}")
    for entry in place.iterdir():
        entry.unlink()
    place.rmdir()
    fork_worktree(parent, repo, place, BRANCH, sha)
    assert (place / "README.md").read_text() == "hello\n"
    assert not made.exists()
