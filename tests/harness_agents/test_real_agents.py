"""The real codex and gemini against the scripted provider print what was recorded of them, case by case."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from agent_cases import ANSWERS, PROVIDERS, recorded, run_agent, shape

from harness.agents.real import agents_problem
from harness.provider.process import read_notes

CASES = [(program, case) for program in PROVIDERS for case in recorded(program)]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


@pytest.fixture(autouse=True)
def agents_installed() -> None:
    problem = agents_problem("openai") or agents_problem("google")
    if problem:
        pytest.skip(problem)


@pytest.mark.parametrize(("program", "case"), CASES, ids=["-".join(pair) for pair in CASES])
def test_a_real_agent_does_what_was_recorded(program: str, case: str, tmp_path: Path) -> None:
    golden = recorded(program)[case]
    never_ends = golden["note"] is not None
    end_after = min(len(golden["stdout"]), 4) if never_ends else 0
    ended = run_agent(tmp_path, program, ANSWERS[program][case], real=True, end_after=end_after)
    lines, wanted = [shape(line) for line in ended.stdout], [shape(line) for line in golden["stdout"]]
    if never_ends:  # cut off at another moment than the recording
        lines, wanted = lines[:end_after], wanted[:end_after]
    assert (ended.code, lines) == (golden["exit_code"], wanted)
    turns = [note for note in read_notes(tmp_path / "agents" / "requests.ndjson") if note.get("answer") is not None]
    if not never_ends:
        assert len(turns) == golden["requests"]
    assert (ended.cwd / "made.txt").exists() == (case == "tool")


def test_a_gemini_stream_that_breaks_off_ends_with_exit_0_and_an_error(tmp_path: Path) -> None:
    """Not among the recordings: exit 0, a result line, and yet no success."""
    ended = run_agent(tmp_path, "gemini", ({"text": "Half", "cut_after_events": 1},), real=True)
    assert ended.code == 0
    assert '"type":"result"' in ended.stdout[-1]
    assert '"status":"error"' in ended.stdout[-1]
    assert "Model stream ended without a finish reason." in ended.stdout[-2]


def test_a_start_of_a_real_agent_is_on_record(tmp_path: Path) -> None:
    ended = run_agent(tmp_path, "codex", ANSWERS["codex"]["404"], real=True)
    (start,) = ended.equipment.starts()
    assert (start["pid"], ended.equipment.asked()) == (ended.pid, ("openai gpt-5.4",))
    assert (start["provider"], start["argv"][0], start["cwd"]) == ("openai", "exec", str(ended.cwd))
    assert ended.equipment.answered() == ("openai",)


ANSWERS_TO_BOTH: tuple[Mapping[str, Any], ...] = (
    *({"http": status} for status in (400, 401, 403, 404, 429, 500, 502, 503, 504)),
    {"http": 429, "retry_after": 1},
    {"http": 429, "code": "usage_limit_reached", "retry_after": 7200},
    {"http": 429, "code": "insufficient_quota"},
    {"http": 400, "code": "context_length_exceeded"},
    {"text": "Half", "cut_after_events": 1},
    {"text": "Half", "cut_after_bytes": 100},
    {"garbage": True},
    {"text": "Whole."},
)


@pytest.mark.parametrize("program", PROVIDERS)
@pytest.mark.parametrize("answer", ANSWERS_TO_BOTH, ids=str)
def test_a_fake_and_the_real_one_cannot_be_told_apart(program: str, answer: Mapping[str, Any], tmp_path: Path) -> None:
    """The provider's own kind of error body, and no retries: exit code and every line."""
    ended = [
        run_agent(tmp_path / ("real" if real else "fake"), program, (answer,), real=real, retries=False)
        for real in (True, False)
    ]
    real, fake = ((run.code, [without_address(shape(line)) for line in run.stdout]) for run in ended)
    assert fake == real


def without_address(line: str) -> str:
    return line.replace("http://127.0.0.1:1/", "http://<provider>/")
