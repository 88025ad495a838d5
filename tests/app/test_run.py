"""Whole runs: lifecycle, routing, retries, gates, restarts, and the files they leave (spec 3, DESIGN 2)."""

import json
import os
import signal
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from attractor.app import plan_run, start_run
from attractor.errors import AttractorError, GraphError, RunDirectoryError, UsageError, WorkspaceError
from attractor.processes import StopRequest
from tests.app.runs import Ran, request, run

TWICE = 'test -e "$ATTRACTOR_LOGS_ROOT/../{0}" || {{ touch "$ATTRACTOR_LOGS_ROOT/../{0}"; {1}; }}'


def first_time(action: str, mark: str = "mark") -> str:
    """A command that does `action` the first time it runs, and nothing after."""
    return TWICE.format(mark, action).replace("\\", "\\\\").replace('"', '\\"')


@pytest.mark.spec("11.3.6", "11.3.7", "11.6.1", "11.6.2", "11.12.1", "11.12.7")
def test_a_linear_run_commits_each_node_and_succeeds(repo: Path) -> None:
    ran = run(repo, 'a [tool_command="echo a > a.txt"] b [tool_command="cat a.txt > b.txt"] start -> a -> b -> exit')
    assert ran.status == "success"
    assert ran.commits(repo) == ["start (success)", "a (success)", "b (success)", "exit (success)"]
    assert (ran.result.worktree / "b.txt").read_text() == "a\n"
    assert ran.names()[0] == "run_started"
    assert ran.names()[-1] == "run_completed"
    assert [event["seq"] for event in ran.events()] == list(range(1, len(ran.events()) + 1))


@pytest.mark.spec("11.3.4")
def test_the_run_directory_holds_what_the_contract_lists(repo: Path) -> None:
    ran = run(repo, "a start -> a -> exit", labels={"team": "x"})
    names = {path.name for path in ran.root.iterdir()}
    contract = "manifest.json graph.dot run_config.json preflight_report.json run.pid progress.ndjson live.json"
    assert set(contract.split()) | {"checkpoint.json", "final.json", "a", "worktree"} <= names
    manifest = ran.json("manifest.json")
    assert (manifest["run_id"], manifest["run_branch"], manifest["labels"]) == (
        "r1",
        "attractor/run/r1",
        {"team": "x"},
    )
    assert ran.json("final.json")["final_git_commit_sha"] == ran.json("checkpoint.json")["git_commit_sha"]
    assert ran.json("live.json")["event"] == "run_completed"
    assert (ran.root / "run.pid").read_text() == f"{os.getpid()}\n"
    assert json.loads((ran.root / "a" / "status.json").read_text())["outcome"] == "success"


