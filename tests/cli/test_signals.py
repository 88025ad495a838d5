"""Signals a run was told to ignore (nohup, background jobs of a script) do not end it."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.test_commands import Cli, cli, gate

__all__ = ["cli", "gate"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_that_was_ignored_when_the_run_began_stays_ignored(
    cli: Cli, gate: Path, number: signal.Signals
) -> None:
    go = gate.with_name("go")
    os.mkfifo(go)
    shell = f'trap "" {number.name.removeprefix("SIG")}; exec "$@"'
    graph = cli.graph(f"echo > {gate}; read x < {go}; true")
    argv = ["sh", "-c", shell, "sh", *cli.argv, "run", "--graph", graph, "--no-cxdb", "--logs-root", "../logs"]
    with subprocess.Popen(argv, cwd=cli.folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as engine:
        gate.read_text()
        engine.send_signal(number)
        go.write_text("x\n")
        assert engine.wait(timeout=30) == 0
    assert json.loads((cli.folder.parent / "logs" / "final.json").read_text())["status"] == "success"
