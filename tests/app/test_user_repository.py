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


@pytest.mark.parametrize("later", ["git status --short", f"git add -A && {WHO} commit -q --allow-empty -m own"])
def test_a_worktree_without_its_git_file_does_not_hand_out_the_repository_around_the_logs(
    repo: Path, git: Git, later: str
) -> None:
    """In the stage itself git finds nothing, in the next one the run's worktree."""
    (repo / ".gitignore").write_text("/logs/\n")
    git(repo, "add", "-A")
    git(repo, "commit", "--quiet", "--message", "ignore")
    before = git(repo, "rev-parse", "main"), git(repo, "status", "--short")
    removes = 'a [tool_command="unlink .git; echo made > made.txt; git rev-parse --show-toplevel; true"]'
    ran = run(
        repo,
        f'{removes} b [tool_command="git rev-parse --show-toplevel && {later}"] start -> a -> b -> exit '
        "node [shape=parallelogram]",
        logs_root=Path("logs"),
    )
    assert ran.status == "success"
    assert (ran.root / "a" / "stdout.log").read_text() == ""
    assert (ran.root / "b" / "stdout.log").read_text().splitlines()[0] == str(ran.result.worktree)
    assert (git(repo, "rev-parse", "main"), git(repo, "status", "--short")) == before
    assert git(repo, "ls-tree", "--name-only", ran.result.run_branch).splitlines() == [
        ".gitignore",
        "README.md",
        "made.txt",
    ]


def test_without_git_stages_see_the_repository_their_folder_is_in(repo: Path) -> None:
    (repo / "part").mkdir()
    ran = run(
        repo,
        'a [tool_command="git rev-parse --show-toplevel"] start -> a -> exit',
        use_git=False,
        workdir=Path("part"),
    )
    assert (ran.root / "a" / "stdout.log").read_text() == f"{repo}\n"


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
