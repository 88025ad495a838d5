"""Removing what stages left, also where they took the permission away (`chmod -R a-w`, Go's module cache).

Only folders matter: who may write a folder may remove any file in it. No link is followed, so nothing outside of the
folder named is opened up or removed.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from attractor.errors import WorkspaceError


def open_folder(folder: Path) -> None:
    """Let its owner read, write and enter one folder. What is missing, a link or somebody else's stays as it is."""
    with suppress(OSError):
        mode = folder.lstat().st_mode
        if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)


def open_tree(folder: Path) -> None:
    """The same for a folder and all folders in it."""
    waiting = [folder] if not folder.is_symlink() else []
    while waiting:
        place = waiting.pop()
        open_folder(place)
        with suppress(OSError), os.scandir(place) as entries:
            waiting += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]


def remove_tree(folder: Path) -> None:
    """Remove a folder and all in it; a link or a file in its place too. A missing one is fine."""
    try:
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        elif os.path.lexists(folder):
            _remove_folder(folder)
    except OSError as error:
        raise WorkspaceError(
            f"cannot remove {folder}: {error}",
            hint="it may belong to another user (a container's root?): remove it by hand, then try again",
        ) from error


def _remove_folder(folder: Path) -> None:
    open_folder(folder)
    try:
        shutil.rmtree(folder)
    except OSError:  # also: a process was still writing into it
        open_tree(folder)
        shutil.rmtree(folder)
