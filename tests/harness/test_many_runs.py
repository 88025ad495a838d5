"""Many engines at once on one CXDB, all in a stage at the same time, cut off together: every history is its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.audit import audit_run
from harness.collect import collect_run
from harness.cxdb.embedded import EmbeddedCxdb
from harness.engines import default_engine
from harness.link.proxy import LinkProxy
from harness.processes import until
from harness.repos import make_repository
from harness.results import Verdict
from harness.scenario import RepoSpec

RUNS = 100  # half a minute on two cores
SECONDS = 60.0
GRAPH = """digraph g {
  start [shape=Mdiamond]
  one   [shape=parallelogram, tool_command="read x < FIFO; true"]
  two   [shape=parallelogram, tool_command="true"]
  exit  [shape=Msquare]
  start -> one -> two -> exit
}
"""


@pytest.mark.slow
def test_runs_beside_one_another_on_one_cxdb_keep_their_histories_apart(tmp_path: Path) -> None:
    engine = default_engine()
    go = tmp_path / "go"
    os.mkfifo(go)
    (tmp_path / "graph.dot").write_text(GRAPH.replace("FIFO", str(go)))
    git = make_repository(tmp_path / "repo", RepoSpec())
    roots = [tmp_path / "logs" / f"r{number}" for number in range(RUNS)]
    with (
        EmbeddedCxdb(tmp_path / "cxdb") as server,
        LinkProxy(server.binary_addr, server.http_base_url) as link,
    ):
        config = tmp_path / "config.json"
        config.write_text(json.dumps(engine.run_config(tmp_path / "repo", link.addresses, {})))
        engines = [start(tmp_path, root) for root in roots]
        try:
            assert until(lambda: all(in_stage(root / "progress.ndjson") for root in roots), SECONDS)
            assert link.cut() >= RUNS  # for its turns each has one, and another for its commits' files
            with go.open("wb", buffering=0) as line_by_line:  # open until the last has come for its line
                line_by_line.write(b"\n" * RUNS)
                assert [process.wait(SECONDS) for process in engines] == [0] * RUNS
        finally:
            for process in engines:
                process.kill()
                process.wait()
        at = {"cxdb_url": server.http_base_url, "cxdb_address": server.binary_addr}
        found = [collect_run(name=r.name, logs_root=r, engine=engine, git=git, **at) for r in roots]
    contexts = {json.loads((root / "final.json").read_text())["cxdb_context_id"] for root in roots}
    assert len(contexts) == RUNS
    checks = [(run.name, check) for run in found for check in audit_run(run)]
    assert [(name, check.summary) for name, check in checks if check.verdict is not Verdict.GREEN] == []


def start(folder: Path, root: Path) -> subprocess.Popen[bytes]:
    engine = default_engine()
    words = ["--graph", folder / "graph.dot", "--config", folder / "config.json"]
    return subprocess.Popen(
        [*engine.command, "run", *map(str, words), "--run-id", root.name, "--logs-root", str(root), "--quiet"],
        cwd=folder / "repo",
        env={**os.environ, **engine.environment, "HOME": str(folder), "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
    )


def in_stage(progress: Path) -> bool:
    return progress.exists() and b'"stage_attempt_start","node_id":"one"' in progress.read_bytes()
