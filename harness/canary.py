"""A secret of the case's own, in the environment of everything it starts, and where it has shown up all the same.

A run may hand it to its stages, as it does with the credentials of agents. No record of the run may hold it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.evidence import RunEvidence

__all__ = ["CANARY_VARIABLE", "find_canary"]

# Named as secrets are, so that whoever redacts by name has its chance.
CANARY_VARIABLE = "HARNESS_CANARY_API_KEY"
CHUNK_BYTES = 1 << 20


def find_canary(canary: str, runs: Iterable[RunEvidence], outputs: Path, worktree: str) -> tuple[str, ...]:
    """Every place that holds it: files of logs roots (but for worktrees, whose content is the stages' own), commit
    messages, CXDB turns, and what the engine's commands have printed, in the folder `outputs`.
    """
    needle = canary.encode()
    found: list[str] = []
    for run in runs:
        found += [f"{run.name}: {path}" for path in _files_with(needle, Path(run.logs_root), worktree)]
        for one in (run, *run.all_branches()):
            found += [f"{one.name}: commit {commit.sha[:12]}" for commit in one.commits if canary in commit.message]
            found += [
                f"{one.name}: turn {number} {turn.turn_type}"
                for number, turn in enumerate(one.turns.turns)
                if canary in json.dumps(turn.data, default=str, ensure_ascii=False)
            ]
    found += [f"output: {path}" for path in _files_with(needle, outputs, "")]
    return tuple(found)


def _files_with(needle: bytes, root: Path, without: str) -> Iterator[str]:
    for directory, names, files in os.walk(root):
        if without in names:
            names.remove(without)
        for name in files:
            path = Path(directory) / name
            if path.is_file() and not path.is_symlink() and _holds(path, needle):
                yield str(path.relative_to(root))


def _holds(path: Path, needle: bytes) -> bool:
    """Read in pieces that overlap: agents may have printed gigabytes."""
    kept = b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                if needle in kept + chunk:
                    return True
                kept = chunk[-len(needle) :]
    except OSError:
        return False  # gone meanwhile
    return False
