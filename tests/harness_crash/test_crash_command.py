"""`attractor-harness crash` on real engines: quick ones here, whole tables marked slow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.crash.by_syscall import why_not_traced
from harness.crash.campaign import DEFECTS
from harness.crash.pipelines import PIPELINES

ROOT = Path(__file__).parents[2]
SITE = ROOT / "harness" / "crash" / "site"
UNTRACED = why_not_traced()


def crash(report: Path, *words: str, **environment: str) -> tuple[int, str]:
    """The command's exit code, and all it said."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "harness", "crash", "-n", "2", f"--report-dir={report}", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return done.returncode, done.stdout + done.stderr


def results(report: Path, kind: str = "") -> list[dict[str, Any]]:
    told = json.loads((report / "crash.json").read_text())["results"]
    return [result for result in told if result["kind"] != "undisturbed" and kind in result["kind"]]


def test_a_run_killed_before_its_checkpoint_is_recovered(tmp_path: Path) -> None:
    code, said = crash(tmp_path, "--pipeline", "linear", "--step", "committed#3")
    assert code == 0, said
    (result,) = results(tmp_path)
    assert result["lives"] == ["run: ended by SIGKILL", "resume: exit 0"]
    assert "| linear | killed once | 1 | 1 | 1 | 1 | 0 | green |" in (tmp_path / "crash.md").read_text()
    assert not any((tmp_path / "evidence").rglob("progress.ndjson")), "what is green leaves nothing behind"


def test_a_run_killed_twice_in_a_row_is_recovered(tmp_path: Path) -> None:
    words = ("--pipeline", "linear", "--step", "committed#3", "--then", "worktree_restored#1")
    code, said = crash(tmp_path, *words)
    assert code == 0, said
    (result,) = results(tmp_path)
    assert result["lives"] == ["run: ended by SIGKILL", "resume: ended by SIGKILL", "resume: exit 0"]


@pytest.mark.parametrize(
    ("step", "launcher"), [("child_spawned#1", "ended by SIGKILL"), ("ownership_announced#1", "exit 0")]
)
def test_a_detached_start_is_killed_in_the_launcher_and_in_the_child(tmp_path: Path, step: str, launcher: str) -> None:
    code, said = crash(tmp_path, "--pipeline", "linear", "--detach", "--step", step)
    assert code == 0, said
    (result,) = results(tmp_path)
    assert result["lives"][0] == f"run: {launcher}"


def test_a_kill_that_never_fires_is_invalid_and_never_green(tmp_path: Path) -> None:
    code, said = crash(tmp_path, "--pipeline", "linear", "--step", "committed#99")
    assert code == 3, said
    (result,) = results(tmp_path)
    assert result["verdict"] == "invalid"
    assert "did not fire" in said


def test_a_graph_file_of_the_users_own_is_crashed(tmp_path: Path) -> None:
    graph = tmp_path / "mine.dot"
    graph.write_text(
        'digraph g { start [shape=Mdiamond] a [shape=parallelogram, tool_command="echo a >> a.txt"]'
        " exit [shape=Msquare] start -> a -> exit }"
    )
    code, said = crash(tmp_path / "report", "--pipeline", str(graph), "--step", "turns_sent#2")
    assert code == 0, said
    assert "mine.dot" in said


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_turns_the_comparison_red(tmp_path: Path, defect: str) -> None:
    """`checkpoint-before-commit` is the commit point in the wrong order; undisturbed runs show nothing of either."""
    words = ("--pipeline", "linear", "--step", "checkpoint_saved#2")
    code, said = crash(tmp_path, *words, "--defect", defect)
    assert code == 1, said
    (result,) = results(tmp_path)
    kept = tmp_path / result["evidence"]
    assert (kept / "logs/run/progress.ndjson").exists()
    assert (kept / "verdict.txt").exists()
    assert result["repeat"].endswith(f"--step 'checkpoint_saved#2' --defect {defect}")
    assert result["repeat"] in said


def test_the_defects_are_those_of_the_site() -> None:
    read = "import crash_patches as c; print(*c.DEFECTS)"
    done = subprocess.run([sys.executable, "-c", read], cwd=SITE, capture_output=True, text=True, check=True)
    assert tuple(done.stdout.split()) == DEFECTS


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--pipeline", "linaer"), "did you mean 'linear'?"),
        (("--pipeline", "gone.dot"), "cannot read the graph gone.dot"),
        (("--step", "committed"), "such as committed#2"),
        (("--then", "committed#1"), "--then goes with --step"),
        (("--detach",), "--detach goes with --step"),
        (("--sample", "3"), "--sample goes with --by-syscall"),
        (("--by-syscall", "--step", "committed#1"), "such as rename#4:KILL"),
        (("--defect", "bad"), "no defect 'bad'"),
        (("--engine", "no-such-engine"), "engine command not found"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    code, said = crash(tmp_path, *words)
    assert code == 2
    assert told in said


def test_an_engine_that_announces_no_steps_is_skipped_with_the_reason(tmp_path: Path) -> None:
    code, said = crash(tmp_path, "--pipeline", "linear", "--engine", "true")
    assert code == 3
    assert "the engine announces no steps; --by-syscall needs none" in said


def test_without_strace_the_kills_by_system_call_are_skipped_with_the_reason(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("git", "sh", "setpriv"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    code, said = crash(tmp_path / "report", "--by-syscall", PATH=str(tools))
    assert code == 3
    assert "SKIPPED" in said
    assert "apt-get install strace" in said


@pytest.mark.skipif(bool(UNTRACED), reason=UNTRACED or "strace is there")
@pytest.mark.parametrize(
    ("injection", "lives"),
    [
        ("fdatasync#2:KILL", ["run: ended by SIGKILL", "run: exit 0"]),  # before there was a run: begun again
        ("rename#9:KILL", ["run: ended by SIGKILL", "resume: exit 0"]),
        ("fsync#7:ENOSPC+", ["run: exit 1", "resume: exit 0"]),  # the checkpoint is there, its folder's sync failed
        ("fdatasync#8:EIO+", ["run: exit 1", "resume: exit 0"]),
    ],
)
def test_a_call_of_the_kernel_is_the_last_or_fails(tmp_path: Path, injection: str, lives: list[str]) -> None:
    code, said = crash(tmp_path, "--by-syscall", "--step", injection)
    assert code == 0, said
    (result,) = results(tmp_path)
    assert result["lives"] == lives


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_short_form_takes_every_step_once(tmp_path: Path) -> None:
    code, said = crash(tmp_path, "--short")
    assert code == 0, said
    told = results(tmp_path)
    assert {result["pipeline"] for result in told} == set(PIPELINES)
    steps = {result["name"].split("+")[-1].split("#")[0] for result in told}
    assert {"child_spawned", "ownership_announced", "restart_saved", "branch_finished", "final_written"} <= steps
    assert {"leftovers_ended", "worktree_restored"} <= steps


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(UNTRACED), reason=UNTRACED or "strace is there")
def test_a_sample_of_calls_is_recovered_from(tmp_path: Path) -> None:
    code, said = crash(tmp_path, "--by-syscall", "--sample", "2")
    assert code == 0, said
