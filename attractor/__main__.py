"""The program's door. `--version` is answered before anything is imported: scripts ask for it often."""

import sys

from attractor import __version__


def main() -> None:
    """Run the command line and exit with its code (DESIGN 2.1)."""
    if sys.argv[1:] == ["--version"]:
        print(f"attractor {__version__}")  # noqa: T201 (click is not loaded yet)
        return
    from attractor.cli import run_cli

    sys.exit(run_cli(sys.argv[1:]))


if __name__ == "__main__":
    main()
