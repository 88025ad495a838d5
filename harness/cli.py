"""`attractor-harness`: a thin front over the pytest plugin, the reports and the history checker.

Rules: commands parse options, call one function and exit by the table in `verdict.py`; heavy imports
stay inside the command that needs them, since `--help` and `list` should be instant.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from harness.cxdb_choice import CxdbChoice
from harness.cxdb_options import cxdb_options

__all__ = ["cli"]

USAGE = 2


class _LazyGroup(click.Group):
    """Knows `bench`, `crash`, `cxdb` and `provider` by name and imports them only when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "bench", "crash", "cxdb", "provider"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "bench":
            from harness.bench.command import bench_command

            return bench_command
        if cmd_name == "crash":
            from harness.crash.command import crash_command

            return crash_command
        if cmd_name == "cxdb":
            from harness.cxdb.command import cxdb_command

            return cxdb_command
        if cmd_name == "provider":
            from harness.provider.command import provider_command

            return provider_command
        return super().get_command(ctx, cmd_name)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Proves that agent pipeline runs are reliable: faults, evidence, verdicts.

    Exit codes: 0 all green; 1 red, flaky, or a surviving saboteur; 2 wrong usage; 3 invalid or error:
    nothing is known.
    """


def _default_scenarios() -> Path:
    """`scenarios` here, or beside the package in a checkout."""
    here = Path("scenarios")
    beside = Path(__file__).resolve().parent.parent / "scenarios"
    return here.absolute() if here.is_dir() or not beside.is_dir() else beside


_scenarios = click.option(
    "--scenarios",
    type=click.Path(exists=True, path_type=Path),
    default=None,
    help="Directory of scenario files.  [default: ./scenarios]",
)
_engine = click.option("--engine", metavar="CMD", help="Engine command line.  [default: this project's engine]")
_report_dir = click.option("--report-dir", type=click.Path(path_type=Path), default=Path("reports"), show_default=True)
_expression = click.option("-k", "expression", metavar="EXPR", default="", help="As pytest's: names of cases to run.")
_workers = click.option("-n", "workers", metavar="N", default="auto", show_default=True, help="Workers.")
_plain = click.option("--plain", is_flag=True, help="Lines instead of a board.")


@cli.command()
@_scenarios
@_engine
@_report_dir
@_expression
@_workers
@_plain
@cxdb_options
@click.option("--saboteur", metavar="NAME", help="Put this historic bug back into the engine.")
@click.option("--reruns", type=int, default=0, metavar="N", help="Run red cases again; green then is flaky.")
@click.option("--keep", is_flag=True, help="Keep the sandboxes of green cases, too.")
@click.option("--prove-short", is_flag=True, help="Then show each saboteur caught by its killer case.")
@click.option("--crash-short", is_flag=True, help="Then kill the engine at each distinct durable step, and resume.")
def matrix(prove_short: bool, crash_short: bool, **options: Any) -> None:
    """Run the guardrail matrix; leave reports; exit 0 only if all is green."""
    from harness.release_gate import run_gate
    from harness.sessions import MatrixOptions

    sys.exit(run_gate(_options(MatrixOptions, options), prove=prove_short, crash=crash_short))


@cli.command()
@_scenarios
@_engine
@_report_dir
@_expression
@_workers
@_plain
@cxdb_options
@click.option("--short", is_flag=True, help="Only the killer case of each saboteur.")
def prove(short: bool, **options: Any) -> None:
    """Put each historic bug back and show which cases catch it; exit 0 only if none survives."""
    from harness.prove import run_prove
    from harness.sessions import MatrixOptions

    sys.exit(run_prove(_options(MatrixOptions, options), short=short))


def _options(kind: Any, options: dict[str, Any]) -> Any:
    options["scenarios"] = (options["scenarios"] or _default_scenarios()).absolute()
    options["report_dir"] = options["report_dir"].absolute()
    return kind(**options)


@cli.command("list")
@_scenarios
@click.option("--saboteurs", is_flag=True, help="The saboteurs instead of the cases.")
def list_command(scenarios: Path | None, saboteurs: bool) -> None:
    """Name all cases, with what each shows."""
    if saboteurs:
        from harness.sabotage import SABOTEURS

        for saboteur in SABOTEURS:
            click.echo(f"{saboteur.name:24}{saboteur.guardrail:24}{saboteur.bug}")
        return
    for case in _cases(scenarios):
        click.echo(f"{case.case_id:52}{case.scenario.title}")


def _cases(scenarios: Path | None) -> Any:
    from harness.matrix import find_cases
    from harness.toml_table import ScenarioError

    try:
        return find_cases(scenarios or _default_scenarios())
    except ScenarioError as error:
        click.echo(str(error), err=True)
        sys.exit(USAGE)


@cli.command()
@click.argument("case")
@_scenarios
@_engine
@_report_dir
@cxdb_options
@click.option("--saboteur", metavar="NAME", help="Put this historic bug back into the engine.")
@click.option("--keep", is_flag=True, help="Keep the sandbox when it is green, too.")
def run(
    case: str,
    scenarios: Path | None,
    engine: str | None,
    report_dir: Path,
    cxdb: CxdbChoice,
    saboteur: str | None,
    keep: bool,
) -> None:
    """Run one CASE, an id or a scenario file, and say how it went."""
    from harness.matrix import cases_of_file, find_case
    from harness.sessions import run_single
    from harness.toml_table import ScenarioError

    try:
        found = cases_of_file(Path(case).absolute()) if case.endswith(".toml") else find_case(_cases(scenarios), case)
    except (ScenarioError, KeyError) as error:
        raise click.UsageError(str(error.args[0])) from error
    reports = report_dir.absolute()
    sys.exit(run_single(found, engine=engine, report_dir=reports, saboteur=saboteur, keep=keep, cxdb=cxdb))


@cli.command()
@click.argument("logs_roots", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--no-cxdb", is_flag=True, help="Do not ask CXDB for the run's turns.")
def audit(logs_roots: tuple[Path, ...], no_cxdb: bool) -> None:
    """Check the histories of runs: git log, checkpoint, events, final.json and CXDB turns against each other."""
    from harness.sessions import run_audit

    sys.exit(run_audit([root.absolute() for root in logs_roots], cxdb=not no_cxdb))
