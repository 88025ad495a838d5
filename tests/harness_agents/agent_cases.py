"""The recorded cases of the real programs: what the provider answered, and what was printed then."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import selectors
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.agents.equipment import Equipment, equip
from harness.agents.spec import AgentSpec
from harness.processes import until

GOLDEN = Path(__file__).parents[1] / "backends" / "golden"
PROVIDERS = {"codex": "openai", "gemini": "google"}
ARGUMENTS = {
    "codex": ["exec", "--json", "--sandbox", "workspace-write", "--skip-git-repo-check", "-m", "gpt-5.4", "say hello"],
    "gemini": [
        "-p",
        "say hello",
        "--output-format=stream-json",
        "--yolo",
        "-m",
        "gemini-3-pro-preview",
        "--skip-trust",
    ],
    "claude": ["-p", "--output-format", "stream-json", "--verbose", "--model", "claude-sonnet-4-5", "say hello"],
}
OK = {"text": "Hello from the fake."}


def _error(status: int, code: str = "synthetic") -> dict[str, Any]:
    message = f"synthetic {status}"
    body = json.dumps({"error": {"message": message, "type": "x", "code": code}}, separators=(",", ":"))
    return {"http": status, "message": message, "body": body}


ANSWERS: Mapping[str, Mapping[str, tuple[Mapping[str, Any], ...]]] = {
    program: {
        "ok": (OK,),
        "tool": (tool, OK),
        **{str(status): (_error(status),) for status in (401, 429, 500, 503)},
        "404": (_error(404, "model_not_found"),),
        "cut": ({**OK, "cut_after_events": 1},),
        "hang": ({"hang": True},),
        "refused": ({"refuse": True},),
    }
    for program, tool in {
        "codex": {"shell": "printf made > made.txt; echo done"},
        "gemini": {"write": {"made.txt": "made"}},
    }.items()
}


def recorded(program: str) -> dict[str, dict[str, Any]]:
    data = json.loads((GOLDEN / f"{program}.json").read_text(encoding="utf-8"))
    return {case["provider_answers"]: case for case in data["cases"]}


@dataclasses.dataclass(frozen=True)
class Ended:
    code: int
    stdout: list[str]
    stderr: str
    cwd: Path
    equipment: Equipment
    pid: int


def start(
    equipment: Equipment, program: str, arguments: list[str], cwd: Path, *, stdin: Any = None, **environment: str
) -> subprocess.Popen[bytes]:
    assert equipment.search_path is not None
    with (cwd.parent / "stderr").open("wb") as errors:
        return subprocess.Popen(
            [equipment.search_path / program, *arguments],
            cwd=cwd,
            env={"PATH": os.environ["PATH"], "HOME": str(cwd.parent), **equipment.environment, **environment},
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )


def run_agent(
    tmp_path: Path,
    program: str,
    answers: tuple[Mapping[str, Any], ...],
    *,
    real: bool = False,
    retries: bool = True,
    end_after: int = 0,
) -> Ended:
    """Runs it to its end; with `end_after`, its group gets SIGTERM once it was answered and so many lines are out."""
    provider = {**PROVIDERS, "claude": "anthropic"}[program]
    cwd = tmp_path / "work"
    cwd.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        spec = AgentSpec(real=real, retries=retries, answers={provider: answers})
        equipment = equip(spec, tmp_path / "agents", {}, stack)
        process = start(equipment, program, ARGUMENTS[program], cwd)
        assert process.stdout is not None
        with process, process.stdout as output:
            lines = read_lines(output, end_after) if end_after else []
            if end_after:
                assert until(lambda: bool(equipment.answered()), 30)
                os.killpg(process.pid, signal.SIGTERM)
            lines += output.read().decode(errors="replace").splitlines()
        code = process.wait()
        return Ended(code, lines, (tmp_path / "stderr").read_text(errors="replace"), cwd, equipment, process.pid)


def read_lines(output: Any, count: int, seconds: float = 30.0) -> list[str]:
    """The first lines of an output that does not end."""
    received = b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while received.count(b"\n") < count and selector.select(seconds):
            piece = os.read(output.fileno(), 65536)
            if not piece:
                break
            received += piece
    return received.decode(errors="replace").splitlines()


_VARIES = [
    (re.compile(r'"(thread_id|session_id|timestamp|tool_id)":"[^"]*"'), r'"\1":"<\1>"'),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://<provider>"),
    (re.compile(r'"duration_ms":\d+'), '"duration_ms":<n>'),
    # Which model a name stands for is the program's own affair, and so is how it splits the sum.
    (re.compile(r'"models":\{.*\}(?=\}\}$)'), '"models":<models>'),
]


def shape(line: str) -> str:
    """The line without what differs between two runs of the same program."""
    for pattern, instead in _VARIES:
        line = pattern.sub(instead, line)
    return line
