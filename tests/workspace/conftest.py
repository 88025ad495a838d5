"""The run's worktree, made as the engine makes it."""

from pathlib import Path

import pytest

from attractor.workspace import create_worktree, inspect_repository
from tests.workspace.worktrees import BRANCH


@pytest.fixture
def worktree(repo: Path, tmp_path: Path) -> Path:
    place = tmp_path / "logs" / "worktree"
    create_worktree(repo, place, BRANCH, inspect_repository(repo).base_sha)
    return place
