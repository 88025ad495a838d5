"""The engine as a library: what `import attractor` offers, and what the commands are made of.

    import attractor

    graph = attractor.parse(Path("pipeline.dot"))
    result = attractor.run(Path("pipeline.dot"), repo=Path("."), cxdb=False)
    if result.final.status != "success":
        result = attractor.resume(result.logs_root)

Nothing here reads the command line, installs signal handlers or prints. Every function raises `AttractorError` for what
the caller can mend; its `hint` says how.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attractor.app import RunRequest, RunResult, plan_run, resume_run, start_run
from attractor.contracts import Interviewer
from attractor.errors import UsageError
from attractor.extensions import Extensions, installed_extensions
from attractor.graph import Graph
from attractor.lint import Validation
from attractor.processes import StopRequest
from attractor.rundir import EventLog

TEXT_NAME = "<text>"
OnEvent = Callable[[Mapping[str, Any]], None]


def parse(graph: str | Path, *, extensions: Extensions | None = None) -> Graph:
    """The graph of a DOT file (a Path) or of DOT text (a str): transformed, linted, ready to run (spec 2, 9, 7.3).

    `extensions` None takes the installed ones, `Extensions()` none. Raises GraphError with every error and its place,
    UsageError for a file that cannot be read.
    """
    return validate(graph, extensions=extensions).require()


def validate(graph: str | Path, *, extensions: Extensions | None = None) -> Validation:
    """Every problem of a DOT file (a Path) or of DOT text (a str) at once, warnings included (spec 7).

    `Validation.ok`: it may run. `.graph` is there beside errors too, as far as it could be read. `.require()` is the
    specification's validate_or_raise.
    """
    text, name = _read(graph)
    return _known(extensions).validate(text, name)


def run(
    graph: str | Path,
    *,
    repo: Path | None = None,
    config: Path | None = None,
    run_id: str | None = None,
    logs_root: Path | None = None,
    git: bool = True,
    workdir: Path | None = None,
    cxdb: bool = True,
    simulate: bool = False,
    auto_approve: bool = False,
    labels: Mapping[str, str] | None = None,
    force_models: Mapping[str, str] | None = None,
    interviewer: Interviewer | None = None,
    extensions: Extensions | None = None,
    environment: Mapping[str, str] | None = None,
    stop: StopRequest | None = None,
    on_event: OnEvent | None = None,
) -> RunResult:
    """Run a DOT file (a Path) or DOT text (a str) to its end (spec 3), as `attractor run` does.

    Paths may be relative to the working directory. `interviewer` asks people in place of the run's question files.
    `environment` (default: this process's) is what stages inherit and credentials are looked for in. `on_event` is
    called in this thread with each event of the run once it is in progress.ndjson; what it raises ends the run. What
    happens in branches is in logs of their own, below parallel.d/.
    `stop.request(signal.SIGTERM)`, from any thread, cancels.

    A run that fails is a result like any other: `result.final.status` is success, fail or canceled,
    `final.failure_reason` and `final.failure_class` say why. Raises AttractorError for what keeps it from beginning:
    GraphError, ConfigError, PreflightFailed, WorkspaceError, RunDirectoryError, CxdbError.
    """
    _check_source(graph)
    if workdir is not None and git:
        raise UsageError("workdir goes with git=False", hint="with git, stages run in the run's own worktree")
    env = os.environ if environment is None else environment
    request = RunRequest(
        graph=graph,
        cwd=Path.cwd(),
        environment=env,
        config=config,
        run_id=run_id,
        logs_root=logs_root,
        repo=repo,
        use_cxdb=cxdb,
        use_git=git,
        workdir=workdir,
        labels=labels or {},
        simulate=simulate,
        force_models=force_models or {},
        auto_approve=auto_approve,
    )
    with _Stop(stop) as stopping:
        return start_run(
            plan_run(request, extensions),
            environment=env,
            stop=stopping,
            on_events=_listener(on_event),
            interviewer=interviewer,
        )


def resume(
    logs_root: Path,
    *,
    auto_approve: bool = False,
    interviewer: Interviewer | None = None,
    extensions: Extensions | None = None,
    environment: Mapping[str, str] | None = None,
    stop: StopRequest | None = None,
    on_event: OnEvent | None = None,
) -> RunResult:
    """Go on with the run in `logs_root` behind its last finished node (spec 5.3), as `attractor resume` does.

    One that has succeeded is left as it is (`result.already_finished`). `extensions` must have what the run was begun
    with. Raises RunDirectoryError where the folder is no run's, damaged, or somebody is at work on it.
    """
    with _Stop(stop) as stopping:
        return resume_run(
            Path(os.path.realpath(logs_root)),
            environment=os.environ if environment is None else environment,
            stop=stopping,
            on_events=_listener(on_event),
            interviewer=interviewer,
            auto_approve=auto_approve,
            extensions=extensions,
        )


def _known(extensions: Extensions | None) -> Extensions:
    return installed_extensions() if extensions is None else extensions


def _check_source(graph: object) -> None:
    if isinstance(graph, Graph):
        raise UsageError(
            "a parsed graph cannot be run: a run keeps the text it was begun with",
            hint="pass the file as a Path, or the DOT text as a str",
        )
    if isinstance(graph, str) and "{" not in graph:
        raise UsageError(f"{graph!r:.80} is no DOT text", hint="pass a file as a Path: attractor.run(Path(...))")


def _read(graph: str | Path) -> tuple[str | bytes, str]:
    if isinstance(graph, str):
        _check_source(graph)
        return graph, TEXT_NAME
    try:
        return graph.read_bytes(), str(graph)
    except OSError as error:
        raise UsageError(f"cannot read {graph}: {error.strerror or error}") from error


def _listener(on_event: OnEvent | None) -> Callable[[EventLog], None]:
    if on_event is None:
        return lambda log: None
    return lambda log: log.listen(lambda event, _line: on_event(event))


class _Stop:
    """The caller's stop request, or one of our own that is closed again."""

    def __init__(self, given: StopRequest | None) -> None:
        self._given = given
        self._used = given or StopRequest()

    def __enter__(self) -> StopRequest:
        return self._used

    def __exit__(self, *_: object) -> None:
        if self._given is None:
            with suppress(OSError):
                self._used.close()
