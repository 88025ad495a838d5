"""`tool_hooks.pre` and `tool_hooks.post`: shell commands around an agent's tool calls (spec 9.7).

An agent program makes its tool calls itself and only tells of them in its stream. So a pre-hook runs when a call is
seen, and cannot keep it from happening: what a failing hook says is recorded in `tool_hooks.log` and in an event,
and the stage goes on. (Where the engine makes the calls itself, a failing pre-hook skips the call.)
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from attractor.backends import AgentEvent
from attractor.contracts import StageRun
from attractor.rundir import encode_json

TIMEOUT_SECONDS = 30.0
_HOOK_OF_KIND: Mapping[str, str] = {"tool_call": "tool_hooks.pre", "tool_result": "tool_hooks.post"}


class ToolHooks:
    """The hooks of one stage, the node's before the graph's."""

    def __init__(self, stage: StageRun, environment: Mapping[str, str]) -> None:
        self._commands = {kind: stage.node.text(name) or stage.graph.text(name) for kind, name in _HOOK_OF_KIND.items()}
        self._cwd = stage.worktree
        self._log = stage.stage_dir / "tool_hooks.log"
        self._environment = environment

    def saw(self, event: AgentEvent) -> None:
        """Run the hook for this event, if there is one."""
        command = self._commands.get(event.kind, "")
        if command:
            self._record(_HOOK_OF_KIND[event.kind], event, self._run(command, event))

    def _run(self, command: str, event: AgentEvent) -> str:
        """What went wrong; '' where nothing did."""
        environment = {**self._environment, "ATTRACTOR_TOOL_NAME": event.tool, "ATTRACTOR_TOOL_ID": event.tool_id}
        try:
            done = subprocess.run(
                ("/bin/sh", "-c", command),
                input=encode_json(asdict(event)),
                cwd=self._cwd,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT_SECONDS,
                check=False,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return str(error)
        except subprocess.TimeoutExpired:
            return f"timed out after {TIMEOUT_SECONDS:g} s"
        said = done.stderr.decode(errors="replace").strip()[-200:]
        return f"exit status {done.returncode}: {said}".rstrip(": ") if done.returncode else ""

    def _record(self, hook: str, event: AgentEvent, problem: str) -> None:
        line = {"hook": hook, "tool": event.tool, "tool_id": event.tool_id, "ok": not problem, "problem": problem}
        with Path(self._log).open("ab") as log:
            log.write(encode_json(line) + b"\n")
