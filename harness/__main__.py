"""`python -m harness` and the console script `attractor-harness`."""

from __future__ import annotations

from harness.cli import cli

__all__ = ["main"]


def main() -> None:
    cli(prog_name="attractor-harness")


if __name__ == "__main__":
    main()
