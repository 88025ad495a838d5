"""Resume: from every durable step the same end, and nothing lost where that is not possible (DESIGN 2.4)."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attractor.app import resume_run
from attractor.errors import AttractorError, RunDirectoryError, WorkspaceError
from attractor.processes import StopRequest
from tests.app.runs import Ran, killed_in_stage, resume, run

Git = Callable[..., str]
ROOT = Path(__file__).parents[2]

BODIES = {
    "linear": """
      a [tool_command="echo a > a.txt"] b [tool_command="cat a.txt a.txt > b.txt"] start -> a -> b -> exit
    """,
    "restart": """
      work [timeout="150ms", tool_command="echo try >> tries.txt; test -e $ATTRACTOR_LOGS_ROOT/restart-1 || sleep 60"]
      check [shape=diamond] start -> work -> check check -> exit [condition="outcome=success"]
      check -> work [condition="outcome=fail", loop_restart=true]
    """,
    "parallel": """
      fan [shape=component] pick [shape=tripleoctagon]
      a [tool_command="echo a >> a.txt"] b [tool_command="echo b >> b.txt"]
      b2 [tool_command="cat b.txt >> b2.txt"] start -> fan fan -> a -> pick fan -> b -> b2 -> pick pick -> exit
    """,
}


def live(repo: Path, command: str, nth: int) -> tuple[int, list[str]]:
    """One life in a process of its own; its exit status and the steps it reached."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.app.crashing", command, str(repo), str(nth)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode, done.stdout.split()


def outcome_of(repo: Path, git: Git) -> dict[str, object]:
    """What must be equal between a run that was disturbed and one that was not."""
    branch = "attractor/run/r1"
    root = repo.parent / "logs"
    events = [json.loads(line) for line in (root / "progress.ndjson").read_text().splitlines()]
    restarts = sorted(path.name for path in root.glob("restart-*"))
    checkpoint = json.loads((root / (restarts[-1] if restarts else "") / "checkpoint.json").read_text())
    finished = [f"{e['node_id']} {e['sequence']}" for e in events if e["event"] == "checkpoint_saved"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1)), "no gap, no tear"
    return {
        "tree": git(repo, "rev-parse", f"{branch}^{{tree}}"),
        "commits": git(repo, "log", "--reverse", "--format=%s", f"main..{branch}").splitlines(),
        "merges": git(repo, "rev-list", "--merges", "--count", branch),
        "finished": finished,
        "completed": checkpoint["completed_nodes"],
        "begun": [e["seq"] for e in events if e["event"] == "run_started"],
        "terminal": [e["event"] for e in events if e["event"] in ("run_completed", "run_failed", "run_canceled")],
        "status": json.loads((root / "final.json").read_text())["status"],
        "restarts": restarts,
        "checkout": git(repo, "status", "--porcelain"),
        "worktree": git(root / "worktree", "status", "--porcelain"),
    }


@pytest.mark.spec("11.7.5", "11.12.17")
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", BODIES)
def test_killed_at_any_step_a_run_resumes_to_what_an_undisturbed_one_is(
    name: str, repo: Path, tmp_path: Path, git: Git
) -> None:
    twin = tmp_path / "twin" / "repo"
    twin.parent.mkdir()
    git(tmp_path, "clone", "--quiet", str(repo), str(twin))
    (twin.parent / "body.dot").write_text(BODIES[name])
    _, steps = live(twin, "run", 0)
    expected = outcome_of(twin, git)
    assert expected["status"] == "success"
    wrong = {}
    for nth in range(1, len(steps) + 1):
        case = tmp_path / f"kill-{nth}" / "repo"
        case.parent.mkdir()
        git(tmp_path, "clone", "--quiet", str(repo), str(case))
        (case.parent / "body.dot").write_text(BODIES[name])
        code, _ = live(case, "run", nth)
        assert code == -9, "the kill must have happened"
        live(case, "resume", 0)
        found = outcome_of(case, git)
        if found != expected:
            wrong[f"{nth} {steps[nth - 1]}"] = {key: found[key] for key in expected if found[key] != expected[key]}
    assert wrong == {}
    assert len(steps) > 15


@pytest.mark.slow
def test_killed_during_resume_and_resumed_again(repo: Path, tmp_path: Path, git: Git) -> None:
    (tmp_path / "body.dot").write_text(BODIES["linear"])
    live(repo, "run", 9)
    live(repo, "resume", 1)
    for nth in range(2, 30):
        code, _ = live(repo, "resume", nth)
        if code == 0:
            break
    found = outcome_of(repo, git)
    assert found["status"] == "success"
    assert found["completed"] == ["start", "a", "b", "exit"]
    assert len(found["commits"]) == 4  # type: ignore[arg-type]


def test_a_run_that_succeeded_is_left_as_it_is(repo: Path) -> None:
    ran = run(repo, "a start -> a -> exit")
    owner = ("run.lock", "run.pid")
    before = {p: p.read_bytes() for p in ran.root.rglob("*") if p.is_file() and p.name not in owner}
    again = resume(ran.root)
    assert again.result.already_finished
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.spec("11.7.5")
def test_a_run_that_failed_begins_again_with_the_node_that_failed(repo: Path) -> None:
    ran = run(repo, 'a [tool_command="echo x >> runs.txt"] b [tool_command="test -e ../../ok"] start -> a -> b -> exit')
    assert ran.status == "fail"
    assert resume(ran.root).status == "fail", "the cause is still there"
    (repo.parent / "ok").touch()
    again = resume(ran.root)
    assert again.status == "success"
    assert (again.result.worktree / "runs.txt").read_text() == "x\n", "what had finished did not run again"
    assert again.commits(repo) == [
        "start (success)", "a (success)", "b (fail)", "b (fail)", "b (success)", "exit (success)",
    ]  # fmt: skip
    assert (ran.root / "final.0.json").exists()


