"""Agent stages with small stand-in programs, which print what the real ones print (tests/backends/golden)."""

import json
import os
from pathlib import Path
from typing import Any

from attractor.app import plan_run, start_run
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
