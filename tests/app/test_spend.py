"""What a run may spend: its limits, its sums, what ends where they are reached."""

import json
import sys

import pytest

from tests.app.agents import CODEX_OK, GEMINI_OK, NODE, STATUS, Agents, codex_fails


def test_a_run_ends_when_its_tokens_are_spent_and_says_how_many(agents: Agents) -> None:
    agents.config["runtime_policy"] = {"max_tokens": 150}
    agents.program("openai", CODEX_OK + STATUS)
    two = NODE.replace("a -> exit", "a -> b -> exit") % "" + ' b [shape=box, llm_model="gpt-5.4", prompt=y]'
    ran = agents.run(two)
    final = ran.json("final.json")
    assert (final["status"], final["failure_class"], final["total_tokens"]) == ("fail", "budget_exhausted", 240)
    assert "runtime_policy.max_tokens is 150" in final["failure_reason"]


def test_a_run_that_has_spent_too_much_asks_no_agent_again(agents: Agents) -> None:
    """Neither by a retry, nor with a stronger model, nor at another provider."""
    agents.config["runtime_policy"] = {"max_tokens": 100}
    used = CODEX_OK.replace('echo \'{"type":"turn.started"}\'\n', "")
    overflow = codex_fails("Your input exceeds the context window of this model.")
    agents.program("openai", f"echo started >> {agents.folder}/starts\n{used}{overflow}", failover=["gemini"])
    agents.program("google", GEMINI_OK + STATUS, model="gemini-3-pro-preview")
    ran = agents.run(NODE % ', max_retries=3, escalation_models="openai:gpt-big"')
    assert (agents.folder / "starts").read_text() == "started\n"
    (blocked,) = ran.events("stage_retry_blocked")
    assert "runtime_policy.max_tokens is 100" in blocked["failure_reason"]
    assert ran.json("final.json")["failure_class"] == "budget_exhausted"


def test_an_agent_that_finished_is_not_failed_for_what_it_cost(agents: Agents) -> None:
    """The run ends behind the stage, whose work is kept."""
    agents.config["runtime_policy"] = {"max_tokens": 100, "stall_check_interval_ms": 20}
    # It lingers until the watcher has looked at its last line.
    wait = "for i in $(seq 100); do [ $(wc -l < {}/events.ndjson) -ge 3 ] && break; sleep 0.05; done; sleep 0.2\n"
    agents.program("openai", CODEX_OK + STATUS + wait.format('"${ATTRACTOR_STATUS_FILE%/*}"'))
    ran = agents.run(NODE % ", max_retries=2")
    assert ran.nodes() == ["start success", "a success"]
    final = ran.json("final.json")
    assert (final["status"], final["failure_class"], final["total_tokens"]) == ("fail", "budget_exhausted", 120)


CLAUDE_AT_WORK = "".join(
    f"echo '{json.dumps(line)}'\n"
    for number in range(3)
    for line in (
        {
            "type": "assistant",
            "message": {
                "id": f"m{number}",
                "content": [{"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {"command": "ls"}}],
                "usage": {"input_tokens": 50, "output_tokens": 10},
            },
        },
    )
)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("max_tokens=100", "180 tokens were used; max_tokens of node a is 100"),
        ("max_agent_turns=2", "3 tool calls were made; max_agent_turns of node a is 2"),
    ],
)
@pytest.mark.parametrize("scope", ["node", "graph"])
def test_an_agent_is_ended_that_does_more_than_its_node_allows(
    agents: Agents, limit: str, said: str, scope: str
) -> None:
    agents.config["runtime_policy"] = {"stall_check_interval_ms": 20}
    agents.program("anthropic", f"{CLAUDE_AT_WORK}sleep 60")
    node = NODE.replace("openai", "anthropic")
    ran = agents.run(node % f", {limit}" if scope == "node" else f"graph [{limit}] " + node % "")
    final = ran.json("final.json")
    assert (final["failure_reason"], final["failure_class"]) == (f"a: {said}", "budget_exhausted")


FAN = (
    "fan [shape=component, max_parallel=1] join [shape=tripleoctagon] "
    "node [shape=box, llm_provider=openai, llm_model=m, prompt=x] "
)


def test_what_branches_use_counts_for_the_whole_run_and_for_the_agents_behind_them(agents: Agents) -> None:
    agents.program("openai", CODEX_OK + STATUS)
    ran = agents.run(
        f"{FAN} first a b last start -> first -> fan fan -> a -> join fan -> b -> join join -> last -> exit"
    )
    assert ran.status == "success"
    assert ran.json("final.json")["total_tokens"] == 4 * 120


def test_branches_share_one_limit(agents: Agents) -> None:
    """120 tokens an agent: the second of four is over 200, and the third is not started."""
    agents.config["runtime_policy"] = {"max_tokens": 200}
    agents.program("openai", f"echo started >> {agents.folder}/starts\n{CODEX_OK}{STATUS}")
    edges = " ".join(f"fan -> {name} -> join" for name in "abcd")
    ran = agents.run(f"{FAN} a b c d start -> fan {edges} join -> exit")
    assert (agents.folder / "starts").read_text() == "started\n" * 2
    final = ran.json("final.json")
    assert (final["failure_class"], final["total_tokens"]) == ("budget_exhausted", 240)


def test_status_shows_what_a_run_has_spent_while_it_is_under_way(agents: Agents) -> None:
    """A tool node looks, behind the agent's: the run has no final.json by then."""
    agents.program("openai", CODEX_OK + STATUS)
    look = f"{sys.executable} -m attractor status --logs-root $ATTRACTOR_LOGS_ROOT --json"
    body = NODE.replace("a -> exit", "a -> b -> exit") % "" + f' b [shape=parallelogram, tool_command="{look}"]'
    ran = agents.run(body)
    shown = json.loads((ran.root / "b" / "stdout.log").read_text())
    assert (shown["status"], shown["total_tokens"]) == ("running", 120)
