"""Scenarios with agents: what the grammar accepts and refuses, how a case is equipped, what is judged of it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from harness.agents import equipment as equipment_module
from harness.agents.equipment import Equipment, equip, missing_agents
from harness.agents.spec import AgentSpec
from harness.checks import judge_case, judge_proofs
from harness.evidence import CaseEvidence, RunEvidence
from harness.faults import FAULTS, Scene
from harness.processes import ProcessIdentity, identify, until
from harness.results import FaultRecord, Verdict
from harness.sandbox import merged
from harness.scenario import FaultKind, FaultStep, Scenario
from harness.scenario_file import load_scenarios
from harness.toml_table import ScenarioError

HEAD = """guardrail = "agents"
title = "t"
why = "w"
graph = '''
digraph g { a -> b }
'''
steps = [{ run = {} }]
"""
AGENTS = HEAD + '[agents]\nopenai = [{ write = { "a" = "b" } }, { text = "Done.", times = 2 }]\n'

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "agents" / "case.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def load(path: Path) -> Scenario:
    (scenario,) = load_scenarios(path)
    return scenario


def test_a_scenario_without_agents_has_none(write: Write) -> None:
    assert load(write(HEAD)).agents is None


def test_fakes_are_named_in_the_configuration_unless_told_otherwise(write: Write) -> None:
    assert load(write(AGENTS)).agents == AgentSpec(
        answers={"openai": ({"write": {"a": "b"}}, {"text": "Done.", "times": 2})}
    )


def test_every_key_is_read(write: Write) -> None:
    text = HEAD + (
        '[agents]\nprogram = "fake"\ncli_profile = "real"\ncredentials = false\nretries = false\n'
        'google = [{ die = "TERM", when = "x" }, { text = "t", status = { outcome = "fail" }, ignore_term = true }]\n'
    )
    spec = load(write(text)).agents
    assert spec is not None
    assert (spec.test_shim, spec.credentials, spec.retries) == (False, False, False)
    assert spec.answers["google"] == (
        {"when": "x", "die": "TERM"},
        {"text": "t", "status": {"outcome": "fail"}, "ignore_term": True},
    )


def test_a_gate_may_stand_in_an_answer(write: Write) -> None:
    text = AGENTS.replace('{ write = { "a" = "b" } }', '{ shell = "{gate:hold}" }')
    scenario = load(write(text.replace("{ run = {} }", '{ run = {} }, { release = "hold" }')))
    assert scenario.gates == {"hold"}


MISTAKES = {
    "no answers": (HEAD + "[agents]\n", "agents: answers are needed for at least one of: openai"),
    "no such program": (AGENTS + 'program = "fakes"\n', "no such value: 'fakes'; did you mean 'fake'?"),
    "no such key": (AGENTS + "retry = false\n", "unknown key 'retry'; did you mean 'retries'?"),
    "nothing to answer": (AGENTS.replace('text = "Done.", ', ""), "an answer has exactly one of"),
    "two things to answer": (AGENTS.replace('text = "Done."', 'text = "Done.", http = 500'), "found text, http"),
    "a misspelt answer": (AGENTS.replace("text =", "txt ="), "did you mean 'text'?"),
    "an http status that is no error": (AGENTS.replace('text = "Done."', "http = 200"), "400 to 599"),
    "a real program told to die": (
        AGENTS.replace('text = "Done."', 'die = "KILL"') + 'program = "real"\n',
        "only a fake program can be told to",
    ),
    "a real program as a test shim": (
        AGENTS + 'program = "real"\ncli_profile = "test_shim"\n',
        "a real program is no test shim",
    ),
    "a fake's provider that drips": (
        AGENTS.replace('text = "Done."', 'text = "x", bytes_per_second = 3'),
        "only a provider can do that",
    ),
    "no such signal": (AGENTS.replace('text = "Done."', 'die = "KIL"'), "no such value: 'KIL'; did you mean 'KILL'?"),
    "a misspelt placeholder": (AGENTS.replace("Done.", "{scrach}"), "did you mean 'scratch'?"),
    "a proof by nobody": (AGENTS + '[[proof]]\nanswered = "codex"\n', "no such value: 'codex'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused(mistake: str, write: Write) -> None:
    text, expected = MISTAKES[mistake]
    with pytest.raises(ScenarioError) as caught:
        load(write(text))
    assert expected in str(caught.value)


def test_a_case_is_equipped_with_all_three_programs(tmp_path: Path) -> None:
    """Also with those that have no script: a case must never come upon the machine's own."""
    with contextlib.ExitStack() as stack:
        made = equip(AgentSpec(answers={"openai": ({"text": "x"},)}), tmp_path / "agents", {"A": "b c"}, stack)
    assert sorted(path.name for path in (tmp_path / "agents" / "bin").iterdir()) == ["claude", "codex", "gemini"]
    assert "export A='b c'" in (tmp_path / "agents" / "bin" / "codex").read_text()
    executable = str(tmp_path / "agents" / "bin" / "codex")
    assert made.config == {
        "llm": {"cli_profile": "test_shim", "providers": {"openai": {"backend": "cli", "executable": executable}}}
    }
    assert made.run_args == ("--allow-test-shim",)
    assert sorted(made.environment) == ["ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY"]


