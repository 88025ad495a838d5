"""Runs whose CXDB is killed, forgets, or comes back later: nothing missing, nothing doubled, nothing mixed."""

import json
import os
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from attractor.app import resume_run
from attractor.app.peers import connect_cxdb, open_journal
from attractor.cli.main import attractor
from attractor.errors import CxdbUnreachable, RunDirectoryError
from attractor.processes import StopRequest
from attractor.rundir import EventLog, Layout, read_manifest
from harness.collect import collect_run
from harness.cxdb.embedded import EmbeddedCxdb
from harness.cxdb.errors import CxdbRefused
from harness.cxdb.reader import read_folder, read_turns
from harness.engines import default_engine
from harness.history import snapshot_problems
from harness.repos import Git
from tests.app.fan_outs import AB
from tests.app.runs import Ran, request, resume, run

GATE = "echo > ../../ready; read x < ../../go; true"


def during(repo: Path, action: object) -> threading.Thread:
    """Do something while stage `a` of a run waits (see GATE)."""
    for name in ("ready", "go"):
        os.mkfifo(repo.parent / name)

    def work() -> None:
        (repo.parent / "ready").read_text()
        action()  # type: ignore[operator]
        (repo.parent / "go").write_text("x\n")

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def event_seqs(ran: Ran, server: EmbeddedCxdb) -> list[int]:
    """Origins of the turns in the context final.json names, each once and in order, or the test fails."""
    turns = read_turns(server.http_base_url, ran.json("final.json")["cxdb_context_id"])
    origins = [(int(turn.data["event_seq"]), int(turn.data["event_part"])) for turn in turns]
    assert origins == sorted(set(origins))
    assert {turn.data["run_id"] for turn in turns} == {"r1"}
    return sorted({seq for seq, _ in origins})


def all_seqs(ran: Ran) -> list[int]:
    return [event["seq"] for event in ran.events()]


def test_a_server_that_restarts_empty_under_a_run_gets_all_of_it_in_a_new_context(
    repo: Path, server: EmbeddedCxdb, config: Path
) -> None:
    worker = during(repo, lambda: server.restart(forget=True))
    slow = " -> ".join(f"s{n}" for n in range(4))
    stages = "".join(f's{n} [shape=parallelogram, tool_command="sleep 0.2"] ' for n in range(4))
    ran = run(repo, f'a [tool_command="{GATE}"] {stages} start -> a -> {slow} -> exit', config=config, use_cxdb=True)
    worker.join()
    assert ran.status == "success"
    final = ran.json("final.json")
    assert final["cxdb_pending_turns"] == 0
    assert event_seqs(ran, server) == all_seqs(ran)
    assert ran.json("manifest.json")["cxdb"]["context_id"] == final["cxdb_context_id"]
    assert [e["context_id"] for e in ran.events("cxdb_recovered")] == [final["cxdb_context_id"]]


