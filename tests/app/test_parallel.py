"""Fan-outs and fan-ins on real repositories: worktrees, branches, policies, crashes (spec 4.8, 4.9)."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from attractor.app import find_run, prune_run, view_run
from attractor.errors import PreflightFailed
from attractor.processes import StopRequest
from tests.app.fan_outs import AB, fan, results
from tests.app.runs import killed_in_stage, resume, run
from tests.processes.living import living

Git = Callable[..., str]
PREFIX = "attractor/run/parallel/r1"


def branches(repo: Path, git: Git) -> list[str]:
    return git(repo, "for-each-ref", "--format=%(refname:short)", "refs/heads/").splitlines()


def test_each_branch_has_a_worktree_a_git_branch_and_records_of_its_own(repo: Path, git: Git) -> None:
    ran = run(repo, AB)
    assert ran.status == "success"
    assert branches(repo, git) == ["attractor/run/parallel/r1/fan/1/a", f"{PREFIX}/fan/1/b", "attractor/run/r1", "main"]
    assert git(repo, "log", "--format=%s", f"main..{PREFIX}/fan/1/a").splitlines() == [
        "attractor(r1): a2 (success)", "attractor(r1): a (success)", "attractor(r1): start (success)",
    ]  # fmt: skip
    told = results(ran)
    assert told["a"]["nodes"] == ["a", "a2"]
    root = Path(told["a"]["logs_root"])
    assert root == ran.root / "parallel.d/fan/1/a"
    assert (root / "worktree/where.txt").read_text() == f"{root}/worktree\n"
    assert not (root / "worktree/b.txt").exists()
    names = [json.loads(line)["event"] for line in (root / "progress.ndjson").read_text().splitlines()]
    assert (names[0], names[-1], names.count("checkpoint_saved")) == ("run_started", "run_completed", 2)


@pytest.mark.spec("11.12.20")
def test_the_winners_work_goes_on_in_a_straight_line_and_the_losers_stays_on_its_branch(repo: Path, git: Git) -> None:
    ran = run(repo, AB)
    assert ran.commits(repo) == [
        "start (success)", "fan (success)", "a (success)", "a2 (success)", "pick (success)", "exit (success)",
    ]  # fmt: skip
    assert git(repo, "show", "attractor/run/r1:a.txt") == "a\n2"
    assert "b.txt" not in git(repo, "ls-tree", "-r", "--name-only", "attractor/run/r1")
    assert (ran.result.worktree / "a.txt").exists()
    assert git(ran.result.worktree, "status", "--porcelain") == ""
    context = ran.json("checkpoint.json")["context"]
    assert (context["parallel.fan_in.best_id"], context["parallel.fan_in.best_outcome"]) == ("a", "success")


def test_a_branchs_context_stays_in_the_branch(repo: Path) -> None:
    status = json.dumps({"outcome": "success", "context_updates": {"mark": "of a"}}).replace('"', '\\"')
    writes = f"echo '{status}' > $ATTRACTOR_STATUS_FILE"
    body = fan(f'a [tool_command="{writes}"] b fan -> a -> pick fan -> b -> pick')
    context = run(repo, body).json("checkpoint.json")["context"]
    assert "mark" not in context


@pytest.mark.spec("11.6.6")
def test_branches_run_at_the_same_time_and_no_more_than_allowed(repo: Path) -> None:
    """Each of two waits for the other: one after the other they would wait for ever."""
    meet = "echo x > ../../../../../{me}; while ! test -e ../../../../../{other}; do sleep 0.01; done"
    body = fan(
        f'a [timeout="20s", tool_command="{meet.format(me="a", other="b")}"]'
        f' b [timeout="20s", tool_command="{meet.format(me="b", other="a")}"] fan -> a -> pick fan -> b -> pick',
        "max_parallel=2",
    )
    assert {result["outcome"] for result in results(run(repo, body)).values()} == {"success"}
    count = "mkdir ../../../one || exit 9; sleep 0.05; rmdir ../../../one"
    nodes = "".join(f'n{i} [tool_command="{count}"] fan -> n{i} -> pick ' for i in range(5))
    ran = run(repo, fan(nodes, "max_parallel=1"), run_id="r2", logs_root=repo.parent / "logs2")
    assert {result["outcome"] for result in results(ran).values()} == {"success"}


@pytest.mark.spec("11.6.7")
def test_results_are_in_file_order_whatever_ends_first(repo: Path) -> None:
    body = fan('z [tool_command="sleep 0.2"] a m fan -> z -> pick fan -> a -> pick fan -> m -> pick')
    assert list(results(run(repo, body))) == ["z", "a", "m"]


def test_one_failed_branch_leaves_a_partial_success_and_is_not_chosen(repo: Path) -> None:
    ran = run(repo, fan('a [tool_command="exit 3"] b fan -> a -> pick fan -> b -> pick'))
    assert ran.nodes() == ["start success", "fan partial_success", "pick success", "exit success"]
    assert results(ran)["a"]["failure_reason"] == "a: tool_command ended with exit status 3"
    assert ran.json("checkpoint.json")["context"]["parallel.fan_in.best_id"] == "b"


@pytest.mark.parametrize("first", ["a", "b"])
def test_when_all_fail_the_fan_in_fails_and_deterministic_wins(repo: Path, first: str) -> None:
    slow = {"a": "", "b": "", first: "sleep 0.1; "}
    ran = run(
        repo,
        fan(f"""
      a [tool_command="{slow["a"]}exit 3"] b [timeout="300ms", tool_command="{slow["b"]}sleep 60"]
      fan -> a -> pick fan -> b -> pick
    """),
    )
    final = ran.json("final.json")
    assert (final["status"], final["failed_node"], final["failure_class"]) == ("fail", "pick", "deterministic")
    assert "a: a: tool_command ended with exit status 3; b: b:" in final["failure_reason"]


def test_first_success_ends_the_other_branches_with_all_they_started(repo: Path) -> None:
    pids = repo.parent / "pids"
    slow = f"echo $$ > {pids}; sleep 600 & echo $! >> {pids}; touch ../../../../../up; wait"
    body = fan(
        f'a [tool_command="{slow}"] b [tool_command="while ! test -e ../../../../../up; do sleep 0.01; done"]'
        " fan -> a -> pick fan -> b -> pick",
        "join_policy=first_success",
    )
    ran = run(repo, body)
    assert ran.status == "success"
    told = results(ran)
    assert (told["a"]["canceled"], told["a"]["failure_reason"]) == (True, "the other branches have decided")
    assert not living(pids)


def test_fail_fast_ends_the_others_and_starts_no_more(repo: Path) -> None:
    body = fan(
        'a [tool_command="sleep 0.05; exit 3"] b [tool_command="sleep 600"] c'
        " fan -> a -> pick fan -> b -> pick fan -> c -> pick",
        "max_parallel=2, error_policy=fail_fast",
    )
    ran = run(repo, body)
    told = results(ran)
    assert told["b"]["canceled"]
    assert told["c"]["failure_reason"] == "not started: the other branches have decided"
    assert ran.nodes()[1:3] == ["fan fail", "pick fail"]


def test_the_fan_outs_own_timeout_ends_its_branches_as_transient(repo: Path) -> None:
    ran = run(repo, fan('a [tool_command="sleep 600"] b fan -> a -> pick fan -> b -> pick', 'timeout="400ms"'))
    told = results(ran)
    assert (told["a"]["failure_class"], told["b"]["outcome"]) == ("transient_infra", "success")
    assert "ran out of time after 0.4 s" in told["a"]["failure_reason"]
    assert ran.status == "success"


def test_a_branch_is_a_pipeline_with_conditions_retries_and_goal_gates(repo: Path) -> None:
    ran = run(
        repo,
        fan("""
      a [tool_command="test -e ready"] mend [tool_command="touch ready"] done
      b [goal_gate=true, tool_command="exit 3"] next
      c [max_retries=2, timeout="200ms", tool_command="test -e c.txt || { touch c.txt; sleep 60; }"]
      fan -> a a -> done [condition="outcome=success"] a -> mend [condition="outcome=fail"] mend -> a done -> pick
      fan -> b b -> next [condition="outcome=fail"] next -> pick
      fan -> c -> pick
    """),
    )
    told = results(ran)
    assert told["a"]["nodes"] == ["a", "mend", "a", "done"]
    assert told["b"]["failure_reason"] == (
        "goal gate b is unsatisfied (outcome fail) and there is no retry_target to go back to"
    )
    assert told["c"]["outcome"] == "success"
    root = Path(told["c"]["logs_root"])
    events = [json.loads(line)["event"] for line in (root / "progress.ndjson").read_text().splitlines()]
    assert events.count("stage_attempt_start") == 2


def test_a_fan_out_visited_twice_makes_new_branches(repo: Path, git: Git) -> None:
    body = """
      fan [shape=component] pick [shape=tripleoctagon] a [tool_command="echo x >> log"] b
      again [tool_command="test $(wc -l < log) = 2"]
      start -> fan fan -> a -> pick fan -> b -> pick pick -> again
      again -> exit [condition="outcome=success"] again -> fan [condition="outcome=fail"]
    """
    ran = run(repo, body)
    assert ran.status == "success"
    assert [name for name in branches(repo, git) if "parallel" in name] == [
        f"{PREFIX}/fan/{number}/{child}" for number in (1, 2) for child in "ab"
    ]


def test_after_a_loop_restart_branches_have_new_names(repo: Path, git: Git) -> None:
    body = """
      fan [shape=component] pick [shape=tripleoctagon]
      a [timeout="200ms", tool_command="case $PWD in *restart-1*) true;; *) sleep 60;; esac"]
      start -> fan fan -> a -> pick pick -> exit [condition="outcome=success"]
      pick -> fan [condition="outcome=fail", loop_restart=true]
    """
    ran = run(repo, body)
    assert ran.status == "success"
    assert [name for name in branches(repo, git) if "parallel" in name] == [f"{PREFIX}/fan/1/a", f"{PREFIX}/fan/r1.1/a"]
    assert (ran.root / "restart-1/parallel.d/fan/r1.1/a/branch_result.json").exists()


def test_fan_outs_within_branches(repo: Path, git: Git) -> None:
    body = fan("""
      inner [shape=component] meet [shape=tripleoctagon] x [tool_command="echo x > x.txt"] y b
      fan -> inner inner -> x -> meet inner -> y -> meet meet -> pick fan -> b -> pick
    """)
    ran = run(repo, body)
    assert ran.status == "success"
    names = [name.removeprefix(f"{PREFIX}/") for name in branches(repo, git) if "parallel" in name]
    assert names == ["fan+1+inner+inner/1/x", "fan+1+inner+inner/1/y", "fan/1/b", "fan/1/inner"]
    assert ran.json("checkpoint.json")["context"]["parallel.fan_in.best_id"] == "b"
    x = ran.root / "parallel.d/fan/1/inner/parallel.d/inner/1/x"
    assert (x / "worktree/x.txt").exists()
    assert git(repo, "show", f"{PREFIX}/fan/1/inner:x.txt") == "x"


def test_two_branches_may_write_the_same_file(repo: Path, git: Git) -> None:
    body = fan("".join(f'{n} [tool_command="echo {n} > same.txt"] fan -> {n} -> pick ' for n in "ab"))
    run(repo, body)
    assert git(repo, "show", "attractor/run/r1:same.txt") == "a"
    assert git(repo, "show", f"{PREFIX}/fan/1/b:same.txt") == "b"


def test_without_git_branches_share_the_folder(repo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    ran = run(repo, AB, use_git=False, workdir=folder)
    assert ran.status == "success"
    assert {"a.txt", "b.txt"} <= {path.name for path in folder.iterdir()}


def test_a_fan_in_without_a_fan_out_says_so(repo: Path) -> None:
    ran = run(repo, "pick [shape=tripleoctagon] start -> pick -> exit")
    assert "no fan-out has run branches for this fan-in" in ran.json("final.json")["failure_reason"]


def test_a_fan_in_reached_again_takes_nothing_over_twice(repo: Path) -> None:
    body = """
      fan [shape=component] pick [shape=tripleoctagon] a [tool_command="echo x > a.txt"] b
      more [tool_command="echo more >> a.txt; test $(wc -l < a.txt) -ge 3"]
      start -> fan fan -> a -> pick fan -> b -> pick pick -> more
      more -> exit [condition="outcome=success"] more -> pick [condition="outcome=fail"]
    """
    ran = run(repo, body)
    assert ran.status == "success"
    assert len(ran.events("branch_adopted")) == 1
    assert (ran.result.worktree / "a.txt").read_text() == "x\nmore\nmore\n"


# --- crashes -------------------------------------------------------------------------------------------------


def test_a_resumed_run_keeps_finished_branches_and_goes_on_with_the_others(repo: Path, git: Git) -> None:
    body = fan("""
      a [tool_command="echo a >> a.txt"] b1 [tool_command="echo b >> b.txt"]
      b2 [tool_command="{command}"] fan -> a -> pick fan -> b1 -> b2 -> pick
    """)
    wait = "while ! test -e ../../a/branch_result.json; do sleep 0.01; done; echo up > {ready}; sleep 600"
    root = killed_in_stage(repo, wait, "echo 2 >> b.txt", body=body)
    before = (root / "parallel.d/fan/1/a/branch_result.json").read_bytes()
    ran = resume(root)
    assert ran.status == "success"
    told = results(ran)
    assert (root / "parallel.d/fan/1/a/branch_result.json").read_bytes() == before
    assert told["b1"]["nodes"] == ["b1", "b2"]
    assert git(repo, "log", "--format=%s", f"attractor/run/r1..{PREFIX}/fan/1/b1").splitlines() == [
        "attractor(r1): b2 (success)", "attractor(r1): b1 (success)",
    ]  # fmt: skip
    assert git(repo, "show", f"{PREFIX}/fan/1/b1:b.txt") == "b\n2"
    kept = [event for event in ran.events("parallel_branch_completed") if event.get("kept")]
    assert [event["branch"] for event in kept] == ["a"]


def test_a_branch_whose_engine_died_before_its_first_event_begins_with_it(repo: Path) -> None:
    body = fan('a [tool_command="{command}"] b fan -> a -> pick fan -> b -> pick')
    root = killed_in_stage(repo, "echo up > {ready}; sleep 600", "true", body=body)
    progress = root / "parallel.d/fan/1/a/progress.ndjson"
    progress.unlink()
    assert resume(root).status == "success"
    names = [json.loads(line)["event"] for line in progress.read_text().splitlines()]
    assert (names[0], names.count("run_resumed")) == ("run_started", 0)


def test_after_all_branches_failed_a_resume_runs_them_again(repo: Path, git: Git) -> None:
    body = fan("".join(f'{n} [tool_command="test -e {repo.parent}/ok"] fan -> {n} -> pick ' for n in "ab"))
    ran = run(repo, body)
    assert ran.json("final.json")["failed_node"] == "pick"
    (repo.parent / "ok").touch()
    again = resume(ran.root)
    assert again.status == "success"
    assert [name for name in branches(repo, git) if "parallel" in name] == [
        f"{PREFIX}/fan/{number}/{child}" for number in (1, 2) for child in "ab"
    ]


def test_what_a_crash_left_running_in_branches_is_ended(repo: Path) -> None:
    pids = repo.parent / "pids"
    body = fan(f"""
      a [tool_command="echo $$ >> {pids}; sleep 600 & echo $! >> {pids}; wait"]
      b [tool_command="{{command}}"] fan -> a -> pick fan -> b -> pick
    """)
    wait = f"while ! test -s {pids}; do sleep 0.01; done; echo up > {{ready}}; sleep 600"
    root = killed_in_stage(repo, wait, "true", body=body)
    graph = root / "graph.dot"
    graph.write_text(graph.read_text().replace("wait", "true").replace("sleep 600 &", "true &"))
    before = pids.read_text()
    assert resume(root).status == "success"
    pids.write_text(before)
    assert not living(pids)


def test_a_stop_cancels_all_branches_and_resume_goes_on(repo: Path) -> None:
    stop = StopRequest()
    gate = repo.parent / "gate"
    body = fan(f"""
      a [tool_command="echo a >> a.txt"] b [tool_command="echo up > {gate}; test -e ../../../../../go || sleep 600"]
      fan -> a -> pick fan -> b -> pick
    """)
    os.mkfifo(gate)

    def end() -> None:
        gate.read_text()
        stop.request(signal.SIGTERM)

    thread = threading.Thread(target=end)
    thread.start()
    ran = run(repo, body, stop=stop)
    thread.join()
    assert ran.status == "canceled"
    (ran.root / "go").touch()
    reader = threading.Thread(target=gate.read_text)
    reader.start()
    again = resume(ran.root)
    reader.join()
    assert again.status == "success"
    assert again.commits(repo)[-3:] == ["a (success)", "pick (success)", "exit (success)"]


def test_prune_removes_branches_and_worktrees_of_fan_outs(repo: Path, git: Git) -> None:
    ran = run(repo, AB, logs_root=None, run_id="r1")
    prune_run(find_run("r1", os.environ), os.environ, keep_branch=False)
    assert branches(repo, git) == ["main"]
    assert git(repo, "worktree", "list").count("\n") == 0
    assert not ran.root.exists()


# --- choice by an agent --------------------------------------------------------------------------------------


def choosing(simulate: str, attributes: str = "") -> str:
    return f"""
      fan [shape=component] pick [shape=tripleoctagon, prompt="Which one?", simulate="{simulate}"{attributes}]
      a b [tool_command="echo b > b.txt"] start -> fan fan -> a -> pick fan -> b -> pick pick -> exit
    """


def test_an_agent_chooses_where_the_fan_in_has_a_prompt(repo: Path) -> None:
    answer = json.dumps({"outcome": "success", "preferred_label": "B"}).replace('"', '\\"')
    ran = run(repo, choosing(f"success status='{answer}'"), simulate=True)
    assert ran.json("checkpoint.json")["context"]["parallel.fan_in.best_id"] == "b"
    prompt = (ran.root / "pick/prompt.md").read_text()
    assert "- a: success" in prompt
    assert "git diff" in prompt
    assert "Which one?" in prompt


def test_an_agent_is_asked_for_in_preflight(repo: Path) -> None:
    with pytest.raises(PreflightFailed, match="llm_provider"):
        run(repo, choosing(""))


def test_an_agent_that_fails_fails_the_fan_in(repo: Path) -> None:
    ran = run(repo, choosing("fail deterministic 'cannot tell'"), simulate=True)
    assert ran.json("final.json")["failure_reason"] == "pick: cannot tell"


def test_status_shows_the_branches_that_are_at_work(repo: Path) -> None:
    """A branch looks, while another has ended and the newest event of the run is the fan-out's."""
    look = f"{sys.executable} -m attractor status --logs-root $ATTRACTOR_LOGS_ROOT/../../../.."
    ended = "test -e ../../b/branch_result.json"
    ran = run(
        repo,
        fan(
            f'a [tool_command="while ! {ended}; do sleep 0.01; done; {look} --json; {look}"] b '
            "fan -> a -> pick fan -> b -> pick"
        ),
    )
    said = (ran.root / "parallel.d/fan/1/a/a/stdout.log").read_text()
    shown, end = json.JSONDecoder().raw_decode(said)
    (branch,) = shown["branches"]
    assert (branch["branch"], branch["last_event"]["node_id"]) == ("fan/1/a", "a")
    assert "branch=fan/1/a  stage_" in said[end:]
    assert view_run(ran.root).branches == []


def test_a_broken_child_says_what_is_wrong_with_its_graph(repo: Path, git: Git) -> None:
    (repo / "child.dot").write_text("digraph { start [shape=Mdiamond] start -> nowhere }")
    git(repo, "add", "-A")
    git(repo, "commit", "--quiet", "--message", "child")
    ran = run(repo, 'boss [shape=house, "stack.child_dotfile"="child.dot"] start -> boss -> exit')
    reason = ran.json("final.json")["failure_reason"]
    assert "child.dot:1:" in reason
    assert "terminal_node" in reason
