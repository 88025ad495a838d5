"""Agent stages with small stand-in programs: the stage contract, preflight, failure policy, watchdogs, spend.

The stand-ins print what the real programs print (tests/backends/golden); the matrix runs the real ones.
"""

import json
import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from attractor.app import plan_run, preflight_only, start_run
from attractor.backends import AgentEvent
from attractor.errors import AttractorError, ConfigError, PreflightFailed
from attractor.handlers.agent_record import MAX_RECORDED_EVENTS, AgentRecord
from attractor.processes import StopRequest
from tests.app.runs import Ran, request
from tests.processes.living import living

CODEX_OK = """\
echo '{"type":"thread.started","thread_id":"t1"}'
echo '{"type":"turn.started"}'
echo '{"type":"item.completed","item":{"id":"i1","type":"agent_message","text":"All done."}}'
echo '{"type":"turn.completed","usage":{"input_tokens":100,"cached_input_tokens":0,"output_tokens":20}}'
"""
GEMINI_OK = """\
echo '{"type":"init","session_id":"s","model":"m"}'
echo '{"type":"message","role":"assistant","content":"Hello.","delta":true}'
echo '{"type":"result","status":"success","stats":{"total_tokens":3,"input_tokens":2,"output_tokens":1}}'
"""
STATUS = """echo '{"outcome":"success","notes":"made it"}' > "$ATTRACTOR_STATUS_FILE"
"""
NODE = 'a [shape=box, llm_provider=openai, llm_model="gpt-5.4", prompt="Do $goal" %s] start -> a -> exit'


def codex_fails(message: str) -> str:
    error = json.dumps({"type": "turn.failed", "error": {"message": message}})
    return f"echo '{error}'\nexit 1\n"


class Agents:
    """Stand-in programs, a run configuration that names them, and runs with it."""

    def __init__(self, repo: Path) -> None:
        self.repo, self.folder = repo, repo.parent
        self.config: dict[str, Any] = {"llm": {"cli_profile": "test_shim", "providers": {}}}

    def program(self, provider: str, script: str, **settings: Any) -> None:
        place = self.folder / f"fake-{provider}"
        place.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> "{self.folder}/argv"\n{script}')
        place.chmod(0o755)
        self.config["llm"]["providers"][provider] = {"backend": "cli", "executable": str(place), **settings}

    def run(self, body: str, **fields: Any) -> Ran:
        (self.folder / "run.json").write_text(json.dumps(self.config))
        asked = request(self.repo, body, **({"config": self.folder / "run.json", "allow_test_shim": True} | fields))
        return Ran(start_run(plan_run(asked), environment=os.environ, stop=StopRequest()))


@pytest.fixture
def agents(repo: Path) -> Agents:
    return Agents(repo)


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


def with_catalog(agents: Agents) -> None:
    models = [{"id": "google/gemini-3-pro-preview"}, {"id": "openai/gpt-5.4"}]
    (agents.folder / "models.json").write_text(json.dumps({"data": models}))
    agents.config["modeldb"] = {"openrouter_model_info_path": "models.json"}


GOOGLE = 'a [shape=box, llm_provider=google, llm_model="%s", prompt=x] start -> a -> exit'


def test_a_model_the_catalogue_does_not_have_fails_before_any_node(agents: Agents) -> None:
    with_catalog(agents)
    agents.program("google", GEMINI_OK + STATUS)
    with pytest.raises(PreflightFailed) as failure:
        agents.run(GOOGLE % "gemini-3-pro")
    expected = "preflight: llm_provider=google backend=cli model=gemini-3-pro not present in run catalog"
    assert expected in failure.value.message
    assert "nearest known: gemini-3-pro-preview" in failure.value.message
    assert [path.name for path in (agents.folder / "logs").iterdir()] == ["preflight_report.json"]
    assert not json.loads((agents.folder / "logs" / "preflight_report.json").read_text())["ok"]


def test_a_model_the_catalogue_has_runs_and_the_catalogue_is_kept(agents: Agents) -> None:
    with_catalog(agents)
    agents.program("google", GEMINI_OK + STATUS)
    ran = agents.run(GOOGLE % "gemini-3-pro-preview")
    assert ran.status == "success"
    kept = ran.json("manifest.json")["policy"]["agents"]
    assert Path(kept["catalog"]).read_bytes() == (agents.folder / "models.json").read_bytes()
    assert len(kept["catalog_sha256"]) == 64


