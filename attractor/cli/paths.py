"""Reading the files a command line names."""

from __future__ import annotations

import os
from pathlib import Path

from attractor.errors import UsageError


def working_directory() -> Path:
    """Where relative paths count from; UsageError where it has been removed under our feet."""
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError("the current directory no longer exists", hint="cd to another one") from error


def absolute(name: str, option: str = "--logs-root") -> Path:
    """A path from the command line, whole. Links in it are followed; one that runs in a circle is left to whoever
    opens it.
    """
    if not name or "\n" in name or "\0" in name:
        raise UsageError(f"{option} {name!r} is not a usable path")
    path = Path(name)
    return Path(os.path.realpath(path if path.is_absolute() else working_directory() / path))


def read_graph(name: str) -> bytes:
    """A graph file's bytes; UsageError with the reason where it cannot be read."""
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror or error}") from error
