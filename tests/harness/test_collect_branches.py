"""Branches of fan-outs as evidence: where they are found, what they are called, what is read of them."""

from __future__ import annotations

import json
from pathlib import Path

from harness.collect import Asked, collect_run
from harness.engines import default_engine
from harness.repos import Git, make_repository
from harness.scenario import RepoSpec

RUN = "attractor/run/parallel/r"


def folder(place: Path, git: Git, branch: str, **result: object) -> None:
    """A branch's folder with a worktree, and its git branch at the base."""
    git.run("branch", branch)
    (place / "worktree").mkdir(parents=True)
    (place / "worktree" / "README.md").touch()
    manifest = {"run_id": "as it says", "base_sha": git.resolve("main"), "run_branch": branch}
    (place / "manifest.json").write_text(json.dumps(manifest))
    (place / "progress.ndjson").write_text('{"seq": 1}\n')
    if result:
        (place / "branch_result.json").write_text(json.dumps(result))


def test_branches_are_found_in_restarts_and_in_each_other(tmp_path: Path) -> None:
    git = make_repository(tmp_path / "repo", RepoSpec())
    logs = tmp_path / "logs"
    outer, again = logs / "parallel.d/fan/1/a", logs / "restart-1/parallel.d/fan/r1.1/a"
    folder(outer, git, f"{RUN}/fan/1/a", outcome="fail")
    folder(outer / "parallel.d/inner/1/x", git, f"{RUN}/fan+1+a+inner/1/x")
    folder(again, git, f"{RUN}/fan/r1.1/a", outcome="success")
    asked = {"fan/r1.1/a": Asked(contents=["progress.ndjson"], tree=["README.md"])}
    run = collect_run(name="run", run_id="r", logs_root=logs, engine=default_engine(), git=git, of_branches=asked)
    first, second = run.parallel
    (nested,) = first.parallel
    assert [b.name for b in run.all_branches()] == ["fan/1/a", "fan+1+a+inner/1/x", "fan/r1.1/a"]
    assert (nested.run_id, nested.whole_run_id) == ("r/fan+1+a+inner+1+x", "r"), "by its place, not by its own word"
    assert (nested.branch, nested.final) == (f"{RUN}/fan+1+a+inner/1/x", None)
    assert first.final is not None
    assert first.final.value == {"outcome": "fail"}
    assert (second.contents, second.tree) == ({"progress.ndjson": '{"seq": 1}\n'}, {"README.md": "fixture\n"})
    assert not [path for path in run.files if "worktree" in path]
    assert "parallel.d/fan/1/a/branch_result.json" in run.files


def test_a_run_without_git_has_no_repository(tmp_path: Path) -> None:
    """An empty path is none, not the folder that the audit was started in."""
    (tmp_path / "manifest.json").write_text(json.dumps({"run_id": "r", "repo_path": ""}))
    run = collect_run(name="run", logs_root=tmp_path, engine=default_engine())
    assert not run.git
    elsewhere = make_repository(tmp_path / "repo", RepoSpec())
    assert not collect_run(name="run", logs_root=tmp_path, engine=default_engine(), git=elsewhere).git
