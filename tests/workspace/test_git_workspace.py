"""The run's worktree and branch, with real git as the judge."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from attractor.errors import WorkspaceError
from attractor.workspace import (
    branch_exists,
    create_worktree,
    inspect_repository,
    remove_worktree,
    restore_worktree,
)
from tests.workspace.worktrees import BRANCH, detached_at, info, opened

Git = Callable[..., str]


def test_a_commit_holds_what_was_made_changed_and_deleted(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    (worktree / "sub dir").mkdir()
    (worktree / "sub dir" / "néw.txt").write_text("new\n")
    (worktree / "link").symlink_to("README.md")
    workspace.commit(info("a"))
    (worktree / "README.md").unlink()
    (worktree / "sub dir" / "néw.txt").chmod(0o755)
    sha = workspace.commit(info("b", 2)).sha
    assert git(repo, "rev-parse", BRANCH) == sha
    tree = git(repo, "-c", "core.quotePath=false", "ls-tree", "-r", "--format=%(objectmode) %(path)", BRANCH)
    assert tree.splitlines() == ["120000 link", "100755 sub dir/néw.txt"]
    assert git(worktree, "status", "--porcelain") == ""
    git(repo, "fsck", "--strict")


def test_each_node_makes_one_commit_with_subject_and_trailers(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    workspace.commit(info("a", 1))
    workspace.commit(info("b", 2))
    log = git(repo, "log", "--format=%s|%(trailers:key=Attractor-Node,valueonly,separator=)", f"main..{BRANCH}")
    assert log.splitlines() == ["attractor(r1): b (success)|b", "attractor(r1): a (success)|a"]
    trailers = git(repo, "log", "-1", "--format=%(trailers)", BRANCH).splitlines()
    assert trailers == [
        "Attractor-Run: r1",
        "Attractor-Node: b",
        "Attractor-Attempt: 1",
        "Attractor-Sequence: 2",
    ]


def test_what_somebody_has_put_on_the_branch_is_kept_under_another_name(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    workspace.commit(info("a", 1))
    somebodys = git(repo, "commit-tree", "-m", "somebody's", f"{BRANCH}^{{tree}}", "-p", BRANCH)
    git(repo, "update-ref", f"refs/heads/{BRANCH}", somebodys)
    committed = workspace.commit(info("b", 2))
    assert committed.kept == f"refs/attractor/kept/{BRANCH}/{somebodys[:12]}"
    assert git(repo, "rev-parse", committed.kept) == somebodys
    assert git(repo, "rev-parse", BRANCH) == committed.sha
    assert somebodys not in git(repo, "rev-list", BRANCH)


@pytest.mark.parametrize(
    "act", [("update-ref", f"refs/heads/{BRANCH}", "main"), ("update-ref", "-d", f"refs/heads/{BRANCH}")]
)
def test_a_branch_that_was_moved_back_or_deleted_holds_nothing_to_keep(
    repo: Path, worktree: Path, git: Git, act: tuple[str, ...]
) -> None:
    workspace = opened(repo, worktree)
    workspace.commit(info("a", 1))
    git(repo, *act)
    committed = workspace.commit(info("b", 2))
    assert committed.kept == ""
    assert git(repo, "for-each-ref", "refs/attractor") == ""
    assert git(repo, "rev-parse", BRANCH) == committed.sha


def test_ignored_files_are_not_committed(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    (worktree / ".gitignore").write_text("*.log\n")
    (worktree / "noise.log").write_text("x")
    workspace.commit(info("a"))
    assert "noise.log" not in git(repo, "ls-tree", "-r", "--name-only", BRANCH)


def test_the_users_checkout_is_not_touched(repo: Path, worktree: Path, git: Git) -> None:
    (repo / "README.md").write_text("my work\n")
    (repo / "staged").write_text("staged\n")
    git(repo, "add", "staged")
    hook = repo / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)

    def seen() -> tuple[str, ...]:
        return git(repo, "status", "--porcelain"), git(repo, "symbolic-ref", "HEAD"), git(repo, "ls-files", "--stage")

    before = seen()
    workspace = opened(repo, worktree)
    (worktree / "file").write_text("x")
    workspace.commit(info("a"))
    assert seen() == before


STAGES_OWN = {
    "commit": "git add --all && git commit -qm own",
    "other branch": "git checkout -qb elsewhere && git add --all && git commit -qm own",
    "reset": "git reset --hard -q HEAD~1; echo 1 > one",
    "orphan": "git checkout -q --orphan fresh && git add --all && git commit -qm own",
    "rebase": "git add --all && git commit -qm own && git rebase -q --force-rebase HEAD~2",
    "run branch": f"git checkout -q {BRANCH} && git add --all && git commit -qm own",
    "run branch by name": f"git branch -f {BRANCH} HEAD~1",
}


@pytest.mark.parametrize("stage", STAGES_OWN)
def test_what_a_stage_does_with_git_is_folded_into_its_commit(repo: Path, worktree: Path, git: Git, stage: str) -> None:
    workspace = opened(repo, worktree)
    first = workspace.commit(info("a")).sha
    (worktree / "one").write_text("1\n")
    by_itself(worktree, STAGES_OWN[stage])
    (worktree / "two").write_text("2\n")
    sha = workspace.commit(info("b", 2)).sha
    assert git(repo, "log", "--format=%s", f"main..{BRANCH}").splitlines() == [
        "attractor(r1): b (success)",
        "attractor(r1): a (success)",
    ]
    assert git(repo, "rev-parse", BRANCH, f"{BRANCH}~1").split() == [sha, first]
    assert detached_at(worktree) == sha
    assert git(repo, "ls-tree", "--name-only", BRANCH).splitlines() == ["README.md", "one", "two"]
    assert git(worktree, "status", "--porcelain") == ""


@pytest.mark.parametrize("stage", [name for name in STAGES_OWN if not name.startswith("run branch")])
def test_what_a_stage_did_with_git_before_a_crash_does_not_block_restore(
    repo: Path, worktree: Path, git: Git, stage: str
) -> None:
    workspace = opened(repo, worktree)
    workspace.commit(info("a"))
    sha = workspace.commit(info("b", 2)).sha
    (worktree / "one").write_text("1\n")
    by_itself(worktree, STAGES_OWN[stage])
    restore_worktree(repo, worktree, BRANCH, "r1", sha)
    assert git(repo, "rev-parse", BRANCH) == detached_at(worktree) == sha
    assert not (worktree / "one").exists()


def test_a_rebase_that_a_crash_interrupted_does_not_stand_in_the_next_ones_way(
    repo: Path, worktree: Path, git: Git
) -> None:
    sha = opened(repo, worktree).commit(info("a")).sha
    stopped = "git commit -q --allow-empty -m own; GIT_SEQUENCE_EDITOR='sed -i 1ibreak' git rebase -qi HEAD~1"
    by_itself(worktree, stopped)
    restore_worktree(repo, worktree, BRANCH, "r1", sha)
    by_itself(worktree, stopped)


def by_itself(worktree: Path, command: str) -> None:
    """Run a command as a stage would that has an identity for its commits."""
    who = {f"GIT_{role}_{what}": "stage@x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["sh", "-ec", command], cwd=worktree, env=os.environ | who, check=True, capture_output=True)


def test_no_identity_is_needed_and_a_configured_one_is_used(repo: Path, worktree: Path, git: Git) -> None:
    opened(repo, worktree).commit(info("a"))
    assert git(repo, "log", "-1", "--format=%an <%ae>", BRANCH) == "attractor <attractor@localhost>"
    git(repo, "config", "user.name", "Ada")
    git(repo, "config", "user.email", "ada@example.com")
    opened(repo, worktree).commit(info("b", 2))
    assert git(repo, "log", "-1", "--format=%an <%ae> %cn", BRANCH) == "Ada <ada@example.com> attractor"


def test_clean_filters_are_honoured(repo: Path, worktree: Path, git: Git) -> None:
    git(repo, "config", "filter.upper.clean", "tr a-z A-Z")
    (worktree / ".gitattributes").write_text("*.up filter=upper\n")
    git(worktree, "add", ".gitattributes")
    workspace = opened(repo, worktree)
    (worktree / "text.up").write_text("quiet\n")
    workspace.commit(info("a"))
    assert git(repo, "show", f"{BRANCH}:text.up") == "QUIET"


def test_hundreds_of_new_files_are_committed_whole(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    for number in range(300):
        (worktree / f"f{number}").write_text(str(number))
    workspace.commit(info("a"))
    assert len(git(repo, "ls-tree", "--name-only", BRANCH).splitlines()) == 301
    git(repo, "fsck", "--strict")


def test_a_used_branch_is_refused(repo: Path, worktree: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="already exists"):
        create_worktree(repo, tmp_path / "other", BRANCH, inspect_repository(repo).base_sha)


def test_restore_puts_back_whatever_a_crash_left(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    (worktree / "kept").write_text("kept\n")
    sha = workspace.commit(info("a")).sha
    (worktree / "kept").write_text("half wri")
    (worktree / "litter").mkdir()
    (worktree / "litter" / "x").write_text("x")
    git_dir = Path(git(worktree, "rev-parse", "--absolute-git-dir"))
    (git_dir / "index.lock").touch()
    (repo / ".git" / "refs" / "heads" / f"{BRANCH}.lock").touch()
    restore_worktree(repo, worktree, BRANCH, "r1", sha)
    assert git(worktree, "status", "--porcelain") == ""
    assert (worktree / "kept").read_text() == "kept\n"
    opened(repo, worktree).commit(info("b", 2))


def test_restore_drops_a_commit_whose_checkpoint_was_never_written(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    sha = workspace.commit(info("a")).sha
    workspace.commit(info("b", 2))
    restore_worktree(repo, worktree, BRANCH, "r1", sha)
    assert git(repo, "rev-parse", BRANCH) == sha


def test_restore_refuses_to_drop_somebodys_work(repo: Path, worktree: Path, git: Git) -> None:
    sha = opened(repo, worktree).commit(info("a")).sha
    git(repo, "checkout", "--quiet", BRANCH)
    git(repo, "commit", "--quiet", "--allow-empty", "--message", "mine")
    moved = git(repo, "rev-parse", BRANCH)
    with pytest.raises(WorkspaceError, match="was moved since the run stopped") as refusal:
        restore_worktree(repo, worktree, BRANCH, "r1", sha)
    assert "mine" in refusal.value.message
    assert git(repo, "rev-parse", BRANCH) == moved


@pytest.mark.parametrize("damage", ["folder gone", "folder without .git", "branch deleted", "reference empty"])
def test_restore_makes_anew_what_is_gone(repo: Path, worktree: Path, git: Git, damage: str) -> None:
    (worktree / "kept").write_text("kept\n")
    sha = opened(repo, worktree).commit(info("a")).sha
    match damage:
        case "folder gone":
            subprocess.run(["rm", "-rf", str(worktree)], check=True)
        case "folder without .git":
            (worktree / ".git").unlink()
        case "branch deleted":
            (repo / ".git" / "refs" / "heads" / BRANCH).unlink()
        case "reference empty":
            (repo / ".git" / "refs" / "heads" / BRANCH).write_text("")
    restore_worktree(repo, worktree, BRANCH, "r1", sha)
    assert (worktree / "kept").read_text() == "kept\n"
    assert git(repo, "rev-parse", BRANCH) == sha
    assert detached_at(worktree) == sha


def test_restore_says_when_the_commit_is_gone(repo: Path, worktree: Path) -> None:
    with pytest.raises(WorkspaceError, match="which the checkpoint names, is not in"):
        restore_worktree(repo, worktree, BRANCH, "r1", "1" * 40)


def test_remove_leaves_nothing(repo: Path, worktree: Path, git: Git) -> None:
    opened(repo, worktree).commit(info("a"))
    remove_worktree(repo, worktree, BRANCH)
    assert not worktree.exists()
    assert not branch_exists(repo, BRANCH)
    assert len(git(repo, "worktree", "list").splitlines()) == 1
    remove_worktree(repo, worktree, BRANCH)


def test_a_folder_outside_of_git_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="is not in a git repository") as refusal:
        inspect_repository(tmp_path)
    assert "--no-git" in str(refusal.value.hint)


def test_a_repository_without_a_commit_is_refused_with_the_remedy(tmp_path: Path, git: Git) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(WorkspaceError, match="has no commit to start from") as refusal:
        inspect_repository(tmp_path)
    assert "git commit --allow-empty" in str(refusal.value.hint)


def test_a_subfolder_a_detached_head_and_a_bare_repository_will_do(repo: Path, tmp_path: Path, git: Git) -> None:
    (repo / "sub").mkdir()
    git(repo, "checkout", "--quiet", "--detach")
    facts = inspect_repository(repo / "sub")
    assert (facts.root, facts.dirty) == (repo, False)
    git(tmp_path, "clone", "--quiet", "--bare", str(repo), "bare.git")
    bare = inspect_repository(tmp_path / "bare.git")
    create_worktree(bare.root, tmp_path / "w", BRANCH, bare.base_sha)
    assert (tmp_path / "w" / "README.md").exists()


def test_git_variables_of_a_surrounding_hook_do_not_lead_astray(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nowhere" / "index"))
    assert inspect_repository(repo).root == repo
