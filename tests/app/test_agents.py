"""Agent stages with small stand-in programs: the stage contract, preflight, failure policy, watchdogs, spend.

The stand-ins print what the real programs print (tests/backends/golden); the matrix runs the real ones.
"""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from attractor.backends import AgentEvent
from attractor.handlers.agent_record import MAX_RECORDED_EVENTS, AgentRecord
from tests.app.agents import CODEX_OK, GEMINI_OK, NODE, STATUS, Agents, codex_fails


@pytest.mark.spec("11.6.3", "11.7.6", "11.12.19")
def test_an_agent_stage_leaves_its_whole_record_and_one_commit(agents: Agents) -> None:
    agents.program("openai", f"echo made > made.txt\n{CODEX_OK}{STATUS}")
    ran = agents.run('graph [goal="the job"] ' + NODE % "")
    assert ran.nodes() == ["start success", "a success", "exit success"]
    stage = ran.root / "a"
    names = "prompt.md response.md cli_invocation.json stdout.log stderr.log events.ndjson status.json"
    assert set(names.split()) <= {path.name for path in stage.iterdir()}
    assert "Do the job" in (stage / "prompt.md").read_text()
    assert (stage / "response.md").read_text() == "All done."
    assert (ran.result.worktree / "made.txt").read_text() == "made\n"
    invocation = json.loads((stage / "cli_invocation.json").read_text())
    assert (invocation["provider"], invocation["backend"], invocation["model"]) == ("openai", "cli", "gpt-5.4")
    assert ran.json("checkpoint.json")["context"]["last_response"] == "All done."
    kinds = [json.loads(line)["kind"] for line in (stage / "events.ndjson").read_text().splitlines()]
    assert "message" in kinds