def test_run_directories_are_private(repo: Path) -> None:
    ran = run(repo, "a start -> a -> exit")
    for path in (ran.root, ran.root / "a"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for name in ("progress.ndjson", "checkpoint.json", "a/stdout.log", "manifest.json"):
        assert stat.S_IMODE((ran.root / name).stat().st_mode) == 0o600


@pytest.mark.spec("11.6.8")
def test_a_plain_failure_ends_the_run_at_once_with_class_and_reason(repo: Path) -> None:
    ran = run(repo, 'a [tool_command="echo broken >&2; exit 3", max_retries=4] b start -> a -> b -> exit')
    final = ran.json("final.json")
    assert (final["status"], final["failure_class"], final["failed_node"]) == ("fail", "deterministic", "a")
    assert final["failure_reason"] == "a: tool_command ended with exit status 3: broken"
    assert ran.commits(repo) == ["start (success)", "a (fail)"]
    assert len(ran.events("stage_attempt_start")) == 2
    assert [event["failure_class"] for event in ran.events("stage_retry_blocked")] == ["deterministic"]


def test_a_failure_before_the_exit_is_not_a_success(repo: Path) -> None:
    assert run(repo, "a [tool_command=false] start -> a -> exit").status == "fail"


@pytest.mark.spec("11.5.1")
def test_a_timeout_is_retried_with_backoff_and_then_succeeds(repo: Path) -> None:
    ran = run(repo, f'a [timeout="300ms", max_retries=2, tool_command="{first_time("sleep 60")}"] start -> a -> exit')
    assert ran.status == "success"
    ends = [event for event in ran.events("stage_attempt_end") if event["node_id"] == "a"]
    assert [(end["status"], end.get("failure_class"), end["will_retry"]) for end in ends] == [
        ("fail", "transient_infra", True),
        ("success", None, False),
    ]
    assert [event["delay_ms"] for event in ran.events("stage_retry_sleep")] == [1]
    assert ran.commits(repo) == ["start (success)", "a (success)", "exit (success)"]
    assert (ran.root / "a" / "attempts" / "1" / "status.json").exists(), "an earlier attempt's files are kept"


@pytest.mark.spec("11.9.4", "11.12.8")
def test_a_failing_stage_is_routed_by_its_fail_edge(repo: Path) -> None:
    body = 'a [tool_command=false] mend start -> a a -> exit a -> mend [condition="outcome=fail"] mend -> exit'
    ran = run(repo, body)
    assert ran.status == "success"
    assert ran.nodes() == ["start success", "a fail", "mend success", "exit success"]


@pytest.mark.spec("11.6.5", "11.9.2", "11.12.8")
def test_a_conditional_node_passes_the_outcome_on(repo: Path) -> None:
    body = """
      check [tool_command="test -e fixed"] fix [tool_command="touch fixed"] gate [shape=diamond]
      start -> check -> gate
      gate -> exit [condition="outcome=success"]
      gate -> fix [condition="outcome!=success"]
      fix -> check
    """
    ran = run(repo, body)
    assert ran.status == "success"
    assert ran.nodes() == [
        "start success",
        "check fail",
        "gate fail",
        "fix success",
        "check success",
        "gate success",
        "exit success",
    ]


def test_a_failure_that_no_gate_edge_wants_fails_the_run_and_names_the_stage(repo: Path) -> None:
    body = 'a [tool_command=false] g [shape=diamond] start -> a -> g g -> exit [condition="outcome=success"]'
    final = run(repo, body).json("final.json")
    assert (final["status"], final["failed_node"]) == ("fail", "a")


@pytest.mark.spec("11.3.8", "11.4.1", "11.4.3", "11.12.10")
def test_a_goal_gate_sends_the_run_back_until_it_is_met(repo: Path) -> None:
    body = """
      a [goal_gate=true, retry_target=fix, tool_command="test -e fixed"] fix [tool_command="touch fixed"] b
      start -> a -> b -> exit  a -> b [condition="outcome=fail"]  fix -> a
    """
    ran = run(repo, body)
    assert ran.status == "success"
    assert ran.nodes() == [
        "start success", "a fail", "b success", "fix success", "a success", "b success", "exit success",
    ]  # fmt: skip
    assert "goal_gate" in [event["rule"] for event in ran.events("edge_selected")]


@pytest.mark.spec("11.3.8", "11.4.4", "11.12.10")
def test_an_unmet_goal_gate_without_a_way_back_fails_the_run(repo: Path) -> None:
    body = 'a [goal_gate=true, tool_command=false] b start -> a a -> b [condition="outcome=fail"] b -> exit'
    final = run(repo, body).json("final.json")
    assert final["status"] == "fail"
    assert "goal gate a is unsatisfied" in final["failure_reason"]


def test_max_node_visits_ends_a_circle(repo: Path) -> None:
    ran = run(repo, "graph [max_node_visits=3] a b start -> a -> b -> a a -> exit [weight=-1]")
    assert "a was visited 3 times (max_node_visits=3)" in ran.json("final.json")["failure_reason"]
    assert ran.nodes().count("a success") == 3


def test_a_success_with_nowhere_to_go_ends_the_run_well(repo: Path) -> None:
    body = 'a b start -> a a -> exit [condition="outcome=fail"] a -> b [condition="context.x=1"] b -> exit'
    assert run(repo, body).status == "success"


@pytest.mark.spec("11.6.8", "11.9.6")
def test_tool_output_and_exit_code_reach_the_context_and_conditions(repo: Path) -> None:
    body = """
      a [tool_command="printf ready"] b c start -> a
      a -> b [condition="context.tool.output=ready"] a -> c b -> exit c -> exit
    """
    assert "b success" in run(repo, body).nodes()


@pytest.mark.spec("11.7.2", "11.7.3")
def test_a_stages_status_file_routes_and_updates_the_context(repo: Path) -> None:
    command = (
        'echo \'{\\"outcome\\":\\"success\\",\\"preferred_label\\":\\"fix\\",'
        '\\"context_updates\\":{\\"color\\":\\"red\\"}}\' > $ATTRACTOR_STATUS_FILE'
    )
    body = f"""
      a [tool_command="{command}"] b c start -> a
      a -> b [weight=9] a -> c [label="[F] Fix"] b -> exit
      c -> exit [condition="context.color=red"]
    """
    ran = run(repo, body)
    assert ran.nodes() == ["start success", "a success", "c success", "exit success"]
    assert ran.json("checkpoint.json")["context"]["color"] == "red"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"outcome":"maybe"}', '{"outcome":"success","extra":1}'])
