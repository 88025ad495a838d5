"""The command line: click commands over `app` and `lint`."""

from attractor.cli.main import run_cli

__all__ = ["run_cli"]