def test_a_case_without_agents_is_left_as_it_was(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        made = equip(None, tmp_path / "agents", {}, stack)
    assert (made.config, made.environment, made.run_args, made.starts(), made.answered()) == ({}, {}, (), (), ())
    assert not (tmp_path / "agents").exists()


def test_the_scenarios_own_configuration_is_merged_over_the_agents() -> None:
    agents = {"llm": {"cli_profile": "real", "providers": {"openai": {"backend": "cli"}}}}
    own = {"llm": {"providers": {"openai": {"failover": ["google"]}}}, "x": 1}
    assert merged(agents, own) == {
        "llm": {"cli_profile": "real", "providers": {"openai": {"backend": "cli", "failover": ["google"]}}},
        "x": 1,
    }


def test_a_real_agent_that_is_not_there_is_a_reason_to_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equipment_module, "agents_problem", lambda provider: f"needs {provider}")
    real = AgentSpec(real=True, answers={"google": ({"text": "x"},)})
    assert missing_agents(real) == "needs google"
    assert missing_agents(dataclasses.replace(real, real=False)) == missing_agents(None) == ""


def test_there_is_no_real_claude() -> None:
    spec = AgentSpec(real=True, answers={"anthropic": ({"text": "x"},)})
    assert "not open source" in missing_agents(spec)


START: Mapping[str, Any] = {
    "provider": "openai",
    "program": "codex",
    "argv": ["exec"],
    "cwd": "/logs/run/worktree",
    "model": "m",
    "refused": "",
    "state_dir": "/logs/run/work/agent-home/.codex",
    "state_mode": "0700",
    "shown": {"ATTRACTOR_STAGE_DIR": "/logs/run/work"},
}


def judged(scenario: Scenario, *starts: Mapping[str, Any], asked: tuple[str, ...] = ()) -> dict[str, Verdict]:
    run = RunEvidence(name="run", run_id="r", logs_root="/logs/run")
    case = CaseEvidence(runs={"run": run}, commands=(), outcomes=(), faults=(), starts=starts, asked=asked)
    return {check.name: check.verdict for check in judge_case(scenario, case)}


DEFECTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "a refused command line": ("agent command lines", {"refused": "unexpected argument '--x'"}),
    "no worktree": ("agent working directories", {"cwd": "/home/user/repo"}),
    "no state root": ("agent state roots", {"state_dir": ""}),
    "a relative state root": ("agent state roots", {"state_dir": "work/agent-home"}),
    "another stage's state root": ("agent state roots", {"state_dir": "/logs/run/other/agent-home"}),
    "a state root outside the run": ("agent state roots", {"state_dir": "/tmp/x", "shown": {}}),
    "a state root for all to read": ("agent state roots", {"state_mode": "0755"}),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_in_how_an_agent_was_started_is_red(defect: str, write: Write) -> None:
    scenario = load(write(AGENTS))
    check, change = DEFECTS[defect]
    sound, broken = judged(scenario, START), judged(scenario, START, {**START, **change})
    assert (sound[check], broken[check]) == (Verdict.GREEN, Verdict.RED)


def test_a_case_without_starts_is_not_judged_by_them(write: Write) -> None:
    assert not {name for name in judged(load(write(HEAD))) if name.startswith("agent")}


def test_the_order_of_starts_is_an_expectation(write: Write) -> None:
    scenario = load(write(AGENTS + '[expect]\nstarts = ["openai m", "google n"]\n'))
    other = {**START, "provider": "google", "model": "n"}
    assert judged(scenario, START, other)["agents started"] is Verdict.GREEN
    assert judged(scenario, other, START)["agents started"] is Verdict.RED
    assert judged(scenario)["agents started"] is Verdict.RED


def test_the_models_that_were_asked_for_are_an_expectation(write: Write) -> None:
    """What a program was told to use, and what it uses, are two things."""
    scenario = load(write(AGENTS + '[expect]\nasked = ["openai m", "openai n"]\n'))
    assert judged(scenario, START, asked=("openai m", "openai n"))["models asked for"] is Verdict.GREEN
    assert judged(scenario, START, asked=("openai m", "openai m"))["models asked for"] is Verdict.RED


