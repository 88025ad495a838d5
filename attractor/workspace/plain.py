"""A folder without history, for `--no-git`: stages run in it, nothing is committed or put back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attractor.contracts import CommitInfo, Committed


@dataclass(frozen=True, slots=True)
class PlainFolder:
    """Implements `contracts.Workspace`."""

    path: Path

    def commit(self, info: CommitInfo) -> Committed:
        return Committed()

    def adopt(self, base_sha: str, head_sha: str) -> tuple[str, tuple[str, ...]]:
        return "", ()  # branches have worked in this very folder
