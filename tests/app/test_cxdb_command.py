"""`attractor cxdb`: what a server has of a run, compared with what it must have."""

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from attractor.cli.main import attractor
from attractor.cxdb import CxdbConnection
from harness.cxdb.embedded import EmbeddedCxdb
from tests.app.fan_outs import AB
from tests.app.runs import Ran, run


@pytest.fixture
def ran(repo: Path, config: Path) -> Ran:
    """A run with two branches."""
    return run(repo, AB, config=config, use_cxdb=True)


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(attractor, ["cxdb", *map(str, words)], standalone_mode=False)


def test_a_whole_run_checks_out_with_its_branches(ran: Ran) -> None:
    done = call("check", "--logs-root", ran.root)
    assert done.return_value == 0, done.output
    assert [line.partition(":")[0] for line in done.output.splitlines()] == [
        "run",
        "parallel.d/fan/1/a",
        "parallel.d/fan/1/b",
    ]
    assert done.output.count("ok, ") == 3


def test_show_counts_turns_by_type(ran: Ran) -> None:
    of_run, *branches = json.loads(call("show", "--json", "--logs-root", ran.root).output)
    assert of_run["context_id"] == ran.json("final.json")["cxdb_context_id"]
    assert of_run["types"] == {
        "Artifact": 1,  # parallel_results.json
        "CheckpointSaved": 4,
        "Event": 11,
        "GitCheckpoint": 4,
        "RunCompleted": 1,
        "RunStarted": 1,
        "StageFinished": 4,
        "StageStarted": 4,
    }
    assert [branch["branch"] for branch in branches] == ["parallel.d/fan/1/a", "parallel.d/fan/1/b"]
    assert "run: context" in call("show", "--logs-root", ran.root).output


def test_tail_names_types_and_fields(ran: Ran) -> None:
    lines = call("tail", "-n", "2", "--logs-root", ran.root).output.splitlines()
    assert len(lines) == 2
    assert "  RunCompleted  " in lines[1]
    (last,) = call("tail", "-n", "1", "--json", "--logs-root", ran.root).output.splitlines()
    fields = json.loads(last)
    assert (fields["type"], fields["final_status"], fields["run_id"]) == ("RunCompleted", "success", "r1")


def test_tail_follows_to_the_end(ran: Ran) -> None:
    assert call("tail", "--follow", "--logs-root", ran.root).return_value == 0


def test_what_should_not_be_there_and_what_should_is_told(ran: Ran, server: EmbeddedCxdb) -> None:
    context = int(ran.json("final.json")["cxdb_context_id"])
    connection = CxdbConnection(server.binary_addr, client_tag="test")
    newest = connection.last_turns(context, 3)[-1]
    connection.append(context, newest.type_id.encode(), 2, newest.payload)
    connection.append(context, b"somebodys.Turn", 1, b"\x80")
    connection.barrier()
    connection.close()
    more = {"seq": 99, "ts": "2026-01-01T00:00:00.000000Z", "run_id": "r1", "event": "run_resumed"}
    with (ran.root / "progress.ndjson").open("a") as log:
        log.write(json.dumps(more) + "\n")
    done = call("check", "--logs-root", ran.root)
    assert done.return_value == 1
    said = done.output.splitlines()[0]
    assert "1 turns are missing, the first of event 99" in said
    assert "1 turns are there twice" in said
    assert "1 turns are not this run's" in said


def test_a_server_that_has_forgotten_is_told(ran: Ran, server: EmbeddedCxdb) -> None:
    server.restart(forget=True)
    done = call("check", "--logs-root", ran.root)
    assert done.return_value == 1
    assert "CXDB does not know context" in done.output


def test_flush_ships_what_is_pending_and_final_says_so(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    kills = f'a [tool_command="kill -9 {server.pid}"]'
    ran = run(repo, f"{kills} start -> a -> exit", config=config, use_cxdb=True)
    pending = ran.json("final.json")["cxdb_pending_turns"]
    assert pending > 0
    away = call("flush", "--logs-root", ran.root)
    assert (away.return_value, f"pending_turns={pending}" in away.output) == (1, True)
    server.restart()
    done = call("flush", "--logs-root", ran.root)
    assert (done.return_value, "pending_turns=0" in done.output) == (0, True)
    assert ran.json("final.json")["cxdb_pending_turns"] == 0
    assert call("check", "--logs-root", ran.root).return_value == 0


def test_a_run_without_cxdb_says_so(repo: Path) -> None:
    ran = run(repo, "start -> exit")
    for command in ("show", "check", "flush", "tail"):
        done = call(command, "--logs-root", ran.root)
        assert "was begun without CXDB" in str(done.exception)


def test_a_branch_is_shown_with_its_run_and_not_alone(ran: Ran) -> None:
    for command in ("show", "check", "flush", "tail"):
        done = call(command, "--logs-root", ran.root / "parallel.d/fan/1/a")
        assert f"is a part of the run in {ran.root}" in str(done.exception)


def test_a_run_must_be_named(tmp_path: Path) -> None:
    assert "name a run with --logs-root" in str(call("show").exception)
    assert "is not a run's directory" in str(call("show", "--logs-root", tmp_path).exception)


def test_a_run_that_somebody_is_at_work_on_is_not_flushed(repo: Path, config: Path) -> None:
    flush = f"{sys.executable} -m attractor cxdb flush --logs-root $ATTRACTOR_LOGS_ROOT > ../../said 2>&1; true"
    ran = run(repo, f'a [tool_command="{flush}"] start -> a -> exit', config=config, use_cxdb=True)
    assert ran.status == "success"
    assert f"process {os.getpid()}" in (repo.parent / "said").read_text()