def test_models_are_read_from_starts_of_fakes_and_from_requests_of_real_programs(tmp_path: Path) -> None:
    notes = [
        {"program": "codex", "at": 1.0, "argv": [], "pid": 7},
        {"program": "codex", "at": 2.0, "answer": 0, "model": "told"},
    ]
    requests = [
        {"provider": "google", "at": 3.0, "path": "/v1beta/models/m-1:streamGenerateContent", "body": {}, "answer": 0},
        {"provider": "openai", "at": 4.0, "path": "/v1/responses", "body": {"model": "m-2"}, "answer": 0},
        {"provider": "openai", "at": 5.0, "path": "/v1/models", "body": "", "answer": None},
    ]
    (tmp_path / "starts.ndjson").write_text("".join(json.dumps(note) + "\n" for note in notes))
    (tmp_path / "requests.ndjson").write_text("".join(json.dumps(note) + "\n" for note in requests))
    assert Equipment(tmp_path).asked() == ("openai told", "google m-1", "openai m-2")


@pytest.mark.parametrize(("answered_at", "at_work"), [(0.5, None), (None, None), (1.5, 7)])
def test_a_program_is_at_work_once_it_was_answered(
    answered_at: float | None, at_work: int | None, tmp_path: Path
) -> None:
    """An answer of an earlier start is none of the newest one's."""
    start = {"program": "codex", "at": 1.0, "argv": [], "pid": 7}
    answer = {"provider": "openai", "at": answered_at, "path": "/v1/responses", "body": {}, "answer": 0}
    (tmp_path / "starts.ndjson").write_text(json.dumps(start) + "\n")
    (tmp_path / "requests.ndjson").write_text(json.dumps(answer) + "\n" if answered_at is not None else "")
    assert Equipment(tmp_path).at_work() == at_work


@pytest.mark.parametrize(("given", "fired"), [(0, False), (1, False), (2, True), (3, True)])
def test_an_answer_that_was_given_is_a_proof(given: int, fired: bool, write: Write) -> None:
    scenario = load(write(AGENTS + '[[proof]]\nanswered = "openai"\ncount = 2\n'))
    case = CaseEvidence(runs={}, commands=(), outcomes=(), faults=(), answered=("openai",) * given + ("google",) * 3)
    assert [proof.fired for proof in judge_proofs(scenario.proofs, case)] == [fired]


def test_answers_of_a_real_case_reach_the_provider_and_the_plan(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        spec = AgentSpec(real=True, answers={"google": ({"http": 503, "times": 2}, {"text": "x"})})
        made = equip(spec, tmp_path / "agents", {}, stack)
        plan = json.loads((tmp_path / "agents" / "gemini.json").read_text())
        wrapper = (tmp_path / "agents" / "bin" / "gemini").read_text()
    assert plan["answers"] == [{"http": 503, "times": 2}, {"text": "x"}]
    assert "GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:" in wrapper
    assert "HTTPS_PROXY=http://127.0.0.1:9" in wrapper
    assert made.config["llm"]["cli_profile"] == "real"
    assert made.run_args == ()


class AgentScene:
    """As much of a case as the killing of an agent looks at."""

    def __init__(self, agent: ProcessIdentity | None) -> None:
        self.found = agent

    def agent(self) -> ProcessIdentity | None:
        return self.found

    def engine(self, run: str) -> ProcessIdentity | None:
        return self.found

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        return until(condition, seconds)


def kill_agent(agent: ProcessIdentity | None, number: str) -> FaultRecord:
    step = FaultStep(kind=FaultKind.KILL, target="agent", signal=number)
    return FAULTS[step.kind](step, cast(Scene, AgentScene(agent)))


@pytest.mark.parametrize(("number", "own_group", "code"), [("KILL", False, -9), ("TERM", True, -15)])
def test_an_agent_is_killed_and_seen_to_be_gone(number: str, own_group: bool, code: int) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=own_group) as process:
        record = kill_agent(identify(process.pid), number)
        assert (record.fired, process.wait(5)) == (True, code)
    assert "gone from the process table" in record.proof


def test_a_signal_for_a_group_never_hits_another_group() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        record = kill_agent(identify(process.pid), "TERM")
        process.kill()
    assert (record.fired, process.returncode) == (False, -9)


def test_without_an_agent_at_work_the_kill_did_not_happen() -> None:
    assert not kill_agent(None, "KILL").fired
