"""Runs brought back from CXDB and their branch, with their logs root gone: the same end as if nothing had been lost."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from attractor.app import plan_run, restore, restore_run, start_run
from attractor.errors import CxdbError, CxdbUnreachable, RunDirectoryError, UsageError, WorkspaceError
from attractor.processes import StopRequest
from attractor.rundir import EventLog, Layout, load_checkpoint
from harness.cxdb.embedded import EmbeddedCxdb
from tests.app.runs import Ran, request, resume, run

FAILS_ONCE = (
    'a [tool_command="echo a > a.txt; echo said"] b [tool_command="test -e ../../go && cat a.txt > b.txt"] '
    "start -> a -> b -> exit"
)
RESTARTS = """
  a [tool_command="echo a >> ../../../tries; echo a > a.txt"]
  b [tool_command="test $(wc -l < ../../../tries) -ge 3 || { echo 'connection refused' >&2; exit 1; }"]
  check [shape=diamond]
  start -> a -> b -> check
  check -> exit [condition="outcome=success"]
  check -> a [condition="outcome=fail", loop_restart=true]
"""
FAN_OUT = """
  before [tool_command="echo b > before.txt"]
  fan [shape=component] pick [shape=tripleoctagon]
  a [tool_command="echo a > a.txt"] b [tool_command="test -e ../../../../../../go && echo b > b.txt"]
  start -> before -> fan
  fan -> a -> pick -> exit
  fan -> b -> pick
