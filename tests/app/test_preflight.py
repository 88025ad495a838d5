"""What is found out before any node runs: models, programs, credentials, prompt probes."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from attractor.app import plan_run, preflight_only, start_run
from attractor.errors import AttractorError, ConfigError, PreflightFailed
from attractor.processes import StopRequest
from tests.app.agents import CODEX_OK, GEMINI_OK, NODE, STATUS, Agents, codex_fails
from tests.app.runs import Ran, request
from tests.processes.living import living


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