@pytest.mark.spec("11.4.1")
def test_retries_visits_and_gates_survive(repo: Path) -> None:
    body = """
      graph [max_node_visits=2]
      a [goal_gate=true, tool_command="test -e ../../ok"] b [tool_command="test -e ../../ok"]
      start -> a a -> b [condition="outcome=fail"] a -> exit b -> exit
    """
    ran = run(repo, body)
    assert ran.status == "fail"
    (repo.parent / "ok").touch()
    again = resume(ran.root)
    assert "goal gate a is unsatisfied" in again.json("final.json")["failure_reason"], "b alone does not open the exit"


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version": 1', b"\x00" * 100])
def test_a_damaged_checkpoint_is_refused_and_nothing_is_lost(repo: Path, git: Git, content: bytes) -> None:
    ran = run(repo, "a [tool_command=false] start -> a -> exit")
    good = (ran.root / "checkpoint.json").read_bytes()
    tip = git(repo, "rev-parse", ran.result.run_branch)
    (ran.root / "checkpoint.json").write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"checkpoint is damaged.*checkpoint\.json"):
        resume(ran.root)
    assert (ran.root / "checkpoint.json").read_bytes() == content
    assert git(repo, "rev-parse", ran.result.run_branch) == tip
    (ran.root / "checkpoint.json").write_bytes(good)
    assert resume(ran.root).status == "fail"


def test_a_bootstrap_that_fails_leaves_a_final_json_that_says_so(repo: Path) -> None:
    ran = run(repo, "a [tool_command=false] start -> a -> exit")
    (ran.root / "final.json").unlink()
    lines = (ran.root / "progress.ndjson").read_text().splitlines(keepends=True)
    (ran.root / "progress.ndjson").write_text("".join(lines[:-1]))
    (ran.root / "checkpoint.json").write_text("{")
    with pytest.raises(RunDirectoryError):
        resume(ran.root)
    final = ran.json("final.json")
    assert final["status"] == "fail"
    assert "checkpoint is damaged" in final["failure_reason"]


def test_a_branch_that_somebody_moved_is_not_reset(repo: Path, git: Git) -> None:
    ran = run(repo, "a [tool_command=false] start -> a -> exit")
    git(ran.result.worktree, "commit", "--quiet", "--allow-empty", "--message", "mine")
    git(ran.result.worktree, "update-ref", f"refs/heads/{ran.result.run_branch}", "HEAD")
    with pytest.raises(WorkspaceError, match="was moved since the run stopped"):
        resume(ran.root)


def test_a_changed_graph_is_noticed(repo: Path) -> None:
    ran = run(repo, "a [tool_command=false] start -> a -> exit")
    text = (ran.root / "graph.dot").read_text().replace(" a ", " z ").replace("-> a", "-> z")
    (ran.root / "graph.dot").write_text(text)
    with pytest.raises(RunDirectoryError, match=r"names node 'a', which graph.dot does not have"):
        resume(ran.root)


@pytest.mark.parametrize("name", ["manifest.json", "graph.dot"])
def test_a_missing_part_is_named(repo: Path, name: str) -> None:
    ran = run(repo, "a [tool_command=false] start -> a -> exit")
    (ran.root / name).unlink()
    with pytest.raises(AttractorError, match=r"manifest\.json|graph\.dot"):
        resume(ran.root)


def test_a_moved_run_directory_is_noticed(repo: Path, tmp_path: Path) -> None:
    ran = run(repo, "a [tool_command=false] start -> a -> exit")
    ran.root.rename(tmp_path / "elsewhere")
    with pytest.raises(RunDirectoryError, match="was moved"):
        resume_run(tmp_path / "elsewhere", environment=os.environ, stop=StopRequest())


def test_two_resumes_at_once_have_one_winner(repo: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ready")
    (tmp_path / "body.dot").write_text(f'a [tool_command="echo > {tmp_path}/ready; sleep 300"] start -> a -> exit')
    argv = [sys.executable, "-m", "tests.app.crashing", "run", str(repo), "0"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL) as engine:
        (tmp_path / "ready").read_text()
        with pytest.raises(RunDirectoryError, match=f"in use by process {engine.pid}"):
            resume(tmp_path / "logs")
        engine.kill()
    copy = tmp_path / "logs" / "graph.dot"
    copy.write_text(copy.read_text().replace(f"echo > {tmp_path}/ready; sleep 300", "true"))
    assert Ran(resume(tmp_path / "logs").result).status == "success"


def test_a_stage_that_wiped_its_environment_does_not_write_into_the_resumed_run(repo: Path) -> None:
    # The engine notes the leader just after starting it: the stage announces itself once that has happened. The
    # writer's own bound is for a failing test: nothing else would end it then.
    noted = "until [ -s $ATTRACTOR_LOGS_ROOT/stage.pid ]; do sleep 0.01; done"
    writer = "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo x >> stray.txt; sleep 0.02; done"
    wiped = f"{noted}; echo > {{ready}}; exec env -i PATH=/usr/bin:/bin sh -c '{writer}'"
    ran = resume(killed_in_stage(repo, wiped, "sleep 0.3"))
    assert ran.status == "success"
    assert not (ran.result.worktree / "stray.txt").exists()
