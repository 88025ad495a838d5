"""`attractor-harness bench` as a user types it, on graphs of three nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness.bench import BenchOptions, run_bench
from harness.bench.command import parse_cxdb
from harness.bench.plan import PEERS, job_ids, plan
from harness.cli import cli
from harness.processes import until
from tests.harness_bench.bench_samples import TINY

ROOT = Path(__file__).parents[2]


def test_a_cxdb_is_named_by_host_and_two_ports() -> None:
    assert parse_cxdb("127.0.0.1:9009:9010") == {
        "binary_addr": "127.0.0.1:9009",
        "http_base_url": "http://127.0.0.1:9010",
    }
    assert parse_cxdb("[::1]:1:2")["binary_addr"] == "[::1]:1"


@pytest.mark.parametrize("text", ["", "localhost", "localhost:1", ":1:2", "a b:1:2", "h:1:x"])
def test_anything_else_is_not_a_cxdb(text: str) -> None:
    with pytest.raises(click.BadParameter, match="HOST:PORT:HTTP_PORT"):
        parse_cxdb(text)


def test_list_names_the_jobs_and_measures_nothing() -> None:
    done = CliRunner().invoke(cli, ["bench", "--list", "--only", "start"])
    assert (done.exit_code, done.output.split()) == (0, ["start/python", "start/version"])


def test_a_pattern_that_matches_nothing_is_wrong_usage() -> None:
    done = CliRunner().invoke(cli, ["bench", "--only", "nonsense"])
    assert done.exit_code == 2
    assert "matches no job" in done.output


@pytest.mark.slow
def test_everything_is_measured_shown_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    code = run_bench(BenchOptions(json_file=tmp_path / "reports" / "bench.json", sizes=TINY, repeat=2))
    document = json.loads((tmp_path / "reports" / "bench.json").read_text())
    jobs = document["jobs"]
    problems = {name: job["problem"] for name, job in jobs.items() if job["problem"]}
    assert (code, problems) == (0, {})
    assert set(jobs) == set(job_ids(plan(TINY, repeat=2, matrix=False)))
    assert all(len(job["samples"]) == 2 for job in jobs.values() if not job["absent"])
    assert all(job["samples"] or job["absent"].startswith("not installed") for job in jobs.values())
    assert jobs["nodes/3"]["samples"][0]["ms_a_node"] > 0
    assert set(document) == {"version", "started_at", "machine", "sizes", "repeat", "rows", "jobs"}
    assert "3 nodes, until run_resumed" in capsys.readouterr().out
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.slow
def test_peers_that_are_missing_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = tmp_path / "python"  # the interpreter without what is installed beside it
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    options = BenchOptions(
        json_file=tmp_path / "bench.json", sizes=TINY, repeat=1, only="steps/*", peers_python=str(bare)
    )
    assert run_bench(options) == 0
    printed = capsys.readouterr().out
    assert printed.count("not installed (pip install 'attractor[bench]')") == sum(bool(p.needs) for p in PEERS.values())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_benchmark_leaves_nothing(tmp_path: Path, number: int) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    words = ["bench", "--only", "nodes/1000", "--repeat", "9", "--json", str(tmp_path / "bench.json")]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "harness", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert until(lambda: any(temporary.glob("attractor-bench-*/m*/logs/progress.ndjson")), 30)
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, "nothing was written" in output) == (130, True)
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "bench.json").exists()
