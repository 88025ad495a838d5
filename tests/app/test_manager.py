"""Manager nodes on real repositories: a child pipeline watched, steered, ended, taken over (spec 4.11)."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attractor.app.branches import telemetry
from attractor.engine.stage import prepare_stage_dir
from tests.app.runs import HEAD, Ran, killed_in_stage, resume, run
from tests.processes.living import living

Git = Callable[..., str]
NODE = """
  graph ["stack.child_dotfile"="child.dot"] boss [shape=house, "manager.poll_interval"="20ms"%s] start -> boss -> exit
"""


@pytest.fixture
def child(repo: Path, git: Git) -> Callable[[str], None]:
    """Puts a child pipeline into the repository."""

    def write(body: str) -> None:
        (repo / "child.dot").write_text(f"digraph child {{ {HEAD} {body} }}")
        git(repo, "add", "--all")
        git(repo, "commit", "--quiet", "--message", "child")

    return write


def manager(attributes: str = "") -> str:
    return NODE % (f", {attributes}" if attributes else "")


def context(ran: Ran) -> dict[str, Any]:
    return dict(ran.json("checkpoint.json")["context"])


def test_a_childs_work_is_taken_over_commit_by_commit(repo: Path, child: Callable[[str], None]) -> None:
    child('one [tool_command="echo 1 > one.txt"] two [tool_command="echo 2 > two.txt"] start -> one -> two -> exit')
    ran = run(repo, manager())
    assert ran.status == "success"
    assert ran.commits(repo) == [
        "start (success)", "start (success)", "one (success)", "two (success)", "exit (success)", "boss (success)",
        "exit (success)",
    ]  # fmt: skip
    assert (ran.result.worktree / "two.txt").read_text() == "2\n"
    seen = context(ran)
    assert (seen["stack.child.status"], seen["stack.child.outcome"], seen["stack.child.finished"]) == (
        "completed", "success", 4,
    )  # fmt: skip
    place = ran.root / "parallel.d/boss/1/child"
    assert Path(seen["stack.child.logs_root"]) == place
    assert (place / "graph.dot").read_bytes() == (repo / "child.dot").read_bytes()


def test_a_childs_failure_is_the_managers_with_its_class(repo: Path, child: Callable[[str], None]) -> None:
    child('one [timeout="200ms", tool_command="sleep 60"] start -> one -> exit')
    final = run(repo, manager()).json("final.json")
    assert (final["failed_node"], final["failure_class"]) == ("boss", "transient_infra")
    assert final["failure_reason"].startswith("boss: child failed: one: ")


def test_a_failed_child_is_tried_again_where_its_class_allows(repo: Path, child: Callable[[str], None]) -> None:
    child(f'one [timeout="300ms", tool_command="mkdir {repo.parent}/first && sleep 60; true"] start -> one -> exit')
    ran = run(repo, manager("max_retries=1"))
    assert ran.status == "success"
    assert sorted(path.name for path in (ran.root / "parallel.d/boss").iterdir()) == ["1", "1-2"]


def test_the_stop_condition_ends_the_child_and_keeps_what_it_finished(repo: Path, child: Callable[[str], None]) -> None:
    pids = repo.parent / "pids"
    child(f"""one [tool_command="echo 1 > one.txt"]
      two [tool_command="echo $$ > {pids}; sleep 600 & echo $! >> {pids}; wait"] start -> one -> two -> exit""")
    ran = run(repo, manager('"manager.stop_condition"="context.stack.child.active_node=two"'))
    assert ran.status == "success"
    assert (ran.result.worktree / "one.txt").exists()
    assert not pids.exists() or not living(pids)
    assert context(ran)["stack.child.status"] == "canceled"


def test_a_child_that_stalls_ends_with_the_cycles(repo: Path, child: Callable[[str], None]) -> None:
    child('one [tool_command="sleep 600"] start -> one -> exit')
    ran = run(repo, manager('"manager.max_cycles"=5'))
    final = ran.json("final.json")
    assert final["failure_reason"] == "boss: max cycles exceeded: the child pipeline was still at one after 5 cycles"
    assert [event["cycle"] for event in ran.events("child_observed")] == [1, 2, 3, 4, 5]


def test_the_managers_own_timeout_is_transient(repo: Path, child: Callable[[str], None]) -> None:
    child('one [tool_command="sleep 600"] start -> one -> exit')
    final = run(repo, manager('timeout="300ms"')).json("final.json")
    assert final["failure_class"] == "transient_infra"
    assert "ran out of time after 0.3 s" in final["failure_reason"]


def test_a_child_that_gets_nowhere_is_steered(repo: Path, child: Callable[[str], None]) -> None:
    wait = "while ! grep -q faster $ATTRACTOR_STAGE_DIR/steering.md; do sleep 0.01; done"
    child(f'one [tool_command="{wait}"] start -> one -> exit')
    actions = '"manager.actions"="observe,steer,wait", "manager.steer_cooldown"="1h", prompt="Go faster."'
    ran = run(repo, manager(actions))
    assert ran.status == "success"
    assert [event["active_node"] for event in ran.events("child_steered")] == ["one"]


def test_steering_reaches_the_next_prompt(repo: Path, child: Callable[[str], None]) -> None:
    child("""one [shape=box, max_retries=1, retry_initial_delay="1ms", prompt="Do it.",
      simulate="hang; success", timeout="400ms"] start -> one -> exit""")
    actions = '"manager.actions"="observe,steer,wait", prompt="Go faster."'
    ran = run(repo, manager(actions), simulate=True)
    assert ran.status == "success"
    assert "Go faster." in (ran.root / "parallel.d/boss/1/child/one/prompt.md").read_text()


def test_a_new_attempt_leaves_the_steering_that_is_being_written_where_it_is(tmp_path: Path) -> None:
    stage = tmp_path / "one"
    prepare_stage_dir(stage)
    names = ["steering.md", "steering.md.tmp", "stdout.log"]
    for name in names:
        (stage / name).write_text(name)
    prepare_stage_dir(stage)
    assert sorted(path.name for path in stage.iterdir()) == ["attempts", *names[:2]]


def test_a_child_that_takes_its_stage_folder_away_is_not_steered_and_goes_on(
    repo: Path, child: Callable[[str], None]
) -> None:
    away = "rm -rf $ATTRACTOR_STAGE_DIR; mkdir $ATTRACTOR_STAGE_DIR $ATTRACTOR_STAGE_DIR/steering.md; sleep 0.3"
    child(f'one [tool_command="{away}"] start -> one -> exit')
    actions = '"manager.actions"="observe,steer,wait", prompt="Go faster."'
    ran = run(repo, manager(actions))
    assert "steering" not in ran.json("final.json")["failure_reason"]
    assert not ran.events("child_steered")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("boss [shape=house] start -> boss -> exit", "neither the node nor the graph has stack.child_dotfile"),
        (manager().replace("child.dot", "missing.dot"), "cannot read the graph"),
        (manager('"stack.child_autostart"=false'), "nobody has started the child pipeline"),
        (manager('"stack.child_workdir"="nowhere"'), "is no folder of the worktree"),
        (manager('"stack.child_workdir"="../.."'), "is no folder of the worktree"),
    ],
)
def test_a_manager_without_a_usable_child_says_so(
    repo: Path, child: Callable[[str], None], body: str, reason: str
) -> None:
    child("one start -> one -> exit")
    assert reason in run(repo, body).json("final.json")["failure_reason"]


def test_a_child_graph_with_errors_fails_the_manager_with_them(repo: Path, child: Callable[[str], None]) -> None:
    child("one start -> one")
    assert "the graph has" in run(repo, manager()).json("final.json")["failure_reason"]


def test_a_child_works_in_its_folder(repo: Path, child: Callable[[str], None]) -> None:
    (repo / "sub").mkdir()
    (repo / "sub/here").write_text("x")
    child('one [tool_command="test -e here"] start -> one -> exit')
    assert run(repo, manager('"stack.child_workdir"="sub"')).status == "success"


def test_a_resumed_run_goes_on_with_its_child(repo: Path, child: Callable[[str], None], git: Git) -> None:
    child(f"""one [tool_command="echo 1 >> one.txt"]
      two [tool_command="test -e {repo.parent}/go || {{ echo up > {repo.parent}/ready; sleep 600; }}"]
      start -> one -> two -> exit""")
    body = manager() + ' last [tool_command="{command}"] start -> last'
    root = killed_in_stage(repo, "true", "true", body=body.replace("start -> last", "boss -> last -> exit"))
    (repo.parent / "go").touch()
    ran = resume(root)
    assert ran.status == "success"
    assert git(repo, "show", f"{ran.result.run_branch}:one.txt") == "1"
    lines = (root / "parallel.d/boss/1/child/progress.ndjson").read_text().splitlines()
    assert [event["event"] for event in map(json.loads, lines)].count("run_resumed") == 1


def test_telemetry_of_a_child_that_has_not_begun() -> None:
    assert telemetry([], datetime.now(UTC)).active_node == ""
