"""What stages and users put into a worktree that libgit2 alone would commit wrongly, or not at all."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from attractor.errors import WorkspaceError
from attractor.workspace import GitWorkspace, create_worktree, inspect_repository, restore_worktree
from tests.workspace.worktrees import BRANCH, info, opened

Git = Callable[..., str]


def committed(repo: Path, git: Git) -> list[str]:
    return git(repo, "ls-tree", "-r", "--name-only", BRANCH).splitlines()


@pytest.mark.parametrize("how", [["--cone"], ["--no-cone"], ["--cone", "--sparse-index"]], ids=" ".join)
def test_a_sparse_checkout_loses_nothing(repo: Path, tmp_path: Path, git: Git, how: list[str]) -> None:
    for name in ("in/a", "out/b"):
        (repo / name).parent.mkdir()
        (repo / name).write_text("x\n")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "folders")
    git(repo, "sparse-checkout", "set", *how, "in")
    place = tmp_path / "w"
    create_worktree(repo, place, BRANCH, inspect_repository(repo).base_sha)
    workspace = opened(repo, place)
    (place / "in" / "new").write_text("x")
    (place / "elsewhere").mkdir()
    (place / "elsewhere" / "new").write_text("x")
    sha = workspace.commit(info("a")).sha
    assert set(committed(repo, git)) - {"README.md"} == {"in/a", "in/new", "out/b", "elsewhere/new"}
    restore_worktree(repo, place, BRANCH, "r1", sha)
    opened(repo, place).commit(info("b", 2))
    assert git(repo, "diff", "--name-only", sha, BRANCH) == ""


def test_sparseness_that_a_stage_turns_on_loses_nothing(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    (worktree / "out").mkdir()
    (worktree / "out" / "b").write_text("x")
    workspace.commit(info("a"))
    git(worktree, "sparse-checkout", "set", "--cone", "in")
    assert not (worktree / "out").exists()
    workspace.commit(info("b", 2))
    assert "out/b" in committed(repo, git)


def upper(repo: Path, git: Git) -> None:
    git(repo, "config", "filter.upper.clean", "tr a-z A-Z")


@pytest.mark.parametrize("place", ["root", "folder", "info/attributes", "core.attributesFile"])
def test_filters_that_a_stage_sets_up_are_honoured(repo: Path, worktree: Path, git: Git, place: str) -> None:
    workspace = opened(repo, worktree)
    (worktree / "sub").mkdir()
    (worktree / "sub" / "before.up").write_text("before\n")
    workspace.commit(info("a"))
    upper(repo, git)
    attributes = {
        "root": worktree / ".gitattributes",
        "folder": worktree / "sub" / ".gitattributes",
        "info/attributes": repo / ".git" / "info" / "attributes",
        "core.attributesFile": repo.parent / "attributes",
    }[place]
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text("*.up filter=upper\n")
    if place == "core.attributesFile":
        git(repo, "config", "core.attributesFile", str(attributes))
    (worktree / "sub" / "text.up").write_text("quiet\n")
    workspace.commit(info("b", 2))
    assert git(repo, "show", f"{BRANCH}:sub/text.up") == "QUIET"
    assert git(worktree, "status", "--porcelain") == ""


def test_a_filter_configured_after_its_attributes_is_honoured(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    (worktree / ".gitattributes").write_text("*.up filter=upper\n")
    workspace.commit(info("a"))
    upper(repo, git)
    (worktree / "text.up").write_text("quiet\n")
    workspace.commit(info("b", 2))
    assert git(repo, "show", f"{BRANCH}:text.up") == "QUIET"


def test_a_working_tree_encoding_is_honoured(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    (worktree / ".gitattributes").write_text("*.txt working-tree-encoding=UTF-16LE\n")
    (worktree / "text.txt").write_bytes("grün\n".encode("utf-16-le"))
    workspace.commit(info("a"))
    assert git(repo, "show", f"{BRANCH}:text.txt") == "grün"


def test_an_ordinary_repository_needs_no_git_program(
    repo: Path, worktree: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    upper(repo, git)  # configured, as git-lfs is on many machines, and used by nothing
    workspace = opened(repo, worktree)
    (worktree / "x").write_text("x")
    workspace.commit(info("a"))
    monkeypatch.setenv("PATH", "/nonexistent")
    for sequence in (2, 3):
        workspace.commit(info("b", sequence))
        (worktree / "x").write_text(str(sequence))
    assert "x" in committed(repo, git_in("/usr/bin:/bin"))


def git_in(path: str) -> Git:
    def call(folder: Path, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, env={"PATH": path}
        )
        return done.stdout.rstrip("\n")

    return call


def test_a_repository_a_stage_cloned_into_the_worktree_is_kept_as_a_link(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    git(worktree, "clone", "--quiet", str(repo), "dep")
    workspace.commit(info("a"))
    assert git(repo, "ls-tree", "--format=%(objectmode) %(objectname)", BRANCH, "dep") == (
        f"160000 {git(repo, 'rev-parse', 'main')}"
    )
    (worktree / "x").write_text("x")
    git(worktree / "dep", "commit", "--quiet", "--allow-empty", "--message", "in the clone")
    workspace.commit(info("b", 2))
    assert git(repo, "rev-parse", f"{BRANCH}:dep") == git(worktree / "dep", "rev-parse", "HEAD")
    assert "x" in committed(repo, git)


def test_a_repository_without_commits_is_named_with_the_remedy(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    git(worktree, "init", "--quiet", "sub/nest")
    (worktree / "sub" / "nest" / "work").write_text("x")
    with pytest.raises(WorkspaceError, match="sub/nest") as refusal:
        workspace.commit(info("a"))
    assert ".gitignore" in str(refusal.value.hint)
    git(worktree / "sub" / "nest", "commit", "--quiet", "--allow-empty", "--message", "now")
    workspace.commit(info("a"))


def test_a_submodule_nobody_filled_stays_what_it_was(repo: Path, tmp_path: Path, git: Git) -> None:
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repo), "module")
    git(repo, "commit", "--quiet", "--message", "module")
    git(repo, "config", "submodule.recurse", "true")
    place = tmp_path / "w"
    create_worktree(repo, place, BRANCH, inspect_repository(repo).base_sha)
    sha = opened(repo, place).commit(info("a")).sha
    assert git(repo, "diff", "--stat", "main", BRANCH) == ""
    restore_worktree(repo, place, BRANCH, "r1", sha)


def test_folders_deeper_than_libgit2_goes_are_committed(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    deep = worktree.joinpath(*["d"] * 120)
    deep.mkdir(parents=True)
    (deep / "x").write_text("x")
    workspace.commit(info("a"))
    assert committed(repo, git)[1].endswith("/d/x")


def test_a_split_index_and_a_conflict_a_stage_left_are_committed(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    for branch, text in (("one", "1\n"), ("two", "2\n")):
        git(worktree, "checkout", "--quiet", "-b", branch, "main")
        (worktree / "README.md").write_text(text)
        git(worktree, "commit", "--quiet", "--all", "--message", branch)
    subprocess.run(["git", "cherry-pick", "one"], cwd=worktree, check=False, capture_output=True)
    workspace.commit(info("a"))
    assert "<<<<<<<" in git(repo, "show", f"{BRANCH}:README.md")
    git(worktree, "update-index", "--split-index")
    (worktree / "x").write_text("x")
    workspace.commit(info("b", 2))
    assert "x" in committed(repo, git)


CHURN = """
import itertools, os, sys
os.chdir(sys.argv[1])
os.mkdir("churn")
print("at work", flush=True)
for n in itertools.count():
    open(f"churn/tmp.{n % 40}", "w").close()
    if n % 40 == 39:
        for old in os.listdir("churn"):
            os.unlink(f"churn/{old}")
