"""Names of everything in a run directory (DESIGN 2.2), each once.

Pure: paths from paths. `Layout(root)` describes the base logs root and a `restart-<n>` folder alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand below one logs root (absolute)."""

    root: Path

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def graph(self) -> Path:
        return self.root / "graph.dot"

    @property
    def run_config(self) -> Path:
        return self.root / "run_config.json"

    @property
    def preflight_report(self) -> Path:
        return self.root / "preflight_report.json"

    @property
    def probes(self) -> Path:
        return self.root / "preflight.d"  # with a dot: no node id can be that

    @property
    def pid(self) -> Path:
        return self.root / "run.pid"

    @property
    def lock(self) -> Path:
        return self.root / "run.lock"

    @property
    def out(self) -> Path:
        return self.root / "run.out"

    @property
    def progress(self) -> Path:
        return self.root / "progress.ndjson"

    @property
    def live(self) -> Path:
        return self.root / "live.json"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint.json"

    @property
    def checkpoint_log(self) -> Path:
        return self.root / "checkpoint.log"

    @property
    def final(self) -> Path:
        return self.root / "final.json"

    @property
    def worktree(self) -> Path:
        return self.root / "worktree"

    @property
    def leader_note(self) -> Path:
        return self.root / "stage.pid"

    @property
    def catalog(self) -> Path:
        return self.root / "modeldb.d" / "models.json"

    @property
    def setup(self) -> Path:
        return self.root / "setup.d"

    @property
    def setup_done(self) -> Path:
        return self.setup / "done"

    @property
    def branches(self) -> Path:
        return self.root / "parallel.d"

    @property
    def branch_result(self) -> Path:
        return self.root / "branch_result.json"

    @property
    def unshipped(self) -> Path:
        """There as long as a branch has ended and CXDB lacks turns of it."""
        return self.root / "cxdb_pending.json"

    @property
    def copies(self) -> Path:
        """Up to which turn the copies of this run's, or branch's, CXDB context are there."""
        return self.root / "cxdb_files.json"

    def branch(self, fan: str, pass_name: str, child: str) -> Layout:
        """The folder of one branch of a fan-out: a run directory of its own."""
        return Layout(self.branches / fan / pass_name / child)

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"  # the specification's name; no node may have it

    @property
    def questions(self) -> Path:
        return self.root / "questions.d"

    def stage(self, node_id: str) -> Path:
        return self.root / node_id

    def restart(self, count: int) -> Layout:
        """The logs root in force after `count` loop restarts; itself for 0."""
        return Layout(self.root / f"restart-{count}") if count else self
