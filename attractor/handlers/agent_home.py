"""An agent's state root: where its program keeps configuration and sessions during one stage.

Rules: absolute; inside the stage's own folder, so inside the current run or restart; for its owner only; seeded with
the user's credential files, which are copied without following a link out of the user's home, and taken away
again when the stage ends.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from attractor.errors import RunDirectoryError

MAX_CREDENTIAL_BYTES = 1 << 20


def make_state_root(stage_dir: Path, folders: Iterable[str]) -> Path:
    """The state root of a stage, with `folders` made in it. Raises RunDirectoryError for a relative stage folder."""
    if not stage_dir.is_absolute():
        raise RunDirectoryError(
            f"the state root would be below {str(stage_dir)!r}, which is not an absolute path",
            hint="a relative state root means another folder in another working directory",
        )
    root = stage_dir / "agent-home"
    root.mkdir(mode=0o700)
    for folder in folders:
        make_private(root, folder)
    return root


def make_private(root: Path, folder: str) -> Path:
    """`root/folder` with all folders between, each 0700."""
    place = root
    for part in Path(folder).parts:
        place = place / part
        place.mkdir(mode=0o700, exist_ok=True)
    return place


def write_state_files(root: Path, files: Mapping[str, str]) -> None:
    """Settings a program needs to run unattended; one that was seeded from the user's home stays as it is."""
    for name, content in files.items():
        place = make_private(root, str(Path(name).parent)) / Path(name).name
        if not place.exists():
            place.write_text(content, encoding="utf-8")


def seed_credentials(root: Path, home: Path, files: Sequence[str]) -> list[str]:
    """Copy those of `files` (relative to the user's home) that are there; the names of what was copied.

    A file whose real place is outside of the home is not followed: a planted link must not put an arbitrary
    file into the hands of an agent.
    """
    seeded = []
    for name in files:
        content = _read_inside(home, name)
        if content is None:
            continue
        place = make_private(root, str(Path(name).parent)) / Path(name).name
        fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as stream:
            stream.write(content)
        seeded.append(name)
    return seeded


def _read_inside(home: Path, name: str) -> bytes | None:
    try:
        real = (home / name).resolve(strict=True)
        if not real.is_relative_to(home.resolve()):
            return None
        fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_CREDENTIAL_BYTES:
            return None
        return stream.read()


def remove_credentials(root: Path, seeded: Iterable[str]) -> None:
    """Take the copies away again; a run directory is kept and sent around, credentials are not."""
    for name in seeded:
        with suppress(OSError):
            (root / name).unlink()
