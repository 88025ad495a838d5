"""manifest.json and final.json: typed, and damage is named."""

import json
from pathlib import Path

import pytest

from attractor.errors import RunDirectoryError
from attractor.rundir import (
    Final,
    Layout,
    Manifest,
    Policy,
    read_final,
    read_manifest,
    write_final,
    write_manifest,
)


def manifest(root: Path) -> Manifest:
    return Manifest(
        run_id="r",
        name="G",
        goal="",
        start_time="now",
        logs_root=str(root),
        worktree=str(root / "worktree"),
        repo_path="/repo",
        base_sha="abc",
        run_branch="attractor/run/r",
        graph_dot=str(root / "graph.dot"),
        labels={"k": "v"},
        cxdb=None,
        policy=Policy(setup_commands=("true",)),
        token="t",
        engine_version="0",
    )


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_manifest(Layout(tmp_path), manifest(tmp_path))
    assert read_manifest(Layout(tmp_path)) == manifest(tmp_path)


def test_a_folder_without_a_manifest_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="is not a run's directory"):
        read_manifest(Layout(tmp_path))


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(RunDirectoryError, match="the manifest is damaged"):
        read_manifest(Layout(tmp_path))


def test_a_relative_root_is_refused_with_the_value(tmp_path: Path) -> None:
    write_manifest(Layout(tmp_path), manifest(tmp_path))
    data = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(data | {"logs_root": "runs/r"}))
    with pytest.raises(RunDirectoryError, match="logs_root is 'runs/r', which is not an absolute path"):
        read_manifest(Layout(tmp_path))


def test_final_stands_in_the_base_and_in_the_restarts_root(tmp_path: Path) -> None:
    base = Layout(tmp_path)
    base.restart(2).root.mkdir()
    final = Final(timestamp="now", status="fail", run_id="r", final_git_commit_sha="abc", failure_reason="no")
    write_final([base, base.restart(2)], final)
    assert read_final(base, "r") == read_final(base.restart(2), "r") == final


def test_no_final_is_none(tmp_path: Path) -> None:
    assert read_final(Layout(tmp_path), "r") is None
