"""The specification's parity matrix and smoke test (its 11.12 and 11.13) as whole runs, and lines no other file shows.

The agents are small stand-in programs, as in test_agents.py.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attractor.app import plan_run, start_run
from attractor.graph import load_graph_text
from attractor.lint import validate_text
from attractor.processes import StopRequest
from tests.app.agents import CODEX_OK, STATUS, Agents
from tests.app.runs import Ran, request, run

SMOKE = """
digraph greeter {
  graph [goal="A script that greets"]
  node [llm_provider=openai, llm_model=m, max_node_visits=3]
  start [shape=Mdiamond]
  plan [shape=box, prompt="Plan: $goal"]
  implement [shape=box, prompt="Write it", goal_gate=true, retry_target=plan]
  review [shape=box, prompt="Check it"]
  done [shape=Msquare]
  start -> plan
  plan -> implement
  implement -> review [condition="outcome=success"]
  implement -> plan [condition="outcome=fail", label=Retry]
  review -> done [condition="outcome=success"]
  review -> implement [condition="outcome=fail", label=Fix]
}
"""
# The review finds the script empty the first time.
TEAM = """
case $ATTRACTOR_NODE_ID in
  implement) if test -e greet.sh; then echo 'echo hello' > greet.sh; else touch greet.sh; fi ;;
  review) test -s greet.sh || echo '{"outcome":"fail","failure_reason":"it is empty"}' > "$ATTRACTOR_STATUS_FILE" ;;
esac
test -e "$ATTRACTOR_STATUS_FILE" || """
AGENT = 'shape=box, llm_provider=openai, llm_model=m, prompt="Do $goal"'


def run_file(repo: Path, text: str, **fields: Any) -> Ran:
    """Run a graph that is complete in itself."""
    own = repo.parent / "own.dot"
    own.write_text(text)
    plan = plan_run(replace(request(repo, "", **fields), graph=own))
    return Ran(start_run(plan, environment=os.environ, stop=StopRequest()))


def reports(**status: Any) -> str:
    """A tool's command that reports this status."""
    text = json.dumps(status).replace('"', '\\"')
    return f"echo '{text}' > $ATTRACTOR_STATUS_FILE"


def refused(times: int, name: str) -> str:
    """A tool's command whose connection is refused so many times, and then works."""
    tries = f"../../{name}.tries"
    return f"echo x >> {tries}; test $(wc -l < {tries}) -gt {times} || {{ echo connection refused >&2; exit 1; }}"


# --- smoke test ----------------------------------------------------------------------------------------------


@pytest.fixture
def smoke(repo: Path) -> Ran:
    """The smoke test's run, with agents that need two rounds."""
    agents = Agents(repo)
    agents.program("openai", f"{TEAM}{STATUS}{CODEX_OK}")
    (repo.parent / "run.json").write_text(json.dumps(agents.config))
    return run_file(repo, SMOKE, config=repo.parent / "run.json", allow_test_shim=True)


@pytest.mark.spec("11.1.2", "11.1.4", "11.13.1")
def test_the_smoke_test_s_graph_is_parsed() -> None:
    graph, problems = load_graph_text(SMOKE, "greeter.dot")
    assert graph is not None
    assert problems == ()
    assert graph.goal == "A script that greets"
    assert list(graph.nodes) == ["start", "plan", "implement", "review", "done"]
    assert [(edge.source_id, edge.target_id, edge.condition_text, edge.label) for edge in graph.edges] == [
        ("start", "plan", "", ""),
        ("plan", "implement", "", ""),
        ("implement", "review", "outcome=success", ""),
        ("implement", "plan", "outcome=fail", "Retry"),
        ("review", "done", "outcome=success", ""),
        ("review", "implement", "outcome=fail", "Fix"),
    ]


@pytest.mark.spec("11.13.2")
def test_the_smoke_test_s_graph_has_no_errors() -> None:
    assert validate_text(SMOKE, "greeter.dot").errors == ()


@pytest.mark.spec("11.13.3", "11.13.4")
def test_the_smoke_test_runs_with_agents_that_leave_their_files(smoke: Ran) -> None:
    assert smoke.status == "success"
    assert smoke.nodes() == [
        "start success", "plan success", "implement success", "review fail",
        "implement success", "review success", "done success",
    ]  # fmt: skip
    for name in ("plan", "implement", "review"):
        assert {"prompt.md", "response.md", "status.json"} <= {path.name for path in (smoke.root / name).iterdir()}
    assert "Plan: A script that greets" in (smoke.root / "plan/prompt.md").read_text()
    assert (smoke.result.worktree / "greet.sh").read_text() == "echo hello\n"


@pytest.mark.spec("11.13.5", "11.13.6")
def test_the_smoke_test_s_checkpoint_is_at_the_exit_with_its_goal_gate_satisfied(smoke: Ran) -> None:
    checkpoint = smoke.json("checkpoint.json")
    assert checkpoint["current_node"] == "done"
    assert {"plan", "implement", "review"} <= set(checkpoint["completed_nodes"])
    assert checkpoint["node_outcomes"]["implement"]["outcome"] == "success"


# --- parity matrix -------------------------------------------------------------------------------------------


@pytest.mark.spec("11.3.1")
def test_a_run_begins_at_the_start_node_wherever_it_stands(repo: Path) -> None:
    ran = run_file(
        repo,
        """digraph { node [shape=parallelogram, tool_command=true]
        exit [shape=Msquare] a b -> exit a -> b begin [shape=Mdiamond] b begin -> a }""",
    )
    assert ran.nodes() == ["begin success", "a success", "b success", "exit success"]


