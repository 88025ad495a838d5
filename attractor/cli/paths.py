"""Reading the files a command line names."""

from __future__ import annotations

from pathlib import Path

from attractor.errors import UsageError


def read_graph(name: str) -> bytes:
    """A graph file's bytes; UsageError with the reason where it cannot be read."""
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror or error}") from error
