"""`attractor-harness` as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli

ROOT = Path(__file__).parents[2]
STAND_IN = Path(__file__).with_name("stand_in_engine.py")
ENGINE = f"'{sys.executable}' '{STAND_IN}'"
SCENARIO = """
guardrail = "sample"
title = "It ends"
why = "w"
cxdb = "none"
graph = "digraph g { start -> exit }"
steps = [{ run = { exit = 0 } }]
[[proof]]
event = "run_completed"
"""


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    path = tmp_path / "scenarios" / "sample" / "ends.toml"
    path.parent.mkdir(parents=True)
    path.write_text(SCENARIO)
    return tmp_path / "scenarios"


def call(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    return done.exit_code, done.output


def test_list_names_every_case(scenarios: Path) -> None:
    code, output = call("list", "--scenarios", str(scenarios))
    assert (code, output.split()) == (0, ["sample/ends", "It", "ends"])


def test_list_tells_broken_scenarios_and_exits_2(scenarios: Path) -> None:
    (scenarios / "sample" / "ends.toml").write_text(SCENARIO.replace("title", "titel"))
    code, output = call("list", "--scenarios", str(scenarios))
    assert code == 2
    assert "did you mean 'title'?" in output


def test_list_names_the_saboteurs() -> None:
    code, output = call("list", "--saboteurs")
    assert code == 0
    assert "no-new-session" in output


def test_run_explains_one_case(scenarios: Path, tmp_path: Path) -> None:
    words = ("--engine", ENGINE, "--report-dir", str(tmp_path / "reports"))
    code, output = call("run", "sample/ends", "--scenarios", str(scenarios), *words)
    assert code == 0
    assert "GREEN sample/ends" in output
    assert call("run", str(scenarios / "sample" / "ends.toml"), *words)[0] == 0


def test_run_suggests_a_case_that_exists(scenarios: Path) -> None:
    code, output = call("run", "sample/end", "--scenarios", str(scenarios))
    assert code == 2
    assert "did you mean 'sample/ends'?" in output


def test_audit_judges_a_kept_run_and_finds_what_was_done_to_it(scenarios: Path, tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    call(
        "run", "sample/ends", "--keep", "--scenarios", str(scenarios), "--engine", ENGINE, "--report-dir", str(reports)
    )
    logs_root = reports / "cases" / "sample--ends" / "sandbox" / "logs" / "run"
    assert call("audit", str(logs_root))[0] == 0
    final = logs_root / "final.json"
    final.write_text(json.dumps(json.loads(final.read_text()) | {"status": "fail"}))
    code, output = call("audit", str(logs_root))
    assert code == 1
    assert "status 'fail' after run_completed" in output


def test_audit_of_an_empty_directory_is_no_success(tmp_path: Path) -> None:
    code, output = call("audit", str(tmp_path))
    assert code == 3
    assert "no run was found there" in output


def matrix(scenarios: Path, tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "harness", "matrix", "--scenarios", str(scenarios), "--engine", ENGINE]
    argv += ["--report-dir", str(tmp_path / "reports"), "--plain", "-n", "1", *words]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"}
    return subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)


def test_matrix_shows_lines_leaves_reports_and_exits_by_the_verdict(scenarios: Path, tmp_path: Path) -> None:
    done = matrix(scenarios, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sample/ends" in done.stdout
    assert {"junit.xml", "results.jsonl", "summary.md", "index.html"} <= {
        p.name for p in (tmp_path / "reports").iterdir()
    }


def test_matrix_with_a_red_case_exits_1(scenarios: Path, tmp_path: Path) -> None:
    path = scenarios / "sample" / "ends.toml"
    path.write_text(SCENARIO.replace("exit = 0", "exit = 7"))
    assert matrix(scenarios, tmp_path).returncode == 1


def test_matrix_that_chose_nothing_is_no_success(scenarios: Path, tmp_path: Path) -> None:
    done = matrix(scenarios, tmp_path, "-k", "nothing_of_the_kind")
    assert done.returncode == 3
    assert "pytest ended with 5" in done.stderr


def test_matrix_with_a_broken_scenario_is_no_success(scenarios: Path, tmp_path: Path) -> None:
    (scenarios / "sample" / "other.toml").write_text("guardrail = 1\n")
    done = matrix(scenarios, tmp_path)
    assert done.returncode == 3
    assert "other.toml:1: guardrail: expected text" in done.stderr
