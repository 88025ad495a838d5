"""Keeps what a report links to in the case's directory, before the sandbox may go. Judges nothing."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

from harness.cxdb.errors import CxdbError
from harness.cxdb_supply import LentCxdb
from harness.engines import Engine
from harness.errors import HarnessError
from harness.evidence import CaseEvidence, RunEvidence
from harness.matrix import Case
from harness.results import Artifact
from harness.sandbox import Sandbox

__all__ = ["keep_artifacts", "keep_cxdb_log"]


def keep_artifacts(
    directory: Path, case: Case, sandbox: Sandbox, evidence: CaseEvidence, engine: Engine
) -> tuple[Artifact, ...]:
    """Relative paths; of several runs each file carries the run's name."""
    kept: list[Artifact] = []

    def copy(name: str, source: Path, target: str, title: str) -> None:
        with contextlib.suppress(OSError):
            shutil.copyfile(source, directory / target)
            kept.append(Artifact(name=name, path=target, title=title))

    copy("scenario", case.scenario.path, "scenario.toml", "scenario file")
    copy("graph", sandbox.graph, "graph.dot", "graph, placeholders filled in")
    copy("config", sandbox.config, "run_config.json", "run configuration")
    for run in evidence.runs.values():
        prefix = "" if run.name == "run" else f"{run.name}-"
        of = "" if run.name == "run" else f" of {run.name}"
        root = Path(run.logs_root)
        copy("progress", root / engine.files.progress, f"{prefix}progress.ndjson", f"events{of}")
        for place, document in run.finals.items():
            target = f"{prefix}{place + '-' if place else ''}final.json"
            copy("final", root / document.path, target, f"final.json{of} {place}".strip())
        for place, document in run.checkpoints.items():
            target = f"{prefix}{place + '-' if place else ''}checkpoint.json"
            copy("checkpoint", root / document.path, target, f"checkpoint{of} {place}".strip())
        copy("run_output", root / engine.files.output, f"{prefix}run.out", f"output of the detached engine{of}")
        for branch in run.all_branches():
            place, told = f"{prefix}{branch.name.replace('/', '+')}-", f" of branch {branch.name}{of}"
            copy("progress", Path(branch.logs_root) / engine.files.progress, f"{place}progress.ndjson", f"events{told}")
            result = Path(branch.logs_root) / engine.files.branch_result
            copy("branch_result", result, f"{place}branch_result.json", f"result{told}")
        kept += _written(directory, f"{prefix}turns.json", "turns", f"CXDB turns{of}", _turns_text(run))
        kept += _written(directory, f"{prefix}files.txt", "files", f"files in the logs root{of}", "\n".join(run.files))
    if sandbox.agents.directory is not None:
        copy("agent_starts", sandbox.agents.directory / "starts.ndjson", "agent-starts.ndjson", "starts of agents")
        copy("requests", sandbox.agents.directory / "requests.ndjson", "requests.ndjson", "requests to the provider")
    with contextlib.suppress(HarnessError):
        kept += _written(directory, "git-log.txt", "git_log", "git log of all branches", sandbox.git.graph_text())
    for path in sorted(sandbox.launch.glob("step-*.???")):
        if path.suffix in (".out", ".err") and path.stat().st_size:
            stream = "stdout" if path.suffix == ".out" else "stderr"
            copy(stream, path, path.name, f"{stream} of {path.stem}")
    return tuple(kept)


def keep_cxdb_log(directory: Path, lent: LentCxdb) -> tuple[Artifact, ...]:
    """What the case's CXDB has printed while it had it; nothing where that printed nothing."""
    try:
        log = lent.log()
    except CxdbError as error:
        log = str(error)
    return tuple(_written(directory, "cxdb.log", "cxdb_log", "log of the CXDB server", log))


def _turns_text(run: RunEvidence) -> str:
    turns = [{"type": turn.turn_type, "depth": turn.depth, "data": turn.data} for turn in run.turns.turns]
    return json.dumps(turns, indent=1, default=str) if turns else ""


def _written(directory: Path, target: str, name: str, title: str, text: str) -> list[Artifact]:
    if not text:
        return []
    (directory / target).write_text(text, encoding="utf-8")
    return [Artifact(name=name, path=target, title=title)]
