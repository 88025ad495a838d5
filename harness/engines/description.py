"""What the harness has to know about an engine to drive it and to read what it leaves.

A description is data and argument lists; it starts nothing. Another engine is added by describing it,
never by a special case in a check.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Engine", "EngineFiles", "LaunchRequest", "TurnRule"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """A run to be started; paths already as the engine shall see them (relative ones stay relative)."""

    graph: str
    config: str
    run_id: str
    logs_root: str
    detach: bool = False
    cxdb: bool = True
    extra: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineFiles:
    """Names inside the logs root."""

    progress: str = "progress.ndjson"
    final: str = "final.json"
    checkpoint: str = "checkpoint.json"
    manifest: str = "manifest.json"
    pid: str = "run.pid"
    output: str = "run.out"
    worktree: str = "worktree"
    restart_glob: str = "restart-*"
    branches: str = "parallel.d"  # of fan-outs: <fan>/<pass>/<child>, each like a logs root
    branch_result: str = "branch_result.json"


@dataclasses.dataclass(frozen=True, slots=True)
class TurnRule:
    """A CXDB turn type, and the events that must each have brought forth one turn of it."""

    turn_type: str
    events: tuple[str, ...]
    will_retry: bool | None = None  # where the event's field of that name decides
    having: str = ""  # only of events that have this field

    def wants(self, event: Mapping[str, object]) -> bool:
        if event.get("event") not in self.events or (self.having and not event.get(self.having)):
            return False
        return self.will_retry is None or bool(event.get("will_retry")) is self.will_retry


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    label: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    files: EngineFiles = EngineFiles()
    branch_prefix: str = "attractor/run"
    turn_prefix: str = "com.kilroy.attractor."

    def run_argv(self, request: LaunchRequest) -> tuple[str, ...]:
        # One word per option and value: a run id such as "-x" must reach the engine as a value.
        argv = [*self.command, "run", f"--graph={request.graph}", f"--config={request.config}"]
        argv += [f"--run-id={request.run_id}", f"--logs-root={request.logs_root}"]
        argv += ["--detach"] if request.detach else []
        argv += [] if request.cxdb else ["--no-cxdb"]
        return (*argv, *request.extra)

    def at_logs_root_argv(self, verb: str, logs_root: str, extra: tuple[str, ...] = ()) -> tuple[str, ...]:
        """`resume`, `stop` and `status` are all told where the run is."""
        return (*self.command, verb, f"--logs-root={logs_root}", *extra)

    def any_argv(self, args: tuple[str, ...]) -> tuple[str, ...]:
        return (*self.command, *args)

    def run_config(self, repo: Path, cxdb: Mapping[str, str] | None, more: Mapping[str, object]) -> dict[str, object]:
        """Contents of the run configuration; JSON, which is YAML too."""
        config: dict[str, object] = {"version": 1, "repo": {"path": str(repo)}}
        if cxdb is not None:
            config["cxdb"] = dict(cxdb)
        return config | dict(more)
