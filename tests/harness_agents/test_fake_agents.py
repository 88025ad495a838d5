"""The fakes: the same recordings as the real programs, the faults only they can have, and their strictness."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from agent_cases import ANSWERS, ARGUMENTS, OK, PROVIDERS, Ended, read_lines, recorded, run_agent, shape, start

from harness.agents.equipment import equip
from harness.agents.spec import AgentSpec
from harness.processes import until

CASES = [(program, case) for program in PROVIDERS for case in recorded(program)]
ALL = (*PROVIDERS, "claude")


def spoken(ended: Ended) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.stdout]


# A fake's model is the one it was asked for, its tenth of a second is none of a second, its sums are its own.
def _as_fake(line: str) -> str:
    record = json.loads(shape(line).replace('"duration_ms":<n>', '"duration_ms":0').replace("<models>", "0"))
    return json.dumps(record).replace("http://<provider>", "http://127.0.0.1:1")


@pytest.mark.parametrize(("program", "case"), CASES, ids=["-".join(pair) for pair in CASES])
def test_a_fake_prints_what_was_recorded_of_the_real_one(program: str, case: str, tmp_path: Path) -> None:
    golden = recorded(program)[case]
    never_ends = golden["note"] is not None
    end_after = min(len(golden["stdout"]), 4) if never_ends else 0
    ended = run_agent(tmp_path, program, ANSWERS[program][case], end_after=end_after)
    lines, wanted = [shape(line) for line in ended.stdout], [shape(line) for line in golden["stdout"]]
    if never_ends:
        lines, wanted = lines[:end_after], wanted[:end_after]
    assert (ended.code, lines) == (golden["exit_code"], wanted)
    assert (ended.cwd / "made.txt").exists() == (case == "tool")


def test_claude_speaks_as_its_documentation_says(tmp_path: Path) -> None:
    ended = run_agent(tmp_path, "claude", ({"write": {"a/b.txt": "x"}}, {"text": "Done."}))
    kinds = [(line["type"], line.get("subtype")) for line in spoken(ended)]
    assert kinds == [
        ("system", "init"),
        ("assistant", None),
        ("user", None),
        ("assistant", None),
        ("result", "success"),
    ]
    result = spoken(ended)[-1]
    assert (result["is_error"], result["result"], result["usage"]["input_tokens"]) == (False, "Done.", 22)
    assert (ended.code, (ended.cwd / "a/b.txt").read_text()) == (0, "x")


def test_claude_tells_of_its_retries_and_fails_with_an_error_result(tmp_path: Path) -> None:
    ended = run_agent(tmp_path, "claude", ({"http": 529, "times": 2}, {"http": 401, "message": "bad key"}))
    lines = spoken(ended)
    retries = [line for line in lines if line.get("subtype") == "api_retry"]
    assert [(line["attempt"], line["error_status"]) for line in retries] == [(1, 529), (2, 529)]
    assert (lines[-1]["is_error"], ended.code) == (True, 1)
    assert lines[-1]["result"].startswith("API Error: 401")


def test_claude_tells_a_usage_limit_with_the_second_it_opens_again(tmp_path: Path) -> None:
    answer = {"http": 429, "code": "usage_limit_reached", "retry_after": 60}
    before = time.time()
    ended = run_agent(tmp_path, "claude", (answer,))
    words, _, opens = spoken(ended)[-1]["result"].partition("|")
    assert (words, ended.code) == ("Claude AI usage limit reached", 1)
    assert before + 60 <= int(opens) <= time.time() + 61


def test_gemini_tells_a_long_wait_in_whole_milliseconds(tmp_path: Path) -> None:
    ended = run_agent(tmp_path, "gemini", ({"http": 429, "retry_after": 7200},), retries=False)
    assert "retryDelayMs: 7200000," in ended.stderr


ENDINGS: Mapping[str, tuple[Mapping[str, Any], int]] = {
    "exits without a result": ({"exit": 0}, 0),
    "exits with a code and a word": ({"exit": 3, "stderr": "out of luck"}, 3),
    "is killed in mid-stream": ({"die": "KILL"}, -9),
    "has no answer": ({"when": "never said", **OK}, 70),
}


@pytest.mark.parametrize("program", ALL)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_fake_ends_as_told(program: str, ending: str, tmp_path: Path) -> None:
    answer, code = ENDINGS[ending]
    ended = run_agent(tmp_path, program, (answer,))
    assert ended.code == code
    assert not any('"result"' in line or "turn.completed" in line for line in ended.stdout)
    assert answer.get("stderr", "") in ended.stderr


def test_a_program_dies_in_the_middle_of_a_line(tmp_path: Path) -> None:
    last = run_agent(tmp_path, "codex", ({"die": "KILL"},)).stdout[-1]
    with pytest.raises(ValueError):
        json.loads(last)


@pytest.mark.parametrize(("program", "code"), [("codex", -15), ("gemini", 0), ("claude", 143)])
def test_ended_by_sigterm_each_has_its_own_exit_code(program: str, code: int, tmp_path: Path) -> None:
    ended = run_agent(tmp_path, program, ({"forever": True},), end_after=6)
    assert ended.code == code
    assert len(ended.stdout) >= 6


def test_a_flood_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    ended = run_agent(tmp_path, "codex", ({"flood": 5_000_000}, OK))
    size = sum(len(line) + 1 for line in ended.stdout)
    assert 5_000_000 <= size < 5_100_000
    assert "turn.completed" in ended.stdout[-1]


def test_noise_is_no_text_and_the_program_goes_on(tmp_path: Path) -> None:
    ended = run_agent(tmp_path, "gemini", ({"noise": 2000}, OK))
    assert any("\ufffd" in line for line in ended.stdout)
    assert (ended.code, json.loads(ended.stdout[-1])["status"]) == (0, "success")


def test_a_command_left_in_the_background_does_not_hold_the_program(tmp_path: Path) -> None:
    fifo = tmp_path / "stop"
    shell = f"mkfifo {fifo}; (read _ < {fifo}; echo late > late.txt) & echo started"
    ended = run_agent(tmp_path, "codex", ({"shell": shell}, OK))
    assert ended.code == 0
    assert "started" in "".join(ended.stdout)
    assert not (ended.cwd / "late.txt").exists()
    fifo.write_text("\n")
    assert until(lambda: (ended.cwd / "late.txt").exists(), 10)


def test_a_status_file_goes_where_it_is_told_to(tmp_path: Path) -> None:
    ended = run_agent(tmp_path, "codex", ({"status": {"outcome": "fail"}, **OK},))
    assert json.loads((ended.cwd / "status.json").read_text()) == {"outcome": "fail"}


def test_other_starts_get_other_answers(tmp_path: Path) -> None:
    """The plan goes on from start to start; answers with `when` are a list of their own."""
    answers = ({"http": 404, "message": "first"}, {"text": "second"}, {"when": "say hell", "text": "mine"})
    said = []
    with contextlib.ExitStack() as stack:
        equipment = equip(AgentSpec(answers={"openai": answers}), tmp_path / "agents", {}, stack)
        (tmp_path / "work").mkdir()
        for prompt in ("a", "b", "c", "say hello"):
            process = start(equipment, "codex", [*ARGUMENTS["codex"][:-1], prompt], tmp_path / "work")
            said.append(process.communicate()[0].decode())
    assert ["first" in said[0], "second" in said[1], "second" in said[2], "mine" in said[3]] == [True] * 4
    assert equipment.answered() == ("openai",) * 4


def test_an_answer_that_comes_while_it_tries_again_is_taken_up(tmp_path: Path) -> None:
    ended = run_agent(tmp_path, "codex", ({"http": 500, "times": 3}, OK))
    assert (ended.code, len(ended.equipment.answered())) == (0, 4)
    assert "Reconnecting... 1/1" in "".join(ended.stdout)


def test_without_retries_the_first_failure_is_the_last(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with contextlib.ExitStack() as stack:
        spec = AgentSpec(retries=False, answers={"google": ({"http": 503},)})
        equipment = equip(spec, tmp_path / "agents", {}, stack)
        process = start(equipment, "gemini", ARGUMENTS["gemini"], tmp_path / "work")
        process.communicate()
    assert (process.returncode, len(equipment.answered())) == (503 % 256, 1)


WRONG = {
    "unknown flag": ["exec", "--json", "--no-such-flag", "x"],
    "no subcommand": ["--json", "x"],
    "no value": ["exec", "--json", "x", "--model"],
    "no such sandbox": ["exec", "--json", "--sandbox", "none", "x"],
    "not the stream format": ["exec", "x"],
    "two prompts": ["exec", "--json", "x", "y"],
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_command_line_is_refused_and_on_record(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with contextlib.ExitStack() as stack:
        equipment = equip(AgentSpec(answers={"openai": (OK,)}), tmp_path / "agents", {}, stack)
        process = start(equipment, "codex", WRONG[wrong], tmp_path / "work")
        assert process.communicate()[0] == b""
    (noted,) = equipment.starts()
    assert (process.returncode, bool(noted["refused"])) == (2, True)
    assert equipment.answered() == ()


@pytest.mark.parametrize(
    ("program", "arguments", "environment", "code", "said"),
    [
        ("gemini", ARGUMENTS["gemini"], {"GEMINI_API_KEY": ""}, 41, "Please set an Auth method"),
        ("claude", [a for a in ARGUMENTS["claude"] if a != "--verbose"], {}, 1, "requires --verbose"),
        ("codex", ["exec", "--json", "x"], {}, 1, "Not inside a trusted directory"),
        ("codex", [*ARGUMENTS["codex"], "-C", "/no/such/place"], {}, 1, "No such file"),
    ],
)
def test_a_fake_will_not_start_where_the_real_one_would_not(
    program: str, arguments: list[str], environment: dict[str, str], code: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    with contextlib.ExitStack() as stack:
        spec = AgentSpec(answers={"openai": (OK,), "google": (OK,), "anthropic": (OK,)})
        equipment = equip(spec, tmp_path / "agents", {}, stack)
        process = start(equipment, program, arguments, tmp_path / "work", **environment)
        process.communicate()
    assert process.returncode == code
    assert said in (tmp_path / "stderr").read_text()


def test_a_start_is_on_record_without_any_value_of_the_environment(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    (tmp_path / "work").mkdir()
    with contextlib.ExitStack() as stack:
        equipment = equip(AgentSpec(answers={"openai": (OK,)}), tmp_path / "agents", {"HARNESS_CASE": "x"}, stack)
        process = start(equipment, "codex", ARGUMENTS["codex"], tmp_path / "work", CODEX_HOME=str(state))
        process.communicate()
    (noted,) = equipment.starts()
    assert (noted["state_dir"], noted["state_mode"], noted["model"]) == (str(state), "0700", "gpt-5.4")
    assert noted["argv"] == ARGUMENTS["codex"]
    assert "OPENAI_API_KEY" in noted["environment"]
    assert "HARNESS_CASE" not in noted["environment"]
    assert "dummy" not in json.dumps(noted)


def test_a_look_at_the_help_is_no_start(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with contextlib.ExitStack() as stack:
        equipment = equip(AgentSpec(answers={"openai": (OK,)}), tmp_path / "agents", {}, stack)
        process = start(equipment, "codex", ["exec", "--help"], tmp_path / "work")
        assert b"--skip-git-repo-check" in process.communicate()[0]
    assert equipment.starts() == ()


def test_a_prompt_may_come_by_standard_input(tmp_path: Path) -> None:
    for program, arguments in (("codex", [*ARGUMENTS["codex"][:-1], "-"]), ("claude", ARGUMENTS["claude"][:-1])):
        place = tmp_path / program
        (place / "work").mkdir(parents=True)
        with contextlib.ExitStack() as stack:
            spec = AgentSpec(answers={"openai": (OK,), "anthropic": (OK,)})
            equipment = equip(spec, place / "agents", {}, stack)
            text = place / "prompt.txt"
            text.write_text("- a long one")
            with text.open("rb") as prompt:
                process = start(equipment, program, arguments, place / "work", stdin=prompt)
                process.communicate()
        assert (process.returncode, equipment.starts()[0]["prompt"]) == (0, "- a long one")


def test_sigterm_can_be_ignored(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with contextlib.ExitStack() as stack:
        spec = AgentSpec(answers={"google": ({"forever": True, "ignore_term": True},)})
        equipment = equip(spec, tmp_path / "agents", {}, stack)
        process = start(equipment, "gemini", ARGUMENTS["gemini"], tmp_path / "work")
        assert process.stdout is not None
        with process, process.stdout as output:
            read_lines(output, 4)
            process.send_signal(signal.SIGTERM)
            assert len(read_lines(output, 4)) >= 4
            process.kill()
    assert process.returncode == -9


def test_a_fake_starts_quickly(tmp_path: Path) -> None:
    began = time.monotonic()
    run_agent(tmp_path, "codex", (OK,))
    assert time.monotonic() - began < 2