def test_values_of_the_environment_are_in_no_record(agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-4711")
    agents.program("openai", CODEX_OK + STATUS)
    ran = agents.run(NODE % "")
    assert "OPENAI_API_KEY" in json.loads((ran.root / "a" / "cli_invocation.json").read_text())["environment"]
    holders = [p for p in ran.root.rglob("*") if p.is_file() and b"canary-4711" in p.read_bytes()]
    assert holders == []


def test_the_state_root_is_absolute_private_and_seeded_without_following_links_out(
    agents: Agents, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "userhome"
    (home / ".codex").mkdir(parents=True)
    (home / ".codex" / "auth.json").write_text("secret")
    monkeypatch.setenv("HOME", str(home))
    agents.program(
        "openai", f'cat "$CODEX_HOME/auth.json" > ../../seen; stat -c %a "$CODEX_HOME" > ../../mode\n{CODEX_OK}{STATUS}'
    )
    ran = agents.run(NODE % "")
    invocation = json.loads((ran.root / "a" / "cli_invocation.json").read_text())
    root = Path(invocation["state_root"])
    assert root.is_absolute()
    assert root.is_relative_to(ran.root / "a")
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert (agents.folder / "seen").read_text() == "secret"
    assert (agents.folder / "mode").read_text() == "700\n"
    assert not list(root.rglob("auth.json")), "credentials do not stay in a run directory"
    (home / ".codex" / "auth.json").unlink()
    (tmp_path / "outside").write_text("not yours")
    (home / ".codex" / "auth.json").symlink_to(tmp_path / "outside")
    again = agents.run(NODE % "", run_id="r2", logs_root=Path("../l2"))
    assert again.status == "success"
    assert (agents.folder / "seen").read_text() == ""


def test_after_a_loop_restart_the_state_root_is_in_the_restarts_folder(agents: Agents) -> None:
    once = f"test -e ../../once || {{ touch ../../once; {codex_fails('stream disconnected before completion: x')} }}\n"
    agents.program("openai", once.replace("\n }", "; }") + CODEX_OK + STATUS)
    body = """
      a [shape=box, llm_provider=openai, llm_model=m, prompt=x] start -> a
      a -> exit [condition="outcome=success"] a -> a [condition="outcome=fail", loop_restart=true]
    """
    ran = agents.run(body)
    assert ran.status == "success"
    invocation = json.loads((ran.root / "restart-1" / "a" / "cli_invocation.json").read_text())
    assert Path(invocation["state_root"]).is_relative_to(ran.root / "restart-1")


@pytest.mark.parametrize(
    ("message", "failure_class", "attempts"),
    [
        ("unexpected status 401 Unauthorized: synthetic 401, url: http://127.0.0.1:1/v1/responses", "deterministic", 1),
        ("We’re currently experiencing high demand, which may cause temporary errors.", "transient_infra", 2),
        ("exceeded retry limit, last status: 429 Too Many Requests", "transient_infra", 2),
    ],
)
def test_the_programs_own_words_decide_class_and_retry(
    agents: Agents, message: str, failure_class: str, attempts: int
) -> None:
    agents.program("openai", codex_fails(message))
    ran = agents.run(NODE % ", max_retries=1")
    assert ran.json("final.json")["failure_class"] == failure_class
    assert len([e for e in ran.events("stage_attempt_start") if e["node_id"] == "a"]) == attempts


def test_no_status_file_is_a_failure_that_says_where_it_was_looked_for(agents: Agents) -> None:
    agents.program("openai", CODEX_OK)
    ran = agents.run(NODE % "")
    assert "the agent ended without a status file" in ran.json("final.json")["failure_reason"]
    assert agents.run(NODE % ", auto_status=true", run_id="r2", logs_root=Path("../l2")).status == "success"


def test_a_status_file_in_the_worktree_counts_and_is_not_committed(agents: Agents) -> None:
    agents.program("openai", CODEX_OK + 'echo \'{"outcome":"ok"}\' > status.json\n')
    ran = agents.run(NODE % "")
    assert ran.status == "success"
    assert not (ran.result.worktree / "status.json").exists()
    end = next(e for e in ran.events("stage_attempt_end") if e["node_id"] == "a")
    assert "'ok' was read as 'success'" in end["notes"], "a legacy spelling is reported"


def test_the_repositorys_own_status_file_is_not_taken_for_a_report(agents: Agents) -> None:
    (agents.repo / "status.json").write_text('{"outcome":"success"}')
    os.system(f"cd '{agents.repo}' && git add -A && git -c user.name=t -c user.email=t@t commit -qm s")
    agents.program("openai", CODEX_OK)
    ran = agents.run(NODE % "")
    assert "without a status file" in ran.json("final.json")["failure_reason"]
    assert (ran.result.worktree / "status.json").read_text() == '{"outcome":"success"}'


def test_exit_zero_with_half_a_stream_is_no_success(agents: Agents) -> None:
    agents.program("openai", 'echo \'{"type":"thread.started","thread_id":"t"}\'\n' + STATUS)
    ran = agents.run(NODE % "")
    assert ran.json("final.json")["failure_class"] == "transient_infra"


def test_output_without_progress_is_ended_by_the_stall_watchdog(agents: Agents) -> None:
    agents.config["runtime_policy"] = {"stall_timeout_ms": 400, "stall_check_interval_ms": 50}
    waiting = '{"type":"error","message":"Reconnecting... waiting for network (x)"}'
    agents.program("openai", f"while :; do echo '{waiting}'; sleep 0.02; done\n")
    ran = agents.run(NODE % "")
    final = ran.json("final.json")
    assert "made no progress and was ended" in final["failure_reason"]
    assert final["failure_class"] == "transient_infra"


def test_a_provider_that_is_locked_out_hands_over_to_the_next(agents: Agents) -> None:
    agents.program("openai", codex_fails("unexpected status 401 Unauthorized: x, url: y"), failover=["gemini"])
    agents.program("google", GEMINI_OK + STATUS, model="gemini-3-pro-preview")
    ran = agents.run(NODE % "")
    assert ran.status == "success"
    (event,) = ran.events("agent_failover")
    assert (event["from_provider"], event["to_provider"], event["to_model"]) == (
        "openai",
        "google",
        "gemini-3-pro-preview",
    )
    assert (ran.root / "a" / "failover-1" / "stdout.log").exists()


def test_a_budget_failure_escalates_to_the_stronger_model(agents: Agents) -> None:
    overflow = codex_fails(
        "Your input exceeds the context window of this model. Please adjust your input and try again."
    )
    script = f'case "$*" in *gpt-big*) ;; *) {overflow.strip().replace(chr(10), "; ")};; esac\n{CODEX_OK}{STATUS}'
    agents.program("openai", script)
    ran = agents.run(NODE % ', max_retries=1, escalation_models="openai:gpt-big"')
    assert ran.status == "success"
    assert [event["model"] for event in ran.events("agent_escalation")] == ["gpt-big"]
    alone = agents.run(NODE % ", max_retries=1", run_id="r2", logs_root=Path("../l2"))
    assert alone.status == "fail"
    assert alone.events("agent_escalation") == [], "there is no stronger model to go to"


def test_tool_hooks_run_around_the_agents_tool_calls_and_their_failures_are_recorded(agents: Agents) -> None:
    call = {"id": "i2", "type": "command_execution", "command": "ls", "status": "in_progress"}
    result = call | {"status": "completed", "exit_code": 0, "aggregated_output": "x"}
    lines = [json.dumps({"type": "item.started", "item": call}), json.dumps({"type": "item.completed", "item": result})]
    agents.program("openai", "".join(f"echo '{line}'\n" for line in lines) + CODEX_OK + STATUS)
    hooks = 'graph ["tool_hooks.post"="cat > ../../post.json"] '
    ran = agents.run(hooks + NODE % ', "tool_hooks.pre"="echo $ATTRACTOR_TOOL_NAME > ../../pre; exit 3"')
    assert ran.status == "success"
    assert (agents.folder / "pre").read_text() == "command_execution\n"
    assert json.loads((agents.folder / "post.json").read_text())["kind"] == "tool_result"
    records = [json.loads(line) for line in (ran.root / "a" / "tool_hooks.log").read_text().splitlines()]
    assert [(r["hook"], r["ok"], r["problem"]) for r in records] == [
        ("tool_hooks.pre", False, "exit status 3"),
        ("tool_hooks.post", True, ""),
    ]


def test_the_runs_log_has_an_agents_messages_and_tool_calls(agents: Agents) -> None:
    lines = [
        {"type": "init", "session_id": "s", "model": "m"},
        {"type": "message", "role": "assistant", "content": "Look", "delta": True},
        {"type": "message", "role": "assistant", "content": "ing.", "delta": True},
        {"type": "tool_use", "tool_name": "shell", "tool_id": "t1", "parameters": {"command": "ls"}},
        {"type": "tool_result", "tool_id": "t1", "status": "error", "output": "no such thing"},
        {"type": "message", "role": "assistant", "content": "Done.", "delta": True},
    ]
    told = "".join(f"echo '{json.dumps(line)}'\n" for line in lines)
    end = GEMINI_OK.splitlines()[-1]
    agents.program("google", f"{told}{end}\n{STATUS}")
    ran = agents.run(NODE.replace("openai", "google") % "")
    assert ran.status == "success"
    (started,) = ran.events("agent_started")
    assert (started["provider"], started["model"]) == ("google", "gpt-5.4")
    assert started["prompt"] == (ran.root / "a" / "prompt.md").read_text()
    names = ("agent_message", "agent_tool_call", "agent_tool_result")
    steps = [{k: v for k, v in event.items() if k not in ("seq", "ts", "run_id")} for event in ran.events(*names)]
    node, tool = {"node_id": "a", "attempt": 1}, {"tool": "shell", "tool_id": "t1"}
    assert steps == [
        {"event": "agent_message", **node, "model": "gpt-5.4", "text": "Looking."},
        {"event": "agent_tool_call", **node, **tool, "arguments": '{"command":"ls"}'},
        {"event": "agent_tool_result", **node, **tool, "output": "no such thing", "is_error": True},
        {"event": "agent_message", **node, "model": "gpt-5.4", "text": "Done."},
    ]


def test_a_program_that_talks_for_ever_does_not_fill_the_runs_log() -> None:
    told: list[dict[str, Any]] = []
    record = AgentRecord(lambda name, **facts: told.append({"event": name, **facts}), "a", 1, "m")
    for number in range(10_000):
        record.saw(AgentEvent("message", f"message {number}"))
    record.finish()
    assert [event["text"] for event in told] == [f"message {number}" for number in range(MAX_RECORDED_EVENTS)]


def test_simulated_agents_follow_their_script(agents: Agents) -> None:
    body = """
      a [shape=box, prompt=x, max_retries=2, simulate="fail transient_infra 'connection refused'; success text='ok'"]
      start -> a -> exit
    """
    ran = agents.run(body, simulate=True, config=None)
    assert ran.status == "success"
    assert (ran.root / "a" / "response.md").read_text() == "ok\n"
    ends = [event["status"] for event in ran.events("stage_attempt_end") if event["node_id"] == "a"]
    assert ends == ["fail", "success"]


# --- preflight -----------------------------------------------------------------------------------------------
