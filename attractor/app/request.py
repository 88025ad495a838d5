"""What a user asks for, made absolute and checked before anything is made (DESIGN 2.1)."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from attractor.backends import canonical_provider, known_providers
from attractor.config import RunConfig, load_run_config
from attractor.errors import ConfigError, GraphError, RunDirectoryError, UsageError, WorkspaceError
from attractor.extensions import Extensions, installed_extensions
from attractor.graph import Graph
from attractor.handlers import HANDLER_TYPES
from attractor.rundir import Layout, living_owner, read_regular, runs_home
from attractor.workspace import (
    RepositoryFacts,
    check_branch_free,
    check_prefix,
    check_run_id,
    inspect_repository,
    new_run_id,
    run_branch,
)

MAX_GRAPH_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The command line of `run`. Paths may be relative to `cwd`; None and '' mean "not given".

    `graph`: a DOT file, or as a str DOT text itself.
    """

    graph: Path | str
    cwd: Path
    environment: Mapping[str, str]
    config: Path | None = None
    run_id: str | None = None
    logs_root: Path | None = None
    repo: Path | None = None
    use_cxdb: bool = True
    use_git: bool = True
    workdir: Path | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    simulate: bool = False
    allow_test_shim: bool = False
    force_models: Mapping[str, str] = field(default_factory=dict)
    auto_approve: bool = False
    interviewer: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that may begin: everything read, checked and absolute; nothing made yet."""

    graph: Graph
    graph_text: bytes
    config: RunConfig
    run_id: str
    layout: Layout
    use_cxdb: bool
    repository: RepositoryFacts | None
    branch: str
    workdir: Path
    labels: Mapping[str, str]
    extensions: Extensions
    auto_approve: bool = False
    interviewer: str = ""
    notes: tuple[str, ...] = ()


def plan_run(request: RunRequest, extensions: Extensions | None = None) -> Plan:
    """Check a request. Raises AttractorError naming what is wrong and what to do; makes nothing.

    `extensions` None: those that are installed.
    """
    extensions = installed_extensions() if extensions is None else extensions
    if request.interviewer:
        extensions.interviewer(request.interviewer)
    run_id = _run_id(request)
    graph_text, name = _graph_text(request)
    graph = runnable_graph(graph_text, name, extensions)
    config = _with_agents(load_run_config(request.cwd / request.config) if request.config else RunConfig(), request)
    prefix = check_prefix(config.run_branch_prefix, f"{config.file or 'defaults'}: git.run_branch_prefix")
    layout = Layout(_logs_root(request, run_id))
    _check_recordable(layout.root)
    check_unused(layout)
    notes: list[str] = []
    repository, branch = None, ""
    workdir = request.cwd / (request.workdir or "")
    if request.use_git:
        repository = inspect_repository(_repository_folder(request, config))
        branch = run_branch(prefix, run_id)
        _check_repository(repository, branch, config, notes)
        workdir = layout.worktree
    elif not workdir.is_dir():
        raise UsageError(f"the working folder {workdir} does not exist")
    _check_recordable(workdir)
    return Plan(
        graph,
        graph_text,
        config,
        run_id,
        layout,
        request.use_cxdb,
        repository,
        branch,
        workdir,
        request.labels,
        extensions,
        request.auto_approve,
        request.interviewer,
        tuple(notes),
    )


def _with_agents(config: RunConfig, request: RunRequest) -> RunConfig:
    """The configuration with what the command line says of agents; refuses what must be said twice."""
    if config.agents.test_shim and not (request.allow_test_shim or request.simulate):
        raise ConfigError(
            "llm.cli_profile is test_shim, which puts other programs in the agents' place",
            place=config.file,
            hint="pass --allow-test-shim if that is what you want",
        )
    forced = {}
    for name, model in request.force_models.items():
        provider = canonical_provider(name)
        if provider is None:
            known = ", ".join(known_providers())
            raise UsageError(f"--force-model {name}={model}: unknown provider; known are {known}")
        forced[provider] = model
    return replace(config, agents=replace(config.agents, simulate=request.simulate, force_models=forced))


def _repository_folder(request: RunRequest, config: RunConfig) -> Path:
    if request.repo is not None:
        return request.cwd / request.repo
    return config.repo_path or request.cwd


def _run_id(request: RunRequest) -> str:
    if request.run_id is None:
        return new_run_id(datetime.now(UTC), secrets.token_hex(3))
    return check_run_id(request.run_id)


def _logs_root(request: RunRequest, run_id: str) -> Path:
    if request.logs_root is None:
        return runs_home(request.environment) / run_id
    if not str(request.logs_root) or "\n" in str(request.logs_root) or "\0" in str(request.logs_root):
        raise UsageError(f"--logs-root {str(request.logs_root)!r} is not a usable path")
    return Path(os.path.realpath(request.cwd / request.logs_root))


def _graph_text(request: RunRequest) -> tuple[bytes, str]:
    if isinstance(request.graph, str):
        return request.graph.encode(), "<text>"
    path = request.cwd / request.graph
    return read_graph_file(path), str(path)


def read_graph_file(path: Path) -> bytes:
    try:
        return read_regular(path, MAX_GRAPH_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read the graph {path}: {error.strerror or error}") from error


def runnable_graph(text: bytes, name: str, extensions: Extensions) -> Graph:
    """The linted graph; GraphError where it has errors or nodes that there is no handler for, ConfigError where a
    handler of an extension cannot be made.
    """
    graph = extensions.validate(text, name).require()
    known = (*HANDLER_TYPES, *extensions.handlers)
    for node in graph.nodes.values():
        if node.handler_type not in known:
            raise GraphError(
                f"{node.span.place}: node {node.id} needs the handler {node.handler_type!r}, "
                f"which is not here (there are: {', '.join(known)})",
                hint="leave its type out and let the shape choose the handler, name one of these, or install the "
                "extension that has it",
            )
    extensions.check_handlers(graph)
    return graph


# What a launcher, or a preflight, may have left in the folder.
_HARMLESS = frozenset({"run.out", "run.lock", "run.pid", "run.pid.tmp", "preflight_report.json", "preflight.d"})
# What an engine has written that died before its manifest, and so before there was a run. Beside its lock only: a
# graph.dot of somebody else's is not ours to write over.
_UNBEGUN = frozenset(
    {"graph.dot", "run_config.json", "manifest.json", "preflight_report.json", "final.json", "modeldb.d"}
)


def check_unused(layout: Layout) -> None:
    """Raise RunDirectoryError for a logs root that holds anything. Asked again once the lock is held: only then
    the answer stays true.
    """
    root = layout.root
    if root.is_symlink():  # it was followed at the door as far as it leads
        raise RunDirectoryError(f"{root} is a symbolic link that leads in a circle", hint="choose another --logs-root")
    if layout.manifest.exists():
        owner = living_owner(layout)
        at_work = f", and {owner} is at work on it" if owner else ""
        raise RunDirectoryError(
            f"{root} already holds a run{at_work}",
            hint=f"continue it with `attractor resume --logs-root {root}`, or choose another --logs-root or --run-id",
        )
    if root.exists() and not root.is_dir():
        raise RunDirectoryError(f"{root} is not a directory", hint="choose another --logs-root")
    strangers = sorted(p.name for p in root.iterdir() if not _harmless(p.name, layout)) if root.is_dir() else []
    if strangers:
        raise RunDirectoryError(
            f"{root} is not empty (it holds {strangers[0]!r})", hint="choose a new folder as --logs-root"
        )


def _harmless(name: str, layout: Layout) -> bool:
    return name in _HARMLESS or (name.removesuffix(".tmp") in _UNBEGUN and layout.lock.exists())


def _check_recordable(path: Path) -> None:
    """The run's records are UTF-8: a path that this locale has no characters for would stop the run half made."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode(errors="replace")
        raise UsageError(
            f"the path {shown} is not text in this locale, whose encoding is {sys.getfilesystemencoding()}",
            hint="set LC_ALL=C.UTF-8, or use a path whose name is UTF-8",
        ) from error


def _check_repository(facts: RepositoryFacts, branch: str, config: RunConfig, notes: list[str]) -> None:
    _check_recordable(facts.root)
    check_branch_free(facts.root, branch)
    if facts.dirty and config.require_clean:
        raise WorkspaceError(
            f"{facts.root} has uncommitted changes and git.require_clean is true",
            hint="commit or stash them",
        )
    if facts.dirty:
        notes.append(f"{facts.root} has uncommitted changes: the run starts from its last commit, without them")
