"""The case's secret is found in each kind of record, also where pieces of a file meet."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.canary import CHUNK_BYTES, find_canary
from harness.evidence import RunEvidence, Turn, Turns
from harness.repos import Commit

CANARY = "canary-0123456789"


def evidence(root: Path) -> RunEvidence:
    return RunEvidence(name="run", run_id="r", logs_root=str(root))


def places(run: RunEvidence, tmp_path: Path) -> tuple[str, ...]:
    return find_canary(CANARY, [run], tmp_path / "outputs", "worktree")


@pytest.mark.parametrize("before", [0, 10, CHUNK_BYTES - 5, CHUNK_BYTES, 2 * CHUNK_BYTES - 1])
def test_in_a_file_wherever_it_stands(tmp_path: Path, before: int) -> None:
    file = tmp_path / "logs" / "deep" / "file"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * before + CANARY.encode() + b"x")
    assert places(evidence(tmp_path / "logs"), tmp_path) == ("run: deep/file",)


def test_what_stages_write_into_the_worktree_is_theirs(tmp_path: Path) -> None:
    (tmp_path / "logs" / "worktree").mkdir(parents=True)
    (tmp_path / "logs" / "worktree" / "file").write_text(CANARY)
    assert places(evidence(tmp_path / "logs"), tmp_path) == ()


def test_in_commits_turns_and_outputs(tmp_path: Path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "step-1-run.err").write_text(f"told {CANARY}")
    commit = Commit("a" * 40, (), "t", "subject", {}, "a <a@b>", f"subject\n\nwith {CANARY}")
    turns = Turns((Turn("StageFinished", 1, {"notes": {"inner": [CANARY]}}), Turn("Other", 2, {})))
    inner = dataclasses.replace(evidence(tmp_path / "none"), name="fan/1/a", commits=(commit,))
    run = dataclasses.replace(evidence(tmp_path / "none"), turns=turns, parallel=(inner,))
    assert places(run, tmp_path) == (
        "run: turn 0 StageFinished",
        "fan/1/a: commit aaaaaaaaaaaa",
        "output: step-1-run.err",
    )
