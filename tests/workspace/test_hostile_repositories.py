"""Making, putting back and removing worktrees where the machine, the user or a stage made that hard."""

import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from attractor.errors import WorkspaceError
from attractor.workspace import (
    branch_exists,
    check_branch_free,
    create_worktree,
    inspect_repository,
    remove_tree,
    remove_worktree,
    restore_worktree,
)
from tests.workspace.worktrees import BRANCH, info, opened

Git = Callable[..., str]
ROOT = Path(__file__).parents[2]
# Root may do what permissions forbid; without these two capabilities it is like anybody else.
ORDINARY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
needs_ordinary = pytest.mark.skipif(bool(ORDINARY) and not shutil.which("setpriv"), reason="root needs setpriv")


def as_ordinary_user(code: str, *arguments: object) -> None:
    """Run Python code in a process that permissions hold for."""
    program = "import sys\nfrom pathlib import Path\nfrom attractor.workspace import *\n" + textwrap.dedent(code)
    argv = [*ORDINARY, sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    done = subprocess.run(argv, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def shut(worktree: Path, how: str) -> None:
    """Leave what a stage may leave."""
    folder = worktree / "cache" / "module"
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    match how:
        case "chmod -R a-w":
            subprocess.run(["chmod", "-R", "a-w", "cache"], cwd=worktree, check=True)
        case "chmod 000 folders":
            folder.chmod(0)
            (worktree / "tracked").chmod(0)
        case "chmod 000 worktree":
            worktree.chmod(0)


@needs_ordinary
@pytest.mark.parametrize("how", ["chmod -R a-w", "chmod 000 folders", "chmod 000 worktree"])
def test_permissions_that_a_stage_took_away_do_not_block_restore(
    repo: Path, worktree: Path, tmp_path: Path, git: Git, how: str
) -> None:
    (worktree / "tracked").mkdir()
    (worktree / "tracked" / "file").write_text("x")
    sha = opened(repo, worktree).commit(info("a")).sha
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    (worktree / "link").symlink_to(outside)
    shut(worktree, how)
    restore = 'restore_worktree(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], "r1", sys.argv[4])'
    as_ordinary_user(restore, repo, worktree, BRANCH, sha)
    assert git(worktree, "status", "--porcelain", "--ignored") == ""
    assert not (worktree / "cache").exists()
    assert outside.stat().st_mode & 0o777 == 0o500, "no link is followed"


@needs_ordinary
@pytest.mark.parametrize("how", ["chmod -R a-w", "chmod 000 folders", "chmod 000 worktree"])
def test_permissions_that_a_stage_took_away_do_not_block_removal(
    repo: Path, worktree: Path, tmp_path: Path, git: Git, how: str
) -> None:
    (worktree / "tracked").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (worktree / "link").symlink_to(outside)
    shut(worktree, how)
    remove = "assert remove_worktree(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]) == ''"
    as_ordinary_user(remove, repo, worktree, BRANCH)
    assert not worktree.exists()
    assert not branch_exists(repo, BRANCH)
    assert len(git(repo, "worktree", "list").splitlines()) == 1
    assert (outside / "file").exists()


@needs_ordinary
def test_files_in_a_folder_that_may_not_be_entered_do_not_count_as_deleted(
    repo: Path, worktree: Path, git: Git
) -> None:
    (worktree / "tracked").mkdir()
    (worktree / "tracked" / "file").write_text("x")
    opened(repo, worktree).commit(info("a"))
    (worktree / "tracked").chmod(0)
    code = """
    from tests.workspace.worktrees import info, opened
    opened(Path(sys.argv[1]), Path(sys.argv[2])).commit(info("b", 2))
    """
    as_ordinary_user(code, repo, worktree)
    assert git(repo, "show", f"{BRANCH}:tracked/file") == "x"


def test_a_link_in_a_folders_place_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to("real")
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "missing")
    assert sorted(os.listdir(tmp_path)) == ["real"]
    assert (tmp_path / "real" / "file").exists()


def test_many_runs_at_once_get_and_lose_their_worktrees(repo: Path, tmp_path: Path, git: Git) -> None:
    base = inspect_repository(repo).base_sha

    def one(number: int) -> str:
        place, branch = tmp_path / f"run-{number}" / "worktree", f"attractor/run/r{number}"
        create_worktree(repo, place, branch, base)
        subprocess.run(["rm", "-rf", str(place)], check=True)
        restore_worktree(repo, place, branch, f"r{number}", base)
        return remove_worktree(repo, place, branch)

    with ThreadPoolExecutor(20) as threads:
        assert set(threads.map(one, range(80))) == {""}
    assert len(git(repo, "worktree", "list").splitlines()) == 1
    assert git(repo, "branch", "--format=%(refname:short)") == "main"


def test_a_worktree_that_cannot_be_made_leaves_nothing(repo: Path, tmp_path: Path, git: Git) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(WorkspaceError, match="already exists"):
        create_worktree(repo, tmp_path / "full", BRANCH, inspect_repository(repo).base_sha)
    assert not branch_exists(repo, BRANCH)
    assert (tmp_path / "full" / "file").exists(), "it was there before, and is not ours"


@pytest.mark.parametrize("taken", ["attractor", "attractor/run"])
def test_a_branch_in_the_prefixs_place_is_refused_with_the_remedy(repo: Path, git: Git, taken: str) -> None:
    git(repo, "branch", taken)
    with pytest.raises(WorkspaceError, match=f"there is a branch {taken},") as refusal:
        check_branch_free(repo, BRANCH)
    assert "git.run_branch_prefix" in str(refusal.value.hint)


def test_a_branch_below_the_runs_is_refused(repo: Path, git: Git) -> None:
    git(repo, "branch", f"{BRANCH}/deeper")
    assert not branch_exists(repo, BRANCH)
    with pytest.raises(WorkspaceError, match=f"there is a branch {BRANCH}/deeper below"):
        check_branch_free(repo, BRANCH)


def test_a_branch_checked_out_elsewhere_is_kept_and_the_place_named(repo: Path, worktree: Path, git: Git) -> None:
    opened(repo, worktree).commit(info("a"))
    git(repo, "checkout", "--quiet", BRANCH)
    kept = remove_worktree(repo, worktree, BRANCH)
    assert kept == f"branch {BRANCH} was kept: it is checked out in {repo}"
    assert not worktree.exists()
    assert branch_exists(repo, BRANCH)


@pytest.mark.parametrize(
    ("option", "reason"), [("--object-format=sha256", "SHA-256"), ("--ref-format=reftable", "format")]
)
def test_a_repository_libgit2_cannot_write_is_refused_with_the_reason(
    tmp_path: Path, git: Git, option: str, reason: str
) -> None:
    folder = tmp_path / "other"
    done = subprocess.run(["git", "init", "--quiet", option, str(folder)], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("this git is older than the format")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "first")
    with pytest.raises(WorkspaceError, match=reason) as refusal:
        inspect_repository(folder)
    assert "SHA-1" in str(refusal.value.hint)


def test_looking_at_a_repository_does_not_rewrite_its_index(repo: Path) -> None:
    index = repo / ".git" / "index"
    (repo / "README.md").touch()  # stat data differs: `git status` would store the new one
    os.utime(repo / "README.md", (1, 1))
    before = hashlib.sha256(index.read_bytes()).hexdigest()
    assert not inspect_repository(repo).dirty
    assert hashlib.sha256(index.read_bytes()).hexdigest() == before


def test_a_signal_of_the_terminal_does_not_reach_git(repo: Path) -> None:
    """An alias sends it to the engine's process group, as the terminal does to the one in its foreground."""
    code = """
    import os, signal
    os.setpgid(0, 0)
    got = []
    signal.signal(signal.SIGINT, lambda *_: got.append("the engine"))
    from attractor.workspace.program import git_text
    alias = f"alias.x=!kill -INT -{os.getpid()}; echo done"
    assert git_text(Path(sys.argv[1]), "-c", alias, "x") == "done"
    assert got == ["the engine"]
    """
    as_ordinary_user(code, repo)


def test_a_machine_at_its_limits_is_an_error_of_the_workspace(repo: Path) -> None:
    code = """
    import resource
    from attractor.errors import WorkspaceError
    from attractor.workspace import inspect_repository
    resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))
    try:
        inspect_repository(Path(sys.argv[1]))
    except WorkspaceError as error:
        assert "cannot start git" in error.message and "ulimit" in error.hint, error
    else:
        raise AssertionError("it had enough files")
    """
    as_ordinary_user(code, repo)


def test_a_folder_that_is_a_file_is_an_error_of_the_workspace(repo: Path) -> None:
    with pytest.raises(WorkspaceError, match="is not a directory"):
        inspect_repository(repo / "README.md")


def test_any_path_works_in_an_ascii_locale(repo: Path, git: Git) -> None:
    folder = repo.rename(repo.with_name("grün"))
    code = """
    import os
    assert sys.getfilesystemencoding() == "ascii"
    repo = Path(sys.argv[1])
    facts = inspect_repository(repo)
    place = repo.parent / os.fsdecode(b"w\\xc3\\xb6rk")
    create_worktree(facts.root, place, "attractor/run/r1", facts.base_sha)
    GitWorkspace(facts.root, place, "attractor/run/r1", facts.base_sha)
    restore_worktree(facts.root, place, "attractor/run/r1", "r1", facts.base_sha)
    remove_worktree(facts.root, place, "attractor/run/r1")
    """
    program = "import sys\nfrom pathlib import Path\nfrom attractor.workspace import *\n" + textwrap.dedent(code)
    environment = os.environ | {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "LC_ALL": "POSIX"}
    argv = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(argv, cwd=ROOT, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