def test_all_problems_are_told_at_once(agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    with_catalog(agents)
    agents.config["llm"] = {"cli_profile": "real"}
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("ATTRACTOR_CODEX_PATH", "/tmp/other")
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    body = GOOGLE % "gemini-3-pro" + " b [shape=box, llm_provider=nobody, llm_model=x, prompt=x] a -> b -> exit"
    with pytest.raises(PreflightFailed) as failure:
        agents.run(body)
    for words in ("not present in run catalog", "llm_provider=nobody is unknown", "'gemini' is no executable",
                  "no credentials", "ATTRACTOR_CODEX_PATH is set"):  # fmt: skip
        assert words in failure.value.message


def test_a_program_that_cannot_run_unattended_is_found_out(agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    place = agents.folder / "bin" / "codex"
    place.parent.mkdir()
    place.write_text("#!/bin/sh\necho 'codex 0.1: usage: codex [PROMPT]'\n")
    place.chmod(0o755)
    agents.config["llm"] = {"cli_profile": "real"}
    monkeypatch.setenv("PATH", f"{place.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    with pytest.raises(PreflightFailed, match=r"does not know --json.* cannot run unattended"):
        agents.run(NODE % "")


def test_a_forced_model_is_the_one_that_is_checked_and_run(agents: Agents) -> None:
    with_catalog(agents)
    agents.program("google", GEMINI_OK + STATUS)
    ran = agents.run(GOOGLE % "gemini-3-pro", force_models={"gemini": "gemini-3-pro-preview"})
    assert ran.status == "success"
    assert "gemini-3-pro-preview" in (agents.folder / "argv").read_text().splitlines()


def test_a_test_shim_must_be_allowed_on_the_command_line(agents: Agents) -> None:
    agents.program("openai", CODEX_OK)
    with pytest.raises(ConfigError, match="--allow-test-shim"):
        agents.run(NODE % "", allow_test_shim=False)


def test_an_unknown_provider_cannot_be_forced(agents: Agents) -> None:
    with pytest.raises(AttractorError, match="unknown provider"):
        agents.run(NODE % "", force_models={"nobody": "x"})


# --- prompt probes -------------------------------------------------------------------------------------------


def probing(agents: Agents, **policy: Any) -> None:
    quick = {"enabled": True, "timeout_ms": 20_000, "retries": 1, "base_delay_ms": 1, "max_delay_ms": 10}
    agents.config["preflight"] = {"prompt_probes": quick | policy}


def test_a_probe_asks_each_model_once_before_any_node(agents: Agents) -> None:
    agents.program("openai", CODEX_OK)
    agents.program("google", GEMINI_OK)
    probing(agents)
    ran = agents.run(
        """a [shape=box, llm_provider=openai, llm_model="gpt-5.4", auto_status=true, prompt="x"]
        b [shape=box, llm_provider=openai, llm_model="gpt-5.4", auto_status=true, prompt="x"]
        c [shape=box, llm_provider=google, llm_model="gemini-3-pro", auto_status=true, prompt="x"]
        start -> a -> b -> c -> exit"""
    )
    assert ran.result.final.status == "success"
    probes = [check for check in ran.json("preflight_report.json")["checks"] if check["check"] == "prompt_probe"]
    assert [(check["ok"], check["detail"]) for check in probes] == [
        (True, "llm_provider=openai backend=cli model=gpt-5.4 answers"),
        (True, "llm_provider=google backend=cli model=gemini-3-pro answers"),
    ]
    assert sorted(path.name for path in (ran.root / "preflight.d").iterdir()) == ["01-openai", "02-google"]
    invocation = json.loads((ran.root / "preflight.d/01-openai/1/cli_invocation.json").read_text())
    assert invocation["cwd"] == str(ran.root / "preflight.d/01-openai/1/worktree")


def test_a_probe_that_fails_stops_the_run_with_the_providers_words(agents: Agents) -> None:
    agents.program("openai", codex_fails("unexpected status 401 Unauthorized: Incorrect API key"))
    agents.program("google", GEMINI_OK)
    probing(agents, retries=5)
    body = 'g [shape=box, llm_provider=google, llm_model="m", prompt="x"] start -> g ' + NODE % ""
    with pytest.raises(PreflightFailed) as raised:
        agents.run(body.replace("start -> a", "g -> a"))
    said = str(raised.value)
    assert "found 1 problem" in said
    assert "llm_provider=openai backend=cli model=gpt-5.4: prompt probe failed (auth): " in said
    assert "Incorrect API key" in said
    root = Path(said.split("all checks: ")[1]).parent
    assert not json.loads((root / "preflight_report.json").read_text())["ok"]
    assert not (root / "manifest.json").exists()
    assert [path.name for path in (root / "preflight.d/02-openai").iterdir()] == ["1"]  # a wrong key stays wrong
    assert "Incorrect API key" in (root / "preflight.d/02-openai/1/stdout.log").read_text()


def test_a_transient_probe_failure_is_asked_again(agents: Agents) -> None:
    once = f'if [ ! -e "{agents.folder}/asked" ]; then touch "{agents.folder}/asked"\n'
    agents.program("openai", once + codex_fails("unexpected status 503 Service Unavailable") + f"fi\n{CODEX_OK}")
    probing(agents)
    ran = agents.run(NODE % ", auto_status=true")
    assert ran.result.final.status == "success"
    assert sorted(path.name for path in (ran.root / "preflight.d/01-openai").iterdir()) == ["1", "2"]


def test_a_probe_without_an_answer_is_ended_with_all_it_started(agents: Agents) -> None:
    agents.program("openai", f'echo $$ > "{agents.folder}/pids"; sleep 600 & echo $! >> "{agents.folder}/pids"; wait\n')
    probing(agents, timeout_ms=300, retries=1)
    with pytest.raises(PreflightFailed, match=r"prompt probe failed after 2 attempts \(timeout\)"):
        agents.run(NODE % "")
    assert not living(agents.folder / "pids")


def test_probes_cost_nothing_where_something_else_is_wrong_and_nothing_unless_enabled(agents: Agents) -> None:
    agents.program("openai", CODEX_OK)
    probing(agents)
    agents.config["llm"]["providers"]["google"] = {"backend": "cli", "executable": str(agents.folder / "missing")}
    (agents.folder / "run.json").write_text(json.dumps(agents.config))
    body = 'g [shape=box, llm_provider=google, llm_model="m", prompt="x"] start -> g -> a ' + NODE % ""
    asked = request(agents.repo, body, config=agents.folder / "run.json", allow_test_shim=True)
    preflight = preflight_only(plan_run(asked), os.environ, StopRequest())
    assert [check.check for check in preflight.problems] == ["program"]
    probing(agents, enabled=False)
    agents.config["llm"]["providers"].pop("google")
    root = agents.folder / "not-probed"
    assert not (agents.run(NODE % ", auto_status=true", logs_root=root).root / "preflight.d").exists()
    assert "Reply with the single word OK" not in (agents.folder / "argv").read_text()


def test_a_run_may_begin_where_an_earlier_probe_failed(agents: Agents) -> None:
    agents.program("openai", codex_fails("unexpected status 401 Unauthorized: Incorrect API key"))
    probing(agents)
    root = agents.folder / "logs"
    with pytest.raises(PreflightFailed):
        agents.run(NODE % "", logs_root=root)
    agents.program("openai", CODEX_OK)
    assert agents.run(NODE % ", auto_status=true", logs_root=root).result.final.status == "success"


def test_a_stop_during_probes_cancels_the_run_before_its_first_node(agents: Agents) -> None:
    stop = StopRequest()
    agents.program("openai", f"kill -TERM {os.getpid()}; sleep 600\n")
    probing(agents)
    (agents.folder / "run.json").write_text(json.dumps(agents.config))
    asked = request(agents.repo, NODE % "", config=agents.folder / "run.json", allow_test_shim=True)
    before = signal.getsignal(signal.SIGTERM)
    stop.listen(signal.SIGTERM)
    try:
        ran = Ran(start_run(plan_run(asked), environment=os.environ, stop=stop))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ran.result.final.status == "canceled"
    assert ran.nodes() == []
