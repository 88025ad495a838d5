"""`attractor supervise`."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime

import click

from attractor.app import SupervisePolicy, Supervisor
from attractor.cli.paths import absolute
from attractor.processes import StopRequest
from attractor.rundir import rfc3339, runs_home


@click.command()
@click.option("--runs-dir", metavar="D", help="The folder with the runs (default: this user's).")
@click.option(
    "--interval", type=click.FloatRange(min=0.05), default=5.0, show_default=True, help="Seconds between looks."
)
@click.option(
    "--backoff", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Seconds behind the first resume."
)
@click.option(
    "--max-backoff", type=click.FloatRange(min=0), default=600.0, show_default=True, help="Longest wait, in seconds."
)
@click.option(
    "--max-attempts",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Resumes in a row without a node finished between them.",
)
@click.option("--once", is_flag=True, help="One look, then end: for a timer.")
def supervise(
    runs_dir: str | None, interval: float, backoff: float, max_backoff: float, max_attempts: int, once: bool
) -> int:
    """Resume crashed runs by itself, until SIGTERM or Ctrl-C.

    A run that failed, was canceled, or has a living engine is left alone. The engines it starts outlive it.
    """
    stop = StopRequest()
    stop.listen(signal.SIGTERM, signal.SIGINT)
    home = absolute(runs_dir) if runs_dir is not None else runs_home(os.environ)
    Supervisor(home, SupervisePolicy(interval, backoff, max_backoff, max_attempts), os.environ, _say).watch(
        stop, once=once
    )
    return 0


def _say(line: str) -> None:
    click.echo(f"{rfc3339(datetime.now(UTC))} {line}")
