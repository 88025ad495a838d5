"""`attractor-harness bench`: options in, exit code out. Imports only click until it is really called."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

__all__ = ["bench_command", "parse_cxdb"]


def parse_cxdb(text: str) -> dict[str, str]:
    """`HOST:PORT:HTTP_PORT` as the two addresses of a run configuration; click.BadParameter for anything else."""
    match = re.fullmatch(r"(?P<host>\[[0-9a-fA-F:]+\]|[^:\s]+):(?P<port>\d+):(?P<http>\d+)", text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not HOST:PORT:HTTP_PORT, such as 127.0.0.1:9009:9010")
    return {
        "binary_addr": f"{match['host']}:{match['port']}",
        "http_base_url": f"http://{match['host']}:{match['http']}",
    }


@click.command("bench")
@click.option("--quick", is_flag=True, help="Smaller, one sample each, no matrix: a minute or so.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("reports/bench.json"),
    show_default=True,
    help="Where to write every sample.",
)
@click.option("--only", metavar="PATTERN", default="", help="Jobs by name: part of it, or with * and ?; see --list.")
@click.option("--repeat", type=click.IntRange(1), metavar="N", help="Samples a row.  [default: 3, quick 1]")
@click.option("--matrix/--no-matrix", default=None, help="Time the whole matrix, too.  [default: unless quick]")
@click.option("--check", is_flag=True, help="Exit 1 when a target is missed.")
@click.option("--cxdb", metavar="HOST:PORT:HTTP_PORT", help="A running CXDB to write to.  [default: one of our own]")
@click.option("--peers-python", metavar="PYTHON", help="Interpreter with DBOS and LangGraph.  [default: this one]")
@click.option("--list", "only_list", is_flag=True, help="Name the jobs, measure nothing.")
def bench_command(
    quick: bool,
    json_file: Path,
    only: str,
    repeat: int | None,
    matrix: bool | None,
    check: bool,
    cxdb: str | None,
    peers_python: str | None,
    only_list: bool,
) -> None:
    """Measure speed, side by side with others; print a table and write every sample.

    A benchmark, not a test: a missed target is shown and exits 0, unless --check. Exit 3: something could not be
    measured. Runs are made in a temporary directory (TMPDIR says where; a full benchmark needs some 2 GB there),
    and its filesystem decides much: ext4 is slow for minutes after many files have been deleted.
    """
    from harness.bench import BenchOptions, run_bench
    from harness.bench.plan import FULL, QUICK, job_ids, plan, select

    sizes, repeat = (QUICK if quick else FULL), repeat or (1 if quick else 3)
    matrix = (not quick) if matrix is None else matrix
    chosen = job_ids(select(plan(sizes, repeat=repeat, matrix=matrix), only))
    if not chosen:
        raise click.UsageError(f"--only {only!r} matches no job; --list names them")
    if only_list:
        click.echo("\n".join(chosen))
        return
    options = BenchOptions(
        json_file=json_file.absolute(),
        sizes=sizes,
        repeat=repeat,
        matrix=matrix,
        only=only,
        check=check,
        cxdb=parse_cxdb(cxdb) if cxdb else None,
        peers_python=peers_python or sys.executable,
    )
    sys.exit(run_bench(options))