@pytest.mark.spec("11.3.6", "11.12.22")
def test_a_chain_of_twelve_nodes_runs_in_order(repo: Path) -> None:
    names = [f"n{number}" for number in range(12)]
    ran = run(repo, f"{' '.join(names)} start -> {' -> '.join(names)} -> exit")
    assert ran.status == "success"
    assert ran.nodes() == [f"{name} success" for name in ("start", *names, "exit")]


@pytest.mark.spec("11.3.2")
def test_a_shape_decides_what_its_node_does(repo: Path) -> None:
    """All of them have a command and a prompt."""
    agents = Agents(repo)
    agents.program("openai", CODEX_OK + STATUS)
    body = f"""
      node [{AGENT.partition(", ")[2]}, tool_command="echo by the shell"]
      agent [shape=box] tool [shape=parallelogram] look [shape=diamond]
      start -> agent -> tool -> look -> exit
    """
    ran = agents.run(body)
    assert ran.status == "success"
    files = {name: {path.name for path in (ran.root / name).iterdir()} for name in ("agent", "tool", "look")}
    assert "response.md" in files["agent"]
    assert "response.md" not in files["tool"]
    assert (ran.root / "tool/stdout.log").read_text() == "by the shell\n"
    assert files["look"] == {"status.json"}


@pytest.mark.spec("11.3.3", "11.7.1", "11.7.2", "11.7.3", "11.12.16", "11.12.19")
def test_a_handler_sees_node_graph_context_and_folder(repo: Path) -> None:
    agents = Agents(repo)
    agents.program("openai", CODEX_OK + STATUS)
    command = reports(outcome="success", context_updates={"color": "red"})
    ran = agents.run(f'graph [goal="a wall"] a [tool_command="{command}"] b [{AGENT}] start -> a -> b -> exit')
    prompt = (ran.root / "b/prompt.md").read_text()
    assert "Do a wall\n" in prompt
    assert "- color: red\n" in prompt
    assert ran.json("b/status.json")["notes"] == "made it", "and what it returned is recorded"


@pytest.mark.spec("11.7.4", "11.12.16")
def test_every_node_finds_the_checkpoint_of_the_one_before(repo: Path) -> None:
    command = reports(outcome="success", context_updates={"color": "red"})
    body = f"""
      a [max_retries=1, tool_command="{refused(1, "a")} && {command}"]
      b [tool_command="cp $ATTRACTOR_LOGS_ROOT/checkpoint.json ../../seen.json"] start -> a -> b -> exit
    """
    assert run(repo, body).status == "success"
    seen = json.loads((repo.parent / "seen.json").read_text())
    assert (seen["current_node"], seen["completed_nodes"]) == ("a", ["start", "a"])
    assert (seen["context"]["color"], seen["node_retries"]) == ("red", {"a": 1})


@pytest.mark.spec("11.5.1", "11.5.2", "11.5.3", "11.12.9")
def test_nodes_are_retried_each_up_to_its_own_limit_with_its_own_backoff(repo: Path) -> None:
    body = f"""
      a [max_retries=3, tool_command="{refused(3, "a")}"]
      b [max_retries=2, retry_backoff_factor=1, tool_command="{refused(9, "b")}"] start -> a -> b -> exit
    """
    ran = run(repo, body)
    assert ran.nodes() == ["start success", "a success", "b fail"]
    sleeps = [(event["node_id"], event["delay_ms"]) for event in ran.events("stage_retry_sleep")]
    assert sleeps == [("a", 1), ("a", 2), ("a", 4), ("b", 1), ("b", 1)]
    assert ran.json("checkpoint.json")["node_retries"] == {"a": 3, "b": 2}
    assert (repo.parent / "b.tries").read_text() == "x\n" * 3


@pytest.mark.spec("11.5.1", "11.5.5", "11.12.8", "11.12.9")
@pytest.mark.parametrize(("times", "way"), [(2, ["a success"]), (3, ["a fail", "mend success"])])
def test_behind_the_last_attempt_its_outcome_decides_the_way(repo: Path, times: int, way: list[str]) -> None:
    body = f"""
      a [max_retries=2, tool_command="{refused(times, "a")}"] mend start -> a
      a -> exit [condition="outcome=success"] a -> mend [condition="outcome=fail"] mend -> exit
    """
    ran = run(repo, body)
    assert ran.nodes() == ["start success", *way, "exit success"]
    assert len([event for event in ran.events("stage_attempt_start") if event["node_id"] == "a"]) == 3


@pytest.mark.spec("11.3.8", "11.4.2", "11.12.11")
def test_goal_gates_that_succeeded_also_partially_let_the_run_end(repo: Path) -> None:
    body = f"""
      a [goal_gate=true] b [goal_gate=true, tool_command="{reports(outcome="partial_success")}"]
      start -> a -> b -> exit
    """
    ran = run(repo, body)
    assert ran.status == "success"
    assert ran.nodes() == ["start success", "a success", "b partial_success", "exit success"]


@pytest.mark.spec("11.10.1", "11.10.2", "11.12.18")
def test_an_agent_is_run_with_the_model_the_stylesheet_has_for_its_shape(repo: Path) -> None:
    agents = Agents(repo)
    agents.program("openai", CODEX_OK + STATUS)
    sheet = 'graph [model_stylesheet="box { llm_provider: openai; llm_model: of-the-sheet }"]'
    ran = agents.run(f"{sheet} a [shape=box, prompt=x] start -> a -> exit")
    assert ran.json("a/cli_invocation.json")["model"] == "of-the-sheet"
    assert "of-the-sheet" in (agents.folder / "argv").read_text().splitlines()
