"""What somebody does to the user's repository with the git program while a run is at work, or before it."""

from __future__ import annotations

import hashlib

from harness.errors import HarnessError
from harness.faults.scene import Scene, fault_record
from harness.repos import Git
from harness.results import FaultRecord
from harness.scenario import FaultStep

__all__ = ["git"]


def git(step: FaultStep, scene: Scene) -> FaultRecord:
    """Fired when git agreed, and references, worktrees, HEAD or configuration are then others than before."""
    program = scene.git()
    words = [scene.text(word, step.run) for word in step.args]
    before = _state(program)
    try:
        program.run(*words)
    except HarnessError as error:
        return fault_record("git", step.target, False, str(error))
    after = _state(program)
    changed = [f"{name}: {before[name]} -> {after[name]}" for name in before if before[name] != after[name]]
    return fault_record("git", " ".join(words), bool(changed), "; ".join(changed) or "nothing changed by it")


def _state(git: Git) -> dict[str, str]:
    """Each aspect as a short digest; readers of a report need to see that it changed, not into what."""
    said = {
        "references": git.run("for-each-ref", "--format=%(refname) %(objectname)"),
        "worktrees": git.run("worktree", "list", "--porcelain"),
        "HEAD": git.run("symbolic-ref", "-q", "HEAD", ok=(0, 1)) + git.run("rev-parse", "HEAD", ok=(0, 128)),
        "configuration": git.run("config", "--list", "--local"),
    }
    return {name: hashlib.sha256(text.encode()).hexdigest()[:12] for name, text in said.items()}