"""


@pytest.fixture
def churning(worktree: Path) -> Iterator[None]:
    """A service that makes and removes files all the time."""
    argv = [sys.executable, "-c", CHURN, str(worktree)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout
        assert service.stdout.readline() == "at work\n"
        yield
        service.kill()


@pytest.mark.usefixtures("churning")
def test_files_that_come_and_go_meanwhile_do_not_fail_the_commit(repo: Path, worktree: Path, git: Git) -> None:
    workspace = opened(repo, worktree)
    for sequence in range(1, 41):
        (worktree / "own").write_text(str(sequence))
        workspace.commit(info("a", sequence))
    assert git(repo, "show", f"{BRANCH}:own") == "40"


def test_a_lock_that_a_killed_git_of_a_stage_left_does_not_fail_the_commit(
    repo: Path, worktree: Path, git: Git
) -> None:
    workspace = opened(repo, worktree)
    git_dir = Path(git(worktree, "rev-parse", "--absolute-git-dir"))
    (git_dir / "index.lock").touch()
    (git_dir / "HEAD.lock").touch()
    (worktree / "x").write_text("x")
    workspace.commit(info("a"))
    assert "x" in committed(repo, git)
    assert git(worktree, "status", "--porcelain") == ""


def test_a_worktree_that_lost_its_git_file_is_not_taken_for_the_repository_around_it(repo: Path, git: Git) -> None:
    upper(repo, git)
    place = repo / "runs" / "worktree"
    create_worktree(repo, place, BRANCH, inspect_repository(repo).base_sha)
    (place / ".gitattributes").write_text("*.up filter=upper\n")
    workspace = GitWorkspace(repo, place, BRANCH, inspect_repository(repo).base_sha)
    (place / ".git").unlink()
    (place / "text.up").write_text("quiet\n")
    workspace.commit(info("a"))
    assert git(repo, "show", f"{BRANCH}:text.up") == "QUIET"
    assert git(repo, "diff", "--cached", "--name-only") == ""
