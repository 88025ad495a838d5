"""The place one case has to itself: repository, logs, home, scratch, temporary files, gates.

    <case_dir>/sandbox/
      repo/  logs/  scratch/  home/  tmp/  gates/  launch/  agents/   graph.dot  run_config.json

Rules: everything a case writes lies inside, and everything it starts carries its marker. Removed when
the case is green; kept otherwise, since it is what one wants to look at.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.agents.equipment import Equipment, equip
from harness.agents.spec import AgentSpec
from harness.canary import CANARY_VARIABLE
from harness.disks import small_disk
from harness.engines import Engine
from harness.gates import Gates
from harness.placeholders import fill, fill_all
from harness.processes import CASE_MARKER, OWNER_MARKER, clean_environment, owner_mark
from harness.repos import Git, make_repository
from harness.scenario import Scenario

__all__ = ["Sandbox", "make_sandbox"]


@dataclasses.dataclass(frozen=True, slots=True)
class Sandbox:
    root: Path
    marker: str
    git: Git
    gates: Gates
    environment: Mapping[str, str]
    values: Mapping[str, str]  # placeholders that do not depend on a run
    graph: Path
    config: Path
    agents: Equipment

    @property
    def repo(self) -> Path:
        return self.root / "repo"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    @property
    def launch(self) -> Path:
        return self.root / "launch"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    def keep_disk(self) -> None:
        """A small disk goes with its case; what lay on it is then found beside it."""
        shutil.copytree(self.logs, self.root / "logs.left", symlinks=True, dirs_exist_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


def make_sandbox(
    case_dir: Path,
    scenario: Scenario,
    engine: Engine,
    cxdb: Mapping[str, str] | None,
    extra: Mapping[str, str],
    stack: contextlib.ExitStack,
) -> Sandbox:
    """`cxdb` are the addresses for the run configuration, `extra` more environment for the engine.

    What must be stopped again, a scripted provider, is left to the stack.
    """
    root = case_dir / "sandbox"
    shutil.rmtree(root, ignore_errors=True)
    for name in ("logs", "scratch", "home", "tmp", "launch"):
        (root / name).mkdir(parents=True)
    if scenario.disk:
        stack.enter_context(small_disk(root / "logs", scenario.disk))
    marker = uuid.uuid4().hex
    gates = Gates(root / "gates", scenario.gates, scenario.timeout_seconds)
    values = {
        "case": str(root),
        "scratch": str(root / "scratch"),
        "repo": str(root / "repo"),
        "logs": str(root / "logs"),
        "canary": f"canary-{uuid.uuid4().hex}",
        **gates.snippets(),
    }
    files = {**scenario.repo.files, **fill_all(scenario.graphs, values)}
    git = make_repository(root / "repo", dataclasses.replace(scenario.repo, files=files))
    graph, config = root / "graph.dot", root / "run_config.json"
    graph.write_text(fill(scenario.graph, values), encoding="utf-8")
    marks = {CASE_MARKER: marker, OWNER_MARKER: owner_mark()}
    agents = equip(_filled(scenario.agents, values), root / "agents", marks, stack)
    asked = merged(agents.config, fill_all(scenario.config, values))
    settings = merged(engine.run_config(root / "repo", cxdb, {}), asked)
    config.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    environment = clean_environment(marks, root / "home", root / "tmp") | dict(engine.environment) | dict(extra)
    environment |= {CANARY_VARIABLE: values["canary"], **agents.environment}
    if agents.search_path is not None:
        environment["PATH"] = f"{agents.search_path}{os.pathsep}{environment['PATH']}"
    return Sandbox(root, marker, git, gates, environment, values, graph, config, agents)


def _filled(spec: AgentSpec | None, values: Mapping[str, str]) -> AgentSpec | None:
    return dataclasses.replace(spec, answers=fill_all(spec.answers, values)) if spec is not None else None


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; otherwise the second one's word counts."""
    both = {**first, **second}
    for key in first.keys() & second.keys():
        if isinstance(first[key], Mapping) and isinstance(second[key], Mapping):
            both[key] = merged(first[key], second[key])
    return both
