"""What a run makes in the user's repository, and what stages and users do to it meanwhile."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from attractor.app import plan_run, prune_run, view_run
from attractor.errors import UsageError, WorkspaceError
from tests.app.runs import killed_in_stage, request, resume, run

Git = Callable[..., str]
WHO = "git -c user.name=s -c user.email=s@x"


@pytest.mark.parametrize(
    "command",
    [
        f"echo own > own; git add -A; {WHO} commit -qm own",
        "git reset -q --hard HEAD~1",
        f"git checkout -qb mine; {WHO} commit -q --allow-empty -m own",
    ],
)
def test_a_stage_that_used_git_itself_is_resumable_after_a_kill(repo: Path, git: Git, command: str) -> None:
    root = killed_in_stage(repo, f"{command}; echo > {{ready}}; sleep 300", "echo done > done.txt")
    ran = resume(root)
    assert ran.status == "success"
    assert ran.commits(repo) == ["start (success)", "a (success)", "exit (success)"]
    assert git(repo, "ls-tree", "--name-only", ran.result.run_branch).splitlines() == ["README.md", "done.txt"]


def test_a_branch_in_the_way_of_the_prefix_is_refused_before_anything_is_made(repo: Path, git: Git) -> None:
    git(repo, "branch", "attractor")
    with pytest.raises(WorkspaceError, match="there is a branch attractor,"):
        plan_run(request(repo, "start -> exit"))
    assert not (repo.parent / "logs").exists()


def test_prune_says_which_branch_it_kept_and_why(repo: Path, git: Git) -> None:
    ran = run(repo, "start -> exit")
    git(repo, "checkout", "--quiet", ran.result.run_branch)
    kept = prune_run(view_run(ran.root), os.environ, keep_branch=False)
    assert kept == f"branch {ran.result.run_branch} was kept: it is checked out in {repo}"
    assert not ran.root.exists()


def test_prune_is_content_where_the_repository_is_gone(repo: Path) -> None:
    ran = run(repo, "start -> exit")
    repo.rename(repo.with_name("elsewhere"))
    assert prune_run(view_run(ran.root), os.environ, keep_branch=False) == ""
    assert not ran.root.exists()


def test_a_path_that_is_no_text_is_refused_before_anything_is_made(repo: Path) -> None:
    logs = repo.parent / os.fsdecode(b"l\xf6gs")
    with pytest.raises(UsageError, match="is not text in this locale"):
        plan_run(request(repo, "start -> exit", logs_root=logs))
    moved = repo.rename(repo.with_name(os.fsdecode(b"gr\xfcn")))
    with pytest.raises(UsageError, match="is not text in this locale"):
        plan_run(request(moved, "start -> exit"))
    assert not (repo.parent / "logs").exists()
