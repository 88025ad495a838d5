"""Fixture repositories and evidence collection, checked against the git program and the file system."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.collect import collect_run, read_event_log
from harness.engines import default_engine
from harness.errors import HarnessError
from harness.repos import Git, make_repository
from harness.scenario import RepoKind, RepoSpec


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return make_repository(tmp_path / "re po", RepoSpec())


IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")


def commit(git: Git, message: str) -> str:
    git.run(*IDENTITY, "commit", "--quiet", "--allow-empty", "-m", message)
    return git.run("rev-parse", "HEAD").strip()


def test_a_fixture_has_one_commit_and_no_identity(git: Git) -> None:
    assert git.run("rev-list", "--count", "HEAD").strip() == "1"
    assert git.branches() == ("main",)
    assert git.run("config", "--get", "user.name", ok=(0, 1)) == ""


def test_what_the_user_left_is_left(tmp_path: Path) -> None:
    spec = RepoSpec(
        dirty={"README.md": "changed", "new/x.txt": "x"},
        staged={"s.txt": "s"},
        hooks={"pre-commit": "#!/bin/sh\nexit 1\n"},
        config={"core.autocrlf": "input"},
    )
    git = make_repository(tmp_path / "repo", spec)
    status = git.run("status", "--porcelain", "--untracked-files=all")
    assert status.splitlines() == [" M README.md", "A  s.txt", "?? new/x.txt"]
    assert git.run("config", "core.autocrlf").strip() == "input"


@pytest.mark.parametrize("kind", RepoKind)
def test_every_kind_of_repository_has_the_users_files_and_one_worktree(tmp_path: Path, kind: RepoKind) -> None:
    spec = RepoSpec(kind=kind, files={"a.txt": "a"}, dirty={"a.txt": "b"}, hooks={"pre-commit": "#!/bin/sh\n"})
    git = make_repository(tmp_path / "repo", spec)
    assert git.run("status", "--porcelain").strip() == "M a.txt"
    assert git.worktrees() == ()
    assert git.checkout_state().hooks.startswith("pre-commit=")
    assert git.checkout_state() == git.checkout_state()
    facts = {
        RepoKind.DETACHED: git.run("symbolic-ref", "-q", "HEAD", ok=(0, 1)) == "",
        RepoKind.SHALLOW: git.run("rev-parse", "--is-shallow-repository").strip() == "true",
        RepoKind.SYMLINK: (tmp_path / "repo").is_symlink(),
        RepoKind.WORKTREE: (tmp_path / "repo" / ".git").is_file(),
    }
    assert [name for name, holds in facts.items() if holds] == ([kind] if kind in facts else [])


def test_a_submodule_is_a_commit_of_another_repository(tmp_path: Path) -> None:
    git = make_repository(tmp_path / "repo", RepoSpec(submodules={"vendor/lib": {"l.txt": "l"}}))
    assert git.run("ls-tree", "HEAD", "vendor/lib").startswith("160000 commit")
    assert git.run("status", "--porcelain") == ""


CHANGES = {
    "head": lambda git: commit(git, "more"),
    "branch": lambda git: git.run("checkout", "-q", "-b", "other"),
    "index": lambda git: ((git.repo / "n").touch(), git.run("add", "n")),
    "status": lambda git: (git.repo / "n").touch(),
    "config": lambda git: git.run("config", "user.name", "x"),
    "hooks": lambda git: ((git.repo / ".git/hooks").mkdir(), (git.repo / ".git/hooks/pre-commit").touch()),
    "stash": lambda git: ((git.repo / "README.md").write_text("x"), git.run(*IDENTITY, "stash")),
    "files": lambda git: (git.repo / "README.md").write_text("x"),
}


@pytest.mark.parametrize("field", CHANGES)
def test_every_change_of_the_checkout_is_seen(git: Git, field: str) -> None:
    before = git.checkout_state()
    assert before.differences(git.checkout_state()) == []
    CHANGES[field](git)
    assert any(line.startswith(f"{field}: ") for line in before.differences(git.checkout_state()))


def test_history_tells_parents_and_trailers_oldest_first(git: Git) -> None:
    base = git.resolve("main")
    first = commit(git, "attractor(r): a (success)\n\nAttractor-Run: r\nAttractor-Node: a")
    second = commit(git, "second")
    one, two = git.history("main", base)
    assert (one.sha, one.parents, one.trailers) == (first, (base,), {"Attractor-Run": "r", "Attractor-Node": "a"})
    assert (two.sha, two.parents, two.subject) == (second, (first,), "second")


def test_a_file_at_a_commit_empty_or_missing(git: Git) -> None:
    (git.repo / "empty").touch()
    git.run("add", "empty")
    sha = commit(git, "x")
    assert (git.file_at(sha, "README.md"), git.file_at(sha, "empty"), git.file_at(sha, "no")) == ("fixture\n", "", None)


def test_a_git_that_fails_says_why(git: Git) -> None:
    with pytest.raises(HarnessError, match="no-such-command"):
        git.run("no-such-command")


def test_torn_and_broken_event_lines_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "progress.ndjson"
    path.write_bytes(b'{"seq": 1}\n[1]\nnonsense\n{"seq": 2}\n{"se')
    log = read_event_log(path)
    assert log.events == ({"seq": 1}, {"seq": 2})
    assert [line.split(":")[0] for line in log.torn] == ["line 2", "line 3", "line 5"]


def test_a_run_is_collected_by_its_logs_root_alone(git: Git, tmp_path: Path) -> None:
    base = git.resolve("main")
    git.run("checkout", "-q", "-b", "attractor/run/r")
    tip = commit(git, "attractor(r): start (success)")
    git.run("checkout", "-q", "main")
    logs = tmp_path / "logs"
    (logs / "restart-2").mkdir(parents=True)
    manifest = {"run_id": "r", "repo_path": str(git.repo), "base_sha": base, "run_branch": "attractor/run/r"}
    (logs / "manifest.json").write_text(json.dumps(manifest))
    (logs / "restart-2" / "checkpoint.json").write_text("{}")
    (logs / "final.json").write_text("{broken")
    run = collect_run(name="run", logs_root=logs, engine=default_engine())
    assert (run.run_id, run.tip, [c.sha for c in run.commits]) == ("r", tip, [tip])
    assert run.current_root == "restart-2"
    assert run.final is not None
    assert "not one JSON object" in run.final.unreadable
    assert not run.turns.expected
