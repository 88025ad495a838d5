"""The plan of a fake program: what it is to do, start by start, and the record of how it was started.

A plan is a JSON file: `answers` as in the harness's grammar (each list goes on where the last start of the
program stopped, as a provider's would), `records` and `places` the files kept beside it. Stages may run side
by side: places are kept under a lock, records are whole lines.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import time
from typing import Any

__all__ = ["Plan", "state_directory"]

# Where each program keeps its state, when told to.
STATE_VARIABLES = {"codex": "CODEX_HOME", "claude": "CLAUDE_CONFIG_DIR", "gemini": "GEMINI_CLI_HOME"}
_SHOWN = ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")


class Plan:
    """One program's plan."""

    def __init__(self, path: str, program: str) -> None:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        self.program = program
        self._lists: dict[str, list[dict[str, Any]]] = {}
        for answer in data["answers"]:
            self._lists.setdefault(answer.get("when", ""), []).extend([answer] * answer.get("times", 1))
        self._numbers = {id(answer): number for number, answer in enumerate(data["answers"])}
        self.retries: bool = data.get("retries", True)
        self._places = data["places"]
        self._records = data["records"]
        self._model = ""

    def take(self, prompt: str) -> dict[str, Any]:
        """The next answer for that prompt; the last one for ever."""
        when = next((when for when in self._lists if when and when in prompt), "")
        answers = self._lists.get(when)
        if not answers:
            return {"exit": 70, "stderr": f"the plan has no answer for {self.program}"}
        with open(self._places, "a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            places = json.loads(file.read() or "{}")
            place = places.get(when, 0)
            places[when] = place + 1
            file.truncate(0)
            file.write(json.dumps(places))
        answer: dict[str, Any] = answers[min(place, len(answers) - 1)]
        self._note({"answer": self._numbers[id(answer)], "model": self._model})
        return answer

    def record(self, argv: list[str], **facts: Any) -> None:
        """Names of the environment, never its values, but for the directories that matter."""
        state = state_directory(self.program)
        self._model = facts.get("model", "")
        facts = {
            "argv": argv,
            "cwd": os.getcwd(),
            "pid": os.getpid(),
            "environment": sorted(name for name in os.environ if not name.startswith("HARNESS_")),
            "shown": {
                name: value for name, value in os.environ.items() if name in _SHOWN or name.startswith("ATTRACTOR_")
            },
            "state_dir": state,
            "state_mode": _mode(state),
            **facts,
        }
        self._note(facts)

    def _note(self, facts: dict[str, Any]) -> None:
        """One write, so that lines of several programs do not mix."""
        note = {"program": self.program, "at": time.time(), **facts}
        data = json.dumps(note, ensure_ascii=False).encode(errors="replace") + b"\n"
        descriptor = os.open(self._records, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.write(descriptor, data)
        os.close(descriptor)


def state_directory(program: str) -> str:
    """As the environment says it, relative or not; empty where the program would use its home."""
    return os.environ.get(STATE_VARIABLES[program], "")


def _mode(path: str) -> str:
    try:
        return f"{stat.S_IMODE(os.stat(path).st_mode):04o}" if path else ""
    except OSError:
        return "missing"
