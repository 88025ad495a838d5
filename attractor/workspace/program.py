"""Calling the git program: for what is done once a run, and for what libgit2 cannot do (filters, LFS, sparseness).

No hook of the user's runs, nothing asks a question, no variable of a surrounding git command leaks in, no signal
of the terminal reaches it, nothing of the user's is refreshed on the way, and every failure is a WorkspaceError
that says which command said what.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
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
_OPTIONS = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "gc.auto=0",
    "-c", "core.fsmonitor=false",  # it would start a daemon that outlives the run
    "-c", "submodule.recurse=false",  # submodules are not filled in a run's worktree, so git would fail in them
    "-c", "advice.addEmbeddedRepo=false",
)  # fmt: skip
_ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",  # `git status` must not rewrite the user's index
}


def without_git_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without the variables that point git at some other repository."""
    return {key: value for key, value in environment.items() if key not in _LEAKING}


def worktree_variables(environment: Mapping[str, str], worktree: Path) -> dict[str, str]:
    """What keeps the git of programs in `worktree` from finding a repository around it.

    The logs root may be inside of a repository of the user's; a worktree whose .git an agent has removed would then
    hand that repository, its branch and its index to every later stage.
    """
    ceilings = [*filter(None, [environment.get("GIT_CEILING_DIRECTORIES", "")]), str(worktree.parent)]
    return {"GIT_CEILING_DIRECTORIES": os.pathsep.join(ceilings)}


def git(folder: Path, *arguments: str, git_dir: Path | None = None) -> bytes:
    """Run git in `folder`; its standard output. Raises WorkspaceError for any failure.

    With `git_dir`, `folder` is that repository's worktree, whatever a search upwards from it would find.
    """
    place = [f"--git-dir={git_dir}", f"--work-tree={folder}"] if git_dir else []
    try:
        process = subprocess.Popen(
            ["git", *_OPTIONS, *place, *arguments],
            cwd=folder,
            env=without_git_variables(os.environ) | _ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the engine, which lets git finish
        )
    except OSError as error:
        raise _not_started(folder, arguments[0], error) from error
    with process:
        try:
            output, complaint = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise WorkspaceError(f"git {arguments[0]} in {folder} took over {TIMEOUT_SECONDS} s") from error
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        said = complaint.decode(errors="replace").strip() or f"exit status {process.returncode}"
        raise WorkspaceError(f"git {arguments[0]} failed in {folder}: {said}")
    return output


def _not_started(folder: Path, command: str, error: OSError) -> WorkspaceError:
    if isinstance(error, FileNotFoundError) and folder.is_dir():
        return WorkspaceError(
            "the git program is not installed", hint="install it (Debian, Ubuntu: apt-get install git)"
        )
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return WorkspaceError(f"{folder} is not a directory")
    return WorkspaceError(
        f"cannot start git {command} in {folder}: {error.strerror or error}",
        hint="the machine or user is at a limit (ulimit -a), or may not enter the folder; then try again",
    )


def git_text(folder: Path, *arguments: str) -> str:
    """`git` with its output as text for people and comparisons, without the newline at the end."""
    return git(folder, *arguments).decode(errors="replace").rstrip("\n")


def git_path(folder: Path, *arguments: str) -> Path:
    """`git` with its output as a path, in whatever encoding the file system's names have."""
    return Path(os.fsdecode(git(folder, *arguments).removesuffix(b"\n")))