"""


def lost(ran: Ran) -> Ran:
    """What was in the folder is gone; its events stay known."""
    ran.root.rename(ran.root.with_name("kept"))
    return ran


def back(
    server: EmbeddedCxdb, repo: Path, wanted: str = "r1", *, place: str = "again", repository: Path | None = None
) -> Path:
    restored = restore_run(
        wanted,
        repo.parent / place,
        repository=repository,
        binary_addr=server.binary_addr,
        http_base_url=server.http_base_url,
    )
    return restored.layout.root


def events_of(root: Path) -> list[bytes]:
    return (root / "progress.ndjson").read_bytes().splitlines()


def test_a_run_goes_on_behind_its_last_finished_node(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    ran = lost(run(repo, FAILS_ONCE, config=config, use_cxdb=True))
    assert ran.status == "fail"
    kept = repo.parent / "kept"
    root = back(server, repo)
    assert events_of(root) == events_of(kept)
    assert (root / "graph.dot").read_bytes() == (kept / "graph.dot").read_bytes()
    assert (root / "run_config.json").read_bytes() == (kept / "run_config.json").read_bytes()
    assert load_checkpoint(Layout(root)).context == load_checkpoint(Layout(kept)).context
    (repo.parent / "go").touch()
    again = resume(root)
    assert again.status == "success"
    # The node that failed had finished, as a failure; it is run again, and nothing before it.
    assert again.nodes() == ["start success", "a success", "b fail", "b success", "exit success"]
    assert again.commits(repo) == [node.replace(" ", " (") + ")" for node in again.nodes()]
    assert (root / "worktree" / "b.txt").read_text() == "a\n"
    final = again.json("final.json")
    assert final["cxdb_pending_turns"] == 0
    assert final["cxdb_context_id"] == again.json("manifest.json")["cxdb"]["context_id"]


def test_on_another_machine_with_a_clone_of_the_repository(
    repo: Path, server: EmbeddedCxdb, config: Path, git: object, tmp_path: Path
) -> None:
    ran = lost(run(repo, FAILS_ONCE, config=config, use_cxdb=True))
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--single-branch", "--branch=main", f"file://{repo}", str(clone))  # type: ignore[operator]
    with pytest.raises(WorkspaceError, match="does not have commit") as without:
        back(server, repo, place="there", repository=clone)
    assert "git fetch" in str(without.value.hint)
    assert not (repo.parent / "there").exists()
    branch = ran.result.run_branch
    git(clone, "fetch", "--quiet", "origin", f"{branch}:{branch}")  # type: ignore[operator]
    (repo.parent / "go").touch()
    root = back(server, repo, place="there", repository=clone)
    again = resume(root)
    assert again.status == "success"
    assert len(again.commits(clone)) == 5
    assert len(again.commits(repo)) == 3, "the first repository is another machine's"


def test_every_beginning_of_a_context_is_a_state_of_the_run(
    repo: Path, server: EmbeddedCxdb, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo.parent / "tries").touch()
    ran = lost(run(repo, RESTARTS.replace("../../../tries", str(repo.parent / "tries")), config=config, use_cxdb=True))
    assert ran.status == "success"
    kept = repo.parent / "kept"
    assert (kept / "restart-2").exists()
    turns = restore._all_turns(server.binary_addr, 1)
    finished = 0
    for count in range(1, len(turns) + 1):
        monkeypatch.setattr(restore, "_all_turns", lambda *_, n=count: turns[:n])
        root = back(server, repo, "1", place=f"again-{count}")
        events = [json.loads(line) for line in events_of(root)]
        steps = [event for event in events if event["event"] == "checkpoint_saved"]
        restarts = sum(event["event"] == "loop_restart" for event in events)
        state = load_checkpoint(Layout(root).restart(restarts))
        assert state.sequence == len(steps)
        assert state.restart_count == restarts
        assert events_of(root) == events_of(kept)[: len(events)]
        finished = len(steps)
        shutil.rmtree(root)
    assert finished == len(ran_nodes(kept))
    monkeypatch.undo()
    root = back(server, repo)
    mine, theirs = (load_checkpoint(Layout(place).restart(2)) for place in (root, kept))
    assert mine.context == theirs.context
    assert mine.restart_signatures == theirs.restart_signatures
    assert mine.node_outcomes == theirs.node_outcomes
    again = resume(root)
    assert again.result.already_finished
    assert again.json("final.json")["restart_count"] == 2


def ran_nodes(root: Path) -> list[str]:
    return [line for line in map(json.loads, events_of(root)) if line["event"] == "checkpoint_saved"]


def test_a_fan_out_that_was_at_work_begins_again_and_its_branches_make_room(
    repo: Path, server: EmbeddedCxdb, config: Path, git: object
) -> None:
    stop = StopRequest()

    def listen(events: EventLog) -> None:
        events.listen(
            lambda event, _: stop.request(signal.SIGTERM) if event["event"] == "parallel_branch_completed" else None
        )

    body = FAN_OUT.replace("test -e", "until test -e").replace("/go &&", "/go; do sleep 0.02; done;")
    plan = plan_run(request(repo, body, config=config, use_cxdb=True))
    ran = lost(Ran(start_run(plan, environment=os.environ, stop=stop, on_events=listen)))
    assert ran.status == "canceled"
    (repo.parent / "go").touch()
    root = back(server, repo)
    kept = git(repo, "for-each-ref", "--format=%(refname)", "refs/attractor/kept").splitlines()  # type: ignore[operator]
    assert [name.split("/")[-2] for name in kept] == ["a", "b"]
    again = resume(root)
    assert again.status == "success"
    assert again.nodes() == ["start success", "before success", "fan success", "pick success", "exit success"]


def test_what_is_too_large_for_the_context_comes_back_too(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    status = "{'outcome': 'success', 'context_updates': {'big': 'x' * 300000}}"
    script = f"import json, os; json.dump({status}, open(os.environ['ATTRACTOR_STATUS_FILE'], 'w'))"
    body = (
        f'a [tool_command="python3 -c \\"{script}\\""] '
        'b [tool_command="test -e ../../go && wc -c < $ATTRACTOR_LOGS_ROOT/artifacts/a-1-1-big.json > size.txt"] '
        "start -> a -> b -> exit"
    )
    ran = lost(run(repo, body, config=config, use_cxdb=True))
    assert ran.status == "fail"
    name = "artifacts/a-1-1-big.json"
    root = back(server, repo)
    assert (root / name).read_bytes() == (repo.parent / "kept" / name).read_bytes()
    (repo.parent / "go").touch()
    assert resume(root).status == "success"


def test_the_runs_own_folder_wins(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    ran = run(repo, FAILS_ONCE, config=config, use_cxdb=True)
    with pytest.raises(RunDirectoryError, match="still there") as refused:
        back(server, repo)
    assert f"--logs-root {ran.root}" in str(refused.value.hint)
    assert not (repo.parent / "again").exists()


def test_a_folder_that_holds_something_is_not_written_to(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    lost(run(repo, FAILS_ONCE, config=config, use_cxdb=True))
    (repo.parent / "again").mkdir()
    (repo.parent / "again" / "mine").touch()
    with pytest.raises(UsageError, match="not empty"):
        back(server, repo)
    assert [path.name for path in (repo.parent / "again").iterdir()] == ["mine"]


@pytest.mark.parametrize(("wanted", "why"), [("nobody", "knows no context"), ("999", "does not know context 999")])
def test_what_cxdb_does_not_know_cannot_come_back(repo: Path, server: EmbeddedCxdb, wanted: str, why: str) -> None:
    with pytest.raises(CxdbError, match=why):
        back(server, repo, wanted)


def test_a_branchs_context_is_no_run(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    (repo.parent / "go").touch()
    ran = lost(run(repo, FAN_OUT, config=config, use_cxdb=True))
    assert ran.status == "success"
    branch = repo.parent / "kept" / "parallel.d" / "fan" / "1" / "a" / "manifest.json"
    context = json.loads(branch.read_text())["cxdb"]["context_id"]
    root = back(server, repo, context)  # it begins with the turns of the run, up to the fan-out
    assert json.loads((root / "manifest.json").read_text())["run_id"] == "r1"


def test_a_removed_repository_is_named(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    lost(run(repo, FAILS_ONCE, config=config, use_cxdb=True))
    repo.rename(repo.with_name("elsewhere"))
    with pytest.raises(UsageError, match="is not there") as refused:
        back(server, repo)
    assert "--repo" in str(refused.value.hint)


def test_a_setup_command_with_a_secret_stays_without_it(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    config.write_text(config.read_text() + "setup: {commands: ['test -n --token=hidden']}\n")
    lost(run(repo, FAILS_ONCE, config=config, use_cxdb=True))
    assert b"hidden" not in b"".join(turn.payload for turn in restore._all_turns(server.binary_addr, 1))
    restored = restore_run(
        "r1",
        repo.parent / "again",
        repository=None,
        binary_addr=server.binary_addr,
        http_base_url=server.http_base_url,
    )
    assert any("setup command had a secret" in note for note in restored.notes)


def test_the_last_attempt_s_logs_come_back(repo: Path, server: EmbeddedCxdb, config: Path) -> None:
    works = "test $ATTRACTOR_ATTEMPT = 2 || { echo 'connection refused' >&2; exit 1; }"
    body = (
        f'a [max_retries=1, tool_command="seq 1 $((500 * ATTRACTOR_ATTEMPT)); {works}"] '
        'b [tool_command="echo brief; test -e ../../go"] start -> a -> b -> exit'
    )
    lost(run(repo, body, config=config, use_cxdb=True))
    kept = repo.parent / "kept"
    assert json.loads((kept / "final.json").read_text())["cxdb_files_missing"] == ""
    assert (kept / "a/attempts/1/stdout.log").stat().st_size < (kept / "a/stdout.log").stat().st_size
    root = back(server, repo)
    assert (root / "a/stdout.log").read_bytes() == (kept / "a/stdout.log").read_bytes()
    assert not (root / "b").exists(), "what it printed is in its events"


def test_what_could_not_be_brought_back_whole_is_not_there(
    repo: Path, server: EmbeddedCxdb, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost(run(repo, FAILS_ONCE, config=config, use_cxdb=True))

    def away(*_: object) -> None:
        raise CxdbUnreachable("no CXDB")

    monkeypatch.setattr("attractor.app.restore._write_artifacts", away)
    with pytest.raises(CxdbUnreachable):
        back(server, repo)
    monkeypatch.undo()
    assert (back(server, repo) / "manifest.json").exists()