def test_a_status_file_that_cannot_be_used_fails_the_stage_by_name(repo: Path, content: str) -> None:
    text = content.replace('"', '\\"')
    ran = run(repo, f"a [tool_command=\"printf '%s' '{text}' > $ATTRACTOR_STATUS_FILE\"] start -> a -> exit")
    reason = ran.json("final.json")["failure_reason"]
    assert ran.status == "fail"
    assert "status.json cannot be used" in reason


def test_a_stage_that_asks_for_retry_for_ever_fails_or_is_partially_accepted(repo: Path) -> None:
    command = 'echo \'{\\"outcome\\":\\"retry\\"}\' > $ATTRACTOR_STATUS_FILE'
    ran = run(repo, f'a [max_retries=1, allow_partial=true, tool_command="{command}"] start -> a -> exit')
    assert ran.nodes() == ["start success", "a partial_success", "exit success"]
    second = run(
        repo, f'a [max_retries=1, tool_command="{command}"] start -> a -> exit', run_id="r2", logs_root=Path("../l2")
    )
    assert "max retries exceeded" in second.json("final.json")["failure_reason"]


def test_stages_see_their_run_in_the_environment_and_no_git_variables(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    ran = run(repo, 'a [tool_command="env; pwd"] start -> a -> exit')
    lines = (ran.root / "a" / "stdout.log").read_text().splitlines()
    for line in (
        "ATTRACTOR_RUN_ID=r1",
        "ATTRACTOR_NODE_ID=a",
        "ATTRACTOR_ATTEMPT=1",
        f"ATTRACTOR_LOGS_ROOT={ran.root}",
        f"ATTRACTOR_STAGE_DIR={ran.root / 'a'}",
        f"ATTRACTOR_WORKTREE={ran.root / 'worktree'}",
    ):
        assert line in lines
    assert lines[-1] == str(ran.root / "worktree")
    assert not [line for line in lines if line.startswith(("GIT_DIR=", "GIT_INDEX_FILE="))]


def test_a_transient_loop_restarts_and_then_succeeds(repo: Path) -> None:
    body = f"""
      work [timeout="300ms", tool_command="{first_time("sleep 60")}"] check [shape=diamond]
      start -> work -> check
      check -> exit [condition="outcome=success"]
      check -> work [condition="outcome=fail", loop_restart=true]
    """
    ran = run(repo, body)
    assert ran.status == "success"
    assert (ran.root / "restart-1" / "final.json").read_text() == (ran.root / "final.json").read_text()
    checkpoint = json.loads((ran.root / "restart-1" / "checkpoint.json").read_text())
    assert checkpoint["completed_nodes"] == ["work", "check", "exit"]
    assert (checkpoint["restart_count"], checkpoint["base_logs_root"]) == (1, str(ran.root))
    assert len(ran.commits(repo)) == 6
    assert [event["seq"] for event in ran.events()] == list(range(1, len(ran.events()) + 1))
    assert (ran.root / "restart-1" / "work" / "status.json").exists()


def test_a_loop_that_never_recovers_meets_the_circuit_breaker(repo: Path) -> None:
    body = """
      graph [loop_restart_signature_limit=2]
      work [timeout="200ms", tool_command="sleep 60"] check [shape=diamond] start -> work -> check
      check -> exit [condition="outcome=success"] check -> work [condition="outcome=fail", loop_restart=true]
    """
    ran = run(repo, body)
    assert ran.status == "fail"
    assert [event["count"] for event in ran.events("loop_restart_signature")] == [1, 2]
    assert len(ran.events("loop_restart_circuit_breaker")) == 1
    assert len(ran.events("loop_restart")) == 1
    assert (ran.root / "restart-1" / "final.json").exists()
    assert not (ran.root / "restart-2").exists()


def test_max_restarts_ends_a_loop_whose_failures_differ(repo: Path) -> None:
    counter = '\\"$ATTRACTOR_LOGS_ROOT/../n\\"'
    count = f"n=$(cat {counter} 2>/dev/null)x; echo $n > {counter}; echo $n > moved"
    words = f"{count}; echo connection refused by $n >&2; exit 1"
    body = f"""
      graph [max_restarts=2]
      work [tool_command="{words}"] start -> work
      work -> exit [condition="outcome=success"] work -> work [condition="outcome=fail", loop_restart=true]
    """
    ran = run(repo, body)
    assert "max_restarts=2" in ran.json("final.json")["failure_reason"]
    assert [event["restart_count"] for event in ran.events("loop_restart")] == [1, 2]


def test_a_deterministic_failure_never_restarts(repo: Path) -> None:
    body = """
      work [tool_command=false] start -> work
      work -> exit [condition="outcome=success"] work -> work [condition="outcome=fail", loop_restart=true]
    """
    ran = run(repo, body)
    assert len(ran.events("loop_restart_blocked")) == 1
    assert ran.events("loop_restart") == []
    assert not (ran.root / "restart-1").exists()
    assert ran.json("final.json")["failure_class"] == "deterministic"


def test_a_stop_request_cancels_the_stage_and_the_run(repo: Path) -> None:
    stop = StopRequest()
    os.mkfifo(repo.parent / "ready")

    def ask() -> None:
        (repo.parent / "ready").read_text()
        stop.request(signal.SIGTERM)

    asker = threading.Thread(target=ask)
    asker.start()
    ran = run(repo, f'a [tool_command="echo > {repo.parent}/ready; sleep 300"] start -> a -> exit', stop=stop)
    asker.join()
    assert ran.status == "canceled"
    assert ran.names()[-1] == "run_canceled"
    assert ran.commits(repo) == ["start (success)"]
    assert ran.json("final.json")["failure_reason"] == "canceled by SIGTERM"


def test_setup_commands_run_first_and_their_failure_ends_the_run_in_order(repo: Path) -> None:
    config = repo.parent / "run.yaml"
    config.write_text('setup: {commands: ["echo made > made.txt"]}\n')
    ran = run(repo, 'a [tool_command="cat made.txt"] start -> a -> exit', config=config)
    assert ran.status == "success"
    config.write_text('setup: {commands: ["true", "echo no >&2; exit 7"]}\n')
    failed = run(repo, "a start -> a -> exit", config=config, run_id="r2", logs_root=Path("../l2"))
    assert failed.names() == ["run_started", "preflight_passed", "setup_command", "setup_command", "run_failed"]
    assert "setup command 2 ended with exit status 7: echo no >&2; exit 7: no" in failed.result.final.failure_reason


def test_without_git_stages_run_in_the_folder_and_nothing_is_committed(repo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    ran = run(repo, 'a [tool_command="echo x > made"] start -> a -> exit', use_git=False, workdir=folder)
    assert ran.status == "success"
    assert (folder / "made").read_text() == "x\n"
    assert ran.json("final.json")["final_git_commit_sha"] == ""


def test_relative_paths_count_from_the_callers_folder(repo: Path) -> None:
    asked = replace(request(repo, "a start -> a -> exit"), graph=Path("../graph.dot"), logs_root=Path("../deep/logs"))
    ran = Ran(start_run(plan_run(asked), environment=os.environ, stop=StopRequest()))
    assert ran.root == repo.parent / "deep" / "logs"
    assert Path(ran.json("manifest.json")["logs_root"]).is_absolute()


def test_a_node_without_a_handler_is_refused_with_its_place(repo: Path) -> None:
    with pytest.raises(GraphError, match=r"graph\.dot:5:1: node b needs the handler 'somebodys\.own'"):
        plan_run(request(repo, 'a start -> a -> exit\nb [type="somebodys.own"] a -> b -> exit'))


def test_a_used_run_id_and_a_used_folder_are_refused(repo: Path) -> None:
    run(repo, "a start -> a -> exit")
    with pytest.raises(RunDirectoryError, match="already holds a run"):
        plan_run(request(repo, "a start -> a -> exit"))
    with pytest.raises(WorkspaceError, match="branch attractor/run/r1 already exists"):
        plan_run(request(repo, "a start -> a -> exit", logs_root=Path("../other")))


def test_a_dirty_checkout_is_noted_or_refused_where_clean_is_required(repo: Path) -> None:
    (repo / "README.md").write_text("changed\n")
    assert "has uncommitted changes" in plan_run(request(repo, "a start -> a -> exit")).notes[0]
    (repo.parent / "run.yaml").write_text("git: {require_clean: true}")
    with pytest.raises(WorkspaceError, match="require_clean is true"):
        plan_run(request(repo, "a start -> a -> exit", config=repo.parent / "run.yaml"))


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"run_id": "../x"}, UsageError, "run id '../x' cannot be used"),
        ({"logs_root": Path("")}, RunDirectoryError, "is not empty"),
        ({"config": Path("gone.yaml")}, AttractorError, "cannot be read"),
        ({"use_git": False, "workdir": Path("gone")}, UsageError, "does not exist"),
        ({"cwd": Path("/")}, WorkspaceError, "is not in a git repository"),
    ],
)
def test_what_cannot_begin_is_refused_and_nothing_is_made(
    repo: Path, fields: dict[str, object], error: type[AttractorError], message: str
) -> None:
    asked = request(repo, "a start -> a -> exit")
    before = sorted(path.name for path in repo.parent.iterdir())
    with pytest.raises(error, match=message):
        plan_run(replace(asked, **fields))  # type: ignore[arg-type]
    assert sorted(path.name for path in repo.parent.iterdir()) == before
