"""Calling the git program: for what is done once a run, and for what libgit2 cannot do (filters, LFS).

No hook of the user's runs, nothing asks a question, no variable of a surrounding git command leaks in, and
every failure is a WorkspaceError that says which command said what.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from attractor.errors import WorkspaceError

TIMEOUT_SECONDS = 600
# Set by git for its hooks and aliases: with them, git would work on the user's checkout and index.
_LEAKING = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)


def without_git_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the variables that point git at some other repository."""
    return {key: value for key, value in environment.items() if key not in _LEAKING}


def git(folder: Path, *arguments: str) -> bytes:
    """Run git in `folder`; its standard output. Raises WorkspaceError for any failure."""
    argv = ["git", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", *arguments]
    environment = without_git_variables(os.environ) | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        if not folder.is_dir():
            raise WorkspaceError(f"{folder} is not a directory") from error
        raise WorkspaceError(
            "the git program is not installed", hint="install it (Debian, Ubuntu: apt-get install git)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise WorkspaceError(f"git {arguments[0]} in {folder} took over {TIMEOUT_SECONDS} s") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise WorkspaceError(f"git {arguments[0]} failed in {folder}: {said}")
    return done.stdout


def git_text(folder: Path, *arguments: str) -> str:
    """`git` with its output as text, without the newline at the end."""
    return git(folder, *arguments).decode(errors="surrogateescape").rstrip("\n")
