"""Shared by the tests of the git workspace: opening it as the engine does, and what goes into a commit."""

import subprocess
from pathlib import Path

from attractor.contracts import CommitInfo
from attractor.workspace import GitWorkspace

BRANCH = "attractor/run/r1"


def opened(repo: Path, worktree: Path) -> GitWorkspace:
    """The workspace at the worktree's HEAD."""
    return GitWorkspace(repo, worktree, BRANCH, head_sha(worktree))


def head_sha(folder: Path) -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def info(node_id: str, sequence: int = 1) -> CommitInfo:
    return CommitInfo("r1", node_id, "success", 1, sequence)


def detached_at(worktree: Path) -> str:
    """The commit HEAD is detached at; fails where HEAD is on a branch."""
    done = subprocess.run(["git", "symbolic-ref", "--quiet", "HEAD"], cwd=worktree, check=False, capture_output=True)
    assert done.returncode == 1, f"HEAD is on {done.stdout!r}"
    return head_sha(worktree)
