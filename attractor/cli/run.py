"""`attractor run` and `attractor resume`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from attractor.app import (
    READY_FD_VARIABLE,
    READY_TIMEOUT_SECONDS,
    RESUME_WAIT_SECONDS,
    Plan,
    RunRequest,
    RunResult,
    announce_ownership,
    desk,
    launch,
    plan_run,
    preflight_only,
    remember_run,
    restore_run,
    resume_run,
    start_run,
    view_run,
)
from attractor.cli.output import say, tolerated, write
from attractor.cli.paths import absolute, working_directory
from attractor.cli.progress import show
from attractor.config import DEFAULT_BINARY_ADDR, DEFAULT_HTTP_BASE_URL, load_run_config
from attractor.errors import UsageError
from attractor.processes import StopRequest
from attractor.rundir import EventLog, Layout

EXIT_CODES = {"success": 0, "fail": 1}


class LabelType(click.ParamType[tuple[str, str]]):
    """`KEY=VALUE`."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, separator, text = str(value).partition("=")
        if not separator or not key:
            self.fail(f"{value!r} is not KEY=VALUE", param, ctx)
        return key, text


@click.command()
@click.option("--graph", "graph_path", required=True, metavar="G", help="The DOT file to run.")
@click.option("--config", metavar="C", help="Run configuration (YAML or JSON).")
@click.option("--repo", metavar="R", help="The repository to work on (default: repo.path, else this folder's).")
@click.option("--run-id", metavar="ID", help="Name of the run; a new one sorts by time.")
@click.option("--logs-root", metavar="L", help="The run's directory; must be new.")
@click.option("--detach", is_flag=True, help="Start in the background and return once the run is under way.")
@click.option("--preflight", is_flag=True, help="Check everything, run nothing.")
@click.option("--no-cxdb", is_flag=True, help="Do not record the run in CXDB.")
@click.option("--no-git", is_flag=True, help="No worktree, no commits: stages run in --workdir.")
@click.option("--workdir", metavar="D", help="With --no-git: where stages run (default: here).")
@click.option("--simulate", is_flag=True, help="Start no agent program: stages follow their simulate attribute.")
@click.option("--auto-approve", is_flag=True, help="Human gates take yes, or their first choice, by themselves.")
@click.option("--interviewer", metavar="NAME", default="", help="Human gates ask by this installed interviewer.")
@click.option("--allow-test-shim", is_flag=True, help="Accept llm.cli_profile: test_shim.")
@click.option(
    "--force-model", "force_models", type=LabelType(), multiple=True, help="PROVIDER=MODEL for its nodes; repeatable."
)
@click.option("--label", "labels", type=LabelType(), multiple=True, help="Kept in the manifest; repeatable.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def run(**options: Any) -> int:
    """Run a graph to its end.

    Prints run_id=, logs_root=, worktree=, run_branch= and final_commit=, one a line.
    """
    if options["workdir"] and not options["no_git"]:
        raise UsageError("--workdir goes with --no-git", hint="with git, stages run in the run's own worktree")
    request = _request(options)
    plan = plan_run(request)
    for note in plan.notes:
        say(f"note: {note}")
    if options["detach"] and not options["preflight"]:
        return _detach(plan, options)
    stop = StopRequest()
    _listen(stop)
    if options["preflight"]:
        return _preflight(plan, stop)
    result = start_run(
        plan,
        environment=_environment(),
        stop=stop,
        on_owned=lambda: _owned(plan),
        on_events=_shower(options["quiet"]),
        interviewer=desk(plan.layout, write, quiet=options["quiet"]),
    )
    return _report(result, stop, as_json=options["as_json"])


@click.command()
@click.option("--logs-root", metavar="L", required=True, help="The run's directory.")
@click.option(
    "--from-cxdb",
    metavar="RUN",
    help="Make the directory anew from CXDB (it is lost, or elsewhere): the run's id, or its context's number.",
)
@click.option("--config", metavar="C", help="With --from-cxdb: where CXDB is, as for run.")
@click.option("--repo", metavar="R", help="With --from-cxdb: where the run's repository is now.")
@click.option("--detach", is_flag=True, help="Go on in the background; return once the run is under way.")
@click.option("--auto-approve", is_flag=True, help="In this life, human gates take yes, or their first choice.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def resume(
    logs_root: str,
    from_cxdb: str | None,
    config: str | None,
    repo: str | None,
    detach: bool,
    auto_approve: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Go on with a run behind its last finished node.

    A run that failed begins again with the node that failed; one that succeeded is left as it is.
    """
    root = absolute(logs_root)
    if from_cxdb is not None:
        _restore(from_cxdb, root, config, repo)
    elif config or repo:
        raise UsageError("--config and --repo go with --from-cxdb", hint="a run's own directory knows both")
    if detach:
        return _detach_resume(root, auto_approve=auto_approve, as_json=as_json)
    stop = StopRequest()
    _listen(stop)
    result = resume_run(
        root,
        environment=_environment(),
        stop=stop,
        on_owned=lambda: announce_ownership(os.environ),
        on_events=_shower(quiet),
        interviewer=desk(Layout(root), write, quiet=quiet),
        auto_approve=auto_approve,
    )
    return _report(result, stop, as_json=as_json)


def _restore(wanted: str, root: Path, config: str | None, repo: str | None) -> None:
    known = load_run_config(absolute(config)) if config else None
    restored = restore_run(
        wanted,
        root,
        repository=absolute(repo) if repo else None,
        binary_addr=known.cxdb_binary_addr if known else DEFAULT_BINARY_ADDR,
        http_base_url=known.cxdb_http_base_url if known else DEFAULT_HTTP_BASE_URL,
    )
    remember_run(restored.layout, restored.run_id, os.environ)
    say(f"run {restored.run_id} is back in {restored.layout.root}: {restored.events} events")
    for note in restored.notes:
        say(f"note: {note}")


def _cwd(options: dict[str, Any]) -> Path:
    """Where relative paths count from. One that has been removed does not matter where there are none."""
    try:
        return working_directory()
    except UsageError:
        paths = [options[key] for key in ("graph_path", "config", "logs_root", "repo", "workdir") if options[key]]
        folder = options["workdir"] if options["no_git"] else options["repo"] or options["config"]
        if not folder or not all(os.path.isabs(path) for path in paths):
            raise
        return Path("/")


def _request(options: dict[str, Any]) -> RunRequest:
    return RunRequest(
        graph=Path(options["graph_path"]),
        cwd=_cwd(options),
        environment=os.environ,
        config=Path(options["config"]) if options["config"] else None,
        run_id=options["run_id"],
        logs_root=absolute(options["logs_root"]) if options["logs_root"] is not None else None,
        repo=Path(options["repo"]) if options["repo"] else None,
        use_cxdb=not options["no_cxdb"],
        use_git=not options["no_git"],
        workdir=Path(options["workdir"]) if options["workdir"] else None,
        labels=dict(options["labels"]),
        simulate=options["simulate"],
        allow_test_shim=options["allow_test_shim"],
        force_models=dict(options["force_models"]),
        auto_approve=options["auto_approve"],
        interviewer=options["interviewer"],
    )


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != READY_FD_VARIABLE}


def _listen(stop: StopRequest) -> None:
    """Let signals end the run, but for those somebody has told us to ignore (nohup, background jobs of a script)."""
    stop.listen(*(number for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT) if not _is_ignored(number)))
    if _is_ignored(signal.SIGHUP):
        return
    if os.getsid(0) == os.getpid() and not _has_terminal():
        # Detached: nobody's hang-up concerns us.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    else:
        stop.listen(signal.SIGHUP)


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _owned(plan: Plan) -> None:
    remember_run(plan.layout, plan.run_id, os.environ)
    announce_ownership(os.environ)


def _shower(quiet: bool) -> Callable[[EventLog], None]:
    return (lambda log: None) if quiet else (lambda log: log.listen(show))


def _preflight(plan: Plan, stop: StopRequest) -> int:
    preflight = preflight_only(plan, os.environ, stop)
    if stop.requested:
        say(f"attractor: preflight was {stop.reason}; not everything was checked")
        return 128 + stop.signal_number
    for check in preflight.checks:
        click.echo(f"{check.check}: {'ok' if check.ok else 'FAIL'}: {check.detail}")
    click.echo(f"preflight_report={plan.layout.preflight_report}")
    return 0 if preflight.ok else 1


def _detach(plan: Plan, options: dict[str, Any]) -> int:
    autostart = plan.config.cxdb_autostart if plan.use_cxdb else None
    probes = plan.config.probes
    wait_seconds = READY_TIMEOUT_SECONDS + (autostart.wait_timeout_seconds if autostart else 0.0)
    wait_seconds += probes.longest_seconds * len(plan.graph.nodes) if probes else 0.0
    launched = launch(plan.layout, _child_arguments(plan, options), os.environ, wait_seconds=wait_seconds)
    facts = {
        "detached": "true",
        "run_id": plan.run_id,
        "logs_root": str(plan.layout.root),
        "pid_file": str(launched.pid_file),
    }
    _print(facts, as_json=options["as_json"])
    return 0


def _detach_resume(root: Path, *, auto_approve: bool, as_json: bool) -> int:
    view = view_run(root)
    arguments = ["resume", "--logs-root", str(root), *(["--auto-approve"] if auto_approve else [])]
    launched = launch(view.layout, arguments, os.environ, wait_seconds=RESUME_WAIT_SECONDS)
    facts = {"detached": "true", "run_id": view.manifest.run_id, "logs_root": str(root)}
    _print(facts | {"pid_file": str(launched.pid_file)}, as_json=as_json)
    return 0


def _child_arguments(plan: Plan, options: dict[str, Any]) -> list[str]:
    """The same run for the child, every path absolute: its working directory is another one."""
    here = _cwd(options)
    arguments = ["run", "--graph", str(here / options["graph_path"]), "--run-id", plan.run_id]
    arguments += ["--logs-root", str(plan.layout.root)]
    if options["config"]:
        arguments += ["--config", str(here / options["config"])]
    if plan.repository is not None:
        arguments += ["--repo", str(plan.repository.root)]
    if options["no_git"]:
        arguments += ["--no-git", "--workdir", str(plan.workdir)]
    arguments += ["--no-cxdb"] if options["no_cxdb"] else []
    arguments += ["--simulate"] if options["simulate"] else []
    arguments += ["--auto-approve"] if options["auto_approve"] else []
    arguments += ["--interviewer", options["interviewer"]] if options["interviewer"] else []
    arguments += ["--allow-test-shim"] if options["allow_test_shim"] else []
    for key, value in options["force_models"]:
        arguments += ["--force-model", f"{key}={value}"]
    for key, value in options["labels"]:
        arguments += ["--label", f"{key}={value}"]
    return arguments


def _report(result: RunResult, stop: StopRequest, *, as_json: bool) -> int:
    final = result.final
    facts = {
        "run_id": result.run_id,
        "logs_root": str(result.logs_root),
        "worktree": str(result.worktree),
        "run_branch": result.run_branch,
        "final_commit": final.final_git_commit_sha,
    }
    if as_json:
        facts |= {"status": final.status, "failure_reason": final.failure_reason, "failure_class": final.failure_class}
    with tolerated():
        _print(facts, as_json=as_json)
    if result.already_finished:
        say(f"run {result.run_id} has already finished with success; nothing was run")
    if final.cxdb_pending_turns:
        say(f"CXDB lacks {final.cxdb_pending_turns} turns of this run: it could not be reached")
    if final.cxdb_files_missing:
        say(f"CXDB does not show the files of all commits: {final.cxdb_files_missing}")
    if final.status != "success":
        _explain(result)
    if result.unwritten:
        many = len(result.unwritten)
        say(f"attractor: run {result.run_id} has ended, but {many} of its records could not be written:")
        say("\n".join(f"  {loss}" for loss in result.unwritten))
    if final.status == "canceled":
        return 128 + stop.signal_number if stop.requested else 1
    # Whoever waits for final.json must not be told of a success that is not on disk.
    return EXIT_CODES[final.status] if final.status != "success" or not result.unwritten else 1


def _explain(result: RunResult) -> None:
    final = result.final
    word = "was canceled" if final.status == "canceled" else "failed"
    klass = f" ({final.failure_class})" if final.failure_class and final.status == "fail" else ""
    say(f"attractor: run {result.run_id} {word}: {final.failure_reason}{klass}")
    if (details := Layout(result.logs_root).final).exists():
        say(f"  details: {details}")
    if Layout(result.logs_root).manifest.exists():
        say(f"  go on:   attractor resume --logs-root {result.logs_root}")


def _print(facts: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts))
        return
    for key, value in facts.items():
        click.echo(f"{key}={value}")