def test_nothing_follows_the_terminal_event_and_final_json_tells_of_the_outage(
    repo: Path, server: EmbeddedCxdb, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attractor.cxdb.journal.FINAL_WAIT_SECONDS", 0.2)
    worker = during(repo, server.kill)
    ran = run(repo, f'a [tool_command="{GATE}"] start -> a -> exit', config=config, use_cxdb=True)
    worker.join()
    assert ran.status == "success"
    assert ran.names()[-1] == "run_completed"
    final = ran.json("final.json")
    assert final["cxdb_pending_turns"] > 0
    assert "CXDB at" in final["cxdb_outage"]


def test_resuming_a_finished_run_ships_what_cxdb_lacks(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    worker = during(repo, server.kill)
    ran = run(repo, f'a [tool_command="{GATE}"] start -> a -> exit', config=config, use_cxdb=True)
    worker.join()
    before = ran.json("final.json")
    assert before["cxdb_pending_turns"] > 0
    away = resume(ran.root)
    assert away.result.already_finished
    assert ran.json("final.json") == before
    server.restart(forget=True)
    assert resume(ran.root).result.already_finished
    after = ran.json("final.json")
    assert (after["cxdb_pending_turns"], after["cxdb_outage"]) == (0, "")
    assert after | {key: before[key] for key in before if key.startswith("cxdb_")} == before
    assert event_seqs(ran, server) == all_seqs(ran)


@pytest.mark.parametrize("occupied", [False, True])
def test_a_resume_onto_a_context_that_is_another_runs_now_leaves_it_alone(
    repo: Path, server: EmbeddedCxdb, config: Path, occupied: bool
) -> None:
    ran = run(repo, 'a [tool_command="test -e ../../ok"] start -> a -> exit', config=config, use_cxdb=True)
    server.restart(forget=True)
    other = []
    if occupied:
        body = "a start -> a -> exit"
        second = run(repo, body, config=config, use_cxdb=True, run_id="r2", logs_root=Path("../logs2"))
        assert second.json("final.json")["cxdb_context_id"] == ran.json("final.json")["cxdb_context_id"]
        other = read_turns(server.http_base_url, second.json("final.json")["cxdb_context_id"])
    (repo.parent / "ok").touch()
    again = resume(ran.root)
    assert again.status == "success"
    assert event_seqs(again, server) == all_seqs(again)
    if occupied:
        assert read_turns(server.http_base_url, second.json("final.json")["cxdb_context_id"]) == other
        assert again.json("final.json")["cxdb_context_id"] != second.json("final.json")["cxdb_context_id"]


def crashed(repo: Path, config: Path, body: str) -> Ran:
    """A run as SIGKILL leaves it behind its last event: no final.json, no terminal event."""
    ran = run(repo, body, config=config, use_cxdb=True)
    (ran.root / "final.json").unlink()
    lines = (ran.root / "progress.ndjson").read_text().splitlines(keepends=True)
    (ran.root / "progress.ndjson").write_text("".join(lines[:-1]))
    return ran


def test_a_cxdb_that_is_away_does_not_make_a_crashed_run_a_failed_one(
    repo: Path, server: EmbeddedCxdb, config: Path
) -> None:
    ran = crashed(repo, config, "a start -> a -> exit")
    server.kill()
    with pytest.raises(CxdbUnreachable, match="no CXDB at"):
        resume(ran.root)
    assert not (ran.root / "final.json").exists()
    server.start()
    assert resume(ran.root).status == "success"


def test_what_outlived_a_crash_is_ended_before_anything_can_stop_the_resume(
    repo: Path, server: EmbeddedCxdb, config: Path
) -> None:
    import subprocess

    ran = crashed(repo, config, "a [tool_command=false] start -> a -> exit")
    token = ran.json("manifest.json")["token"]
    server.kill()
    with subprocess.Popen(["sleep", "300"], env={**os.environ, "ATTRACTOR_RUN_TOKEN": token}) as stage:
        with pytest.raises(CxdbUnreachable):
            resume(ran.root)
        assert stage.wait(timeout=10) != 0


def test_a_missing_final_json_is_made_also_without_cxdb(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    ran = run(repo, "a start -> a -> exit", config=config, use_cxdb=True)
    (ran.root / "final.json").unlink()
    server.kill()
    again = resume(ran.root)
    assert again.status == "success"
    assert ran.json("final.json")["cxdb_pending_turns"] > 0


def test_damage_is_recorded_with_the_commit_the_checkpoint_names(repo: Path) -> None:
    ran = run(repo, "a [tool_command=false] start -> a -> exit")
    (ran.root / "final.json").unlink()
    lines = (ran.root / "progress.ndjson").read_text().splitlines(keepends=True)
    (ran.root / "progress.ndjson").write_text("".join(lines[:-1]))
    text = (ran.root / "graph.dot").read_text().replace(" a ", " z ").replace("-> a", "-> z")
    (ran.root / "graph.dot").write_text(text)
    with pytest.raises(RunDirectoryError):
        resume_run(ran.root, environment=os.environ, stop=StopRequest())
    final = json.loads((ran.root / "final.json").read_text())
    assert (final["status"], final["final_git_commit_sha"]) == ("fail", ran.result.final.final_git_commit_sha)


__all__ = ["request"]


# --- branches ------------------------------------------------------------------------------------------------

FAN_OUT = """
  fan [shape=component] pick [shape=tripleoctagon] b [tool_command="echo b > b.txt"] start -> fan
  fan -> a -> pick fan -> b -> pick pick -> exit
"""


def branch_turns(ran: Ran, child: str, server: EmbeddedCxdb) -> tuple[list[str], list[int]]:
    """A branch's context: the types of what it was forked from, and the event numbers of its own turns."""
    told = {result["id"]: result for result in ran.json("fan/parallel_results.json")}[child]
    turns = read_turns(server.http_base_url, told["cxdb_context_id"])
    before = [turn.type_id.rpartition(".")[2] for turn in turns if turn.data["run_id"] == "r1"]
    own = [int(turn.data["event_seq"]) for turn in turns if turn.data["run_id"] == f"r1/fan+1+{child}"]
    assert own == sorted(own)
    assert len(before) + len(own) == len(turns)
    return before, own


def branch_seqs(ran: Ran, child: str) -> list[int]:
    lines = (ran.root / f"parallel.d/fan/1/{child}/progress.ndjson").read_text().splitlines()
    return [json.loads(line)["seq"] for line in lines]


def test_each_branch_has_a_context_forked_from_the_runs(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    ran = run(repo, 'a [tool_command="echo a > a.txt"]' + FAN_OUT, config=config, use_cxdb=True)
    assert ran.status == "success"
    for child in "ab":
        before, own = branch_turns(ran, child, server)
        assert before[:4] == ["RunStarted", "Event", "StageStarted", "StageFinished"]
        assert sorted(set(own)) == branch_seqs(ran, child)
    main = read_turns(server.http_base_url, ran.json("final.json")["cxdb_context_id"])
    assert {turn.data["run_id"] for turn in main} == {"r1"}, "a branch's turns are in its own context alone"


def test_a_server_that_restarts_empty_under_branches_gets_all_of_them(
    repo: Path, server: EmbeddedCxdb, config: Path
) -> None:
    gate = GATE.replace("../../", "../../../../../../")
    worker = during(repo, lambda: server.restart(forget=True))
    ran = run(repo, f'a [tool_command="{gate}"]' + FAN_OUT, config=config, use_cxdb=True)
    worker.join()
    assert ran.status == "success"
    _, own = branch_turns(ran, "a", server)
    assert sorted(set(own)) == branch_seqs(ran, "a")


def test_branches_begin_while_cxdb_is_away(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    worker = during(repo, server.kill)
    back = "echo > ../../../../../../ready2; read x < ../../../../../../go2; true"
    for name in ("ready2", "go2"):
        os.mkfifo(repo.parent / name)

    def restart() -> None:
        (repo.parent / "ready2").read_text()
        server.restart()
        (repo.parent / "go2").write_text("x\n")

    second = threading.Thread(target=restart)
    second.start()
    body = FAN_OUT.replace("start -> fan", f'first [tool_command="{GATE}"] start -> first -> fan')
    ran = run(repo, f'a [tool_command="{back}"]' + body, config=config, use_cxdb=True)
    worker.join()
    second.join()
    assert ran.status == "success"
    _, own = branch_turns(ran, "a", server)
    assert sorted(set(own)) == branch_seqs(ran, "a")


# --- the files of each commit ---

WRITES = 'a [tool_command="echo a > a.txt"] start -> a -> exit'


def wrongly_shown(ran: Ran, repo: Path, server: EmbeddedCxdb) -> list[str]:
    """What the harness's own eyes find wrong with the files that CXDB shows, of the run and its branches."""
    evidence = collect_run(
        name="run", logs_root=ran.root, engine=default_engine(), git=Git(repo), cxdb_url=server.http_base_url
    )
    runs = [evidence, *evidence.all_branches()]
    assert all(run.snapshots for run in runs)
    return [problem for run in runs for problem in snapshot_problems(run)]


def test_each_commit_of_a_run_and_its_branches_shows_its_files(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    ran = run(repo, AB, config=config, use_cxdb=True)
    assert ran.json("final.json")["cxdb_files_missing"] == ""
    assert wrongly_shown(ran, repo, server) == []
    for folder in (ran.root, *ran.root.glob("parallel.d/fan/1/*")):
        assert json.loads((folder / "cxdb_files.json").read_text())["complete"] is True


def test_a_run_that_is_to_do_without_keeps_its_files_to_itself(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    config.write_text(config.read_text().replace("}", ", snapshots: {enabled: false}}"))
    ran = run(repo, WRITES, config=config, use_cxdb=True)
    assert ran.json("final.json")["cxdb_files_missing"] == ""
    with pytest.raises(CxdbRefused, match="no fs snapshot"):
        read_folder(server.http_base_url, int(ran.json("final.json")["cxdb_head_turn_id"]), "")


def test_files_that_are_missing_at_the_end_are_told_and_follow(
    repo: Path, server: EmbeddedCxdb, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attractor.cxdb.tree_upload.MAX_BLOB_BYTES", 1)
    ran = run(repo, WRITES, config=config, use_cxdb=True)
    assert ran.status == "success"
    before = ran.json("final.json")
    assert before["cxdb_pending_turns"] == 0
    assert "CXDB takes none of over 1" in before["cxdb_files_missing"]
    flushed = CliRunner().invoke(attractor, ["cxdb", "flush", "--logs-root", str(ran.root)], standalone_mode=False)
    assert flushed.return_value == 1
    assert f"files_missing={before['cxdb_files_missing']}" in flushed.output
    checked = CliRunner().invoke(attractor, ["cxdb", "check", "--logs-root", str(ran.root)], standalone_mode=False)
    assert checked.return_value == 1
    assert f"files are missing: {before['cxdb_files_missing']}" in checked.output
    monkeypatch.undo()
    assert resume(ran.root).result.already_finished
    assert ran.json("final.json") == before | {"cxdb_files_missing": ""}
    assert wrongly_shown(ran, repo, server) == []


def test_a_branch_of_a_dead_life_gets_its_files_too(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    ran = run(repo, AB, config=config, use_cxdb=True)
    # As if the engine had been killed between the branch's end and the run's: nobody has seen to its files.
    (place,) = ran.root.glob("parallel.d/fan/1/a/cxdb_files.json")
    place.unlink()
    (ran.root / "final.json").write_text(json.dumps(ran.json("final.json") | {"cxdb_files_missing": "killed"}))
    assert resume(ran.root).result.already_finished
    assert json.loads(place.read_text())["complete"] is True
    assert ran.json("final.json")["cxdb_files_missing"] == ""


def test_branches_that_a_server_has_forgotten_are_told_again(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    worker = during(repo, lambda: server.restart(forget=True))
    body = AB.replace("pick -> exit", f'pick -> last -> exit last [shape=parallelogram, tool_command="{GATE}"]')
    assert body != AB
    ran = run(repo, body, config=config, use_cxdb=True)
    worker.join()
    final = ran.json("final.json")
    assert (final["cxdb_pending_turns"], final["cxdb_files_missing"]) == (0, "")
    assert wrongly_shown(ran, repo, server) == []
    checked = CliRunner().invoke(attractor, ["cxdb", "check", "--logs-root", str(ran.root)], standalone_mode=False)
    assert checked.return_value == 0, checked.output


def test_a_branch_that_was_killed_before_it_had_a_manifest_is_in_nobody_s_way(
    repo: Path, server: EmbeddedCxdb, config: Path
) -> None:
    ran = run(repo, AB, config=config, use_cxdb=True)
    (ran.root / "parallel.d/fan/1/a/manifest.json").unlink()
    (ran.root / "final.json").write_text(json.dumps(ran.json("final.json") | {"cxdb_files_missing": "killed"}))
    assert resume(ran.root).result.already_finished
    assert ran.json("final.json")["cxdb_files_missing"] == ""


def test_what_is_noted_of_a_context_does_not_hold_for_another_of_its_number(
    repo: Path, server: EmbeddedCxdb, config: Path
) -> None:
    ran = run(repo, WRITES, config=config, use_cxdb=True)
    layout = Layout(ran.root)
    assert layout.copies.exists()
    server.restart(forget=True)
    manifest = read_manifest(layout)
    assert manifest.cxdb is not None
    peer = connect_cxdb(manifest.cxdb.binary_addr, manifest.cxdb.http_base_url, "r1")
    events = EventLog(layout, "r1")
    journal = open_journal(manifest, peer, events, layout, None)
    assert journal.settle(5.0)[1] == 0
    journal.close()
    events.close()
    assert journal.context_id == manifest.cxdb.context_id
    assert not layout.copies.exists()
