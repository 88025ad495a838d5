"""`python -m harness` and the console script `attractor-harness`."""

from __future__ import annotations

import sys

import click

from harness.cli import cli
from harness.errors import HarnessError

__all__ = ["main"]

# As in verdict.py's table: the harness itself failed, nothing is known about the engine.
HARNESS_FAILED = 3


def main() -> None:
    try:
        cli(prog_name="attractor-harness")
    except HarnessError as error:
        click.echo(f"attractor-harness: error: {error}", err=True)
        sys.exit(HARNESS_FAILED)


if __name__ == "__main__":
    main()
