"""The sessions of a fake program: files in its state directory, where the real one keeps its own.

A start that goes on with a session answers as one that has heard it all: what was said before counts as part of its
prompt. One that cannot find the session fails, as the real programs do.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Sequence
from typing import Any

from harness.agents.fakes.plan import state_directory

__all__ = ["Memory"]

# Relative to the state directory. `{project}` is named after the working directory.
_FOLDERS = {"codex": "sessions", "claude": "projects/{project}", "gemini": ".gemini/tmp/{project}/chats"}


class Memory:
    """One program's session, told apart by its id. Without a state directory nothing is kept."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._state = state_directory(program)
        self.session = ""
        self.said: list[str] = []
        self.usage = [0, 0]

    def recall(self, session: str) -> bool:
        """Go on with that session, or with the latest for `latest`; False where there is none."""
        if not self._state:
            return False
        pattern = os.path.join(self._state, _FOLDERS[self._program].replace("{project}", "*"), "session-*.jsonl")
        wanted = [path for path in glob.glob(pattern) if session == "latest" or session in path]
        if not wanted:
            return False
        newest = max(wanted, key=os.path.getmtime)
        self.session = os.path.basename(newest).removeprefix("session-").removesuffix(".jsonl")
        with open(newest, encoding="utf-8") as file:
            for line in file:
                note = json.loads(line)
                self.said.append(note["said"])
                self.usage = note["usage"]
        return True

    def keep(self, session: str, said: Sequence[str], usage: Sequence[int]) -> None:
        """Add to the session's file."""
        if not self._state:
            return
        project = os.path.basename(os.getcwd())
        folder = os.path.join(self._state, _FOLDERS[self._program].replace("{project}", project))
        os.makedirs(folder, exist_ok=True)
        # The real ones write a file a start; it is the same to whoever copies them.
        with open(os.path.join(folder, f"session-{session}.jsonl"), "a", encoding="utf-8") as file:
            for text in said:
                note: dict[str, Any] = {"said": text, "usage": list(usage)}
                file.write(json.dumps(note) + "\n")
