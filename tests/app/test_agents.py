"""Agent stages with small stand-in programs: the stage contract, preflight, failure policy, watchdogs, spend.

The stand-ins print what the real programs print (tests/backends/golden); the matrix runs the real ones.
"""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from attractor.app import plan_run, start_run
from attractor.errors import AttractorError, ConfigError, PreflightFailed
from attractor.processes import StopRequest
from tests.app.runs import Ran, request

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
