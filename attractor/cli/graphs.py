"""`attractor validate`: graph files, without running anything."""

from __future__ import annotations

import json

import click

from attractor.cli.paths import read_graph
from attractor.errors import MAX_SHOWN_DIAGNOSTICS
from attractor.extensions import installed_extensions
from attractor.lint import Severity, Validation


@click.command()
@click.argument("graphs", nargs=-1, required=True, metavar="G...")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of findings, for editors.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
def validate(graphs: tuple[str, ...], as_json: bool, strict: bool) -> int:
    """Check graph files: every problem with its place, in one go."""
    extensions = installed_extensions()
    results = [(name, extensions.validate(read_graph(name), name)) for name in graphs]
    if as_json:
        click.echo(json.dumps([finding.as_dict() for _, result in results for finding in result.diagnostics], indent=2))
    else:
        for name, result in results:
            _print(name, result)
    worst = {finding.severity for _, result in results for finding in result.diagnostics}
    return 1 if Severity.ERROR in worst or (strict and Severity.WARNING in worst) else 0


def _print(name: str, result: Validation) -> None:
    for finding in result.diagnostics[:MAX_SHOWN_DIAGNOSTICS]:
        click.echo(finding.render())
    rest = len(result.diagnostics) - MAX_SHOWN_DIAGNOSTICS
    if rest > 0:
        click.echo(f"... and {rest} more (--json shows all)")
    counts = {
        severity: sum(finding.severity is severity for finding in result.diagnostics)
        for severity in (Severity.ERROR, Severity.WARNING)
    }
    if not counts[Severity.ERROR] and result.graph is not None:
        nodes, edges = len(result.graph.nodes), len(result.graph.edges)
        extra = f", {counts[Severity.WARNING]} warnings" if counts[Severity.WARNING] else ""
        click.echo(f"{name}: ok ({nodes} nodes, {edges} edges{extra})")
    else:
        click.echo(f"{name}: {counts[Severity.ERROR]} errors, {counts[Severity.WARNING]} warnings", err=True)
