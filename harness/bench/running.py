"""One run of the engine on a graph, in a fresh repository: its files, its start, its proof.

Rules: the repository, the logs root and the configuration live in the folder that is given and go with it. What
the run claims is checked against git itself. Knows command lines and files, not what is measured.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness.bench.children import Child, Finished, MeasureError
from harness.bench.outcomes import Metric
from harness.bench.workbench import CxdbAddress, Workbench
from harness.repos import make_repository
from harness.scenario import RepoSpec

__all__ = ["RunFolder", "bound_for", "process_sample", "told_by"]

RUN_ID = "bench"


def bound_for(size: int) -> float:
    """Seconds after which a run of that many nodes, steps or appends hangs: many times what it should take."""
    return 60.0 + 0.06 * size


def process_sample(done: Finished) -> dict[str, float]:
    return {Metric.WALL: done.wall_seconds, Metric.CPU: done.cpu_seconds, Metric.PEAK: done.peak_mb}


def told_by(done: Finished) -> dict[str, float]:
    """What a script printed: one JSON object on its last line."""
    try:
        told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise MeasureError(f"{done.name}: printed no figures") from error
    return told


class RunFolder:
    """`flags` as on the engine's command line; without --no-cxdb the run is recorded in `cxdb`, by default the bench's.

    `commits` is how many the run has to make, those of its branches included.
    """

    def __init__(
        self,
        folder: Path,
        bench: Workbench,
        *,
        graph: str,
        commits: int,
        flags: tuple[str, ...] = (),
        cxdb: CxdbAddress | None = None,
    ) -> None:
        self._folder = folder
        self._bench = bench
        self._graph = graph
        self._commits = commits
        self._flags = flags
        self._cxdb = cxdb
        self._repository = make_repository(folder / "repo", RepoSpec())
        self.logs_root = folder / "logs"
        self.progress = self.logs_root / "progress.ndjson"

    def start(self) -> Child:
        graph = self._folder / "graph.dot"
        graph.write_text(self._graph, encoding="utf-8")
        words = ["--graph", str(graph), "--run-id", RUN_ID, "--logs-root", str(self.logs_root), "--quiet", *self._flags]
        if "--no-cxdb" not in self._flags:
            config = self._folder / "config.json"
            config.write_text(
                json.dumps({"version": 1, "cxdb": dict(self._cxdb or self._bench.cxdb())}), encoding="utf-8"
            )
            words += ["--config", str(config)]
        words += (
            ["--workdir", str(self._folder)] if "--no-git" in self._flags else ["--repo", str(self._folder / "repo")]
        )
        return self._bench.start_engine(self._folder, "run", *words)

    def check_commits(self) -> None:
        """MeasureError unless git counts as many commits beyond the base, or none where there is no git."""
        expected = 0 if "--no-git" in self._flags else self._commits
        found = int(self._repository.run("rev-list", "--count", "--all", "^main"))
        if found != expected:
            raise MeasureError(f"attractor run: expected {expected} commits, git counts {found}")
