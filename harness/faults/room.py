"""Takes room away: the last byte of a small disk, the right to write in a directory, memory."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
from pathlib import Path

from harness.faults.scene import Scene, fault_record
from harness.processes import unprivileged
from harness.results import FaultRecord
from harness.scenario import FaultStep

__all__ = ["FILLER", "fill", "fill_disk", "free_disk", "limit", "protect", "unprotect"]

FILLER = ".filler"  # written by `fill`, for `remove` to give the room back
CHUNK_BYTES = 64 * 1024
WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def fill(step: FaultStep, scene: Scene) -> FaultRecord:
    return fault_record("fill", step.target, *fill_disk(scene.in_logs_root(step.run, step.target)))


def fill_disk(directory: Path) -> tuple[bool, str]:
    """Writes a file until the disk takes not one byte more; the kernel's ENOSPC is the proof."""
    written = 0
    size = CHUNK_BYTES
    with (directory / FILLER).open("wb", buffering=0) as file:
        while size:
            try:
                written += file.write(b"\0" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    return False, str(error)
                size //= 2
    free = os.statvfs(directory).f_bavail
    return free == 0, f"{written} bytes written, then ENOSPC; {free} blocks free"


def free_disk(directory: Path) -> tuple[bool, str]:
    """Takes away what `fill_disk` has written."""
    (directory / FILLER).unlink(missing_ok=True)
    free = os.statvfs(directory).f_bavail
    return free > 0, f"{free} blocks free"


def protect(step: FaultStep, scene: Scene) -> FaultRecord:
    return _chmod("protect", step, scene, writable=False)


def unprotect(step: FaultStep, scene: Scene) -> FaultRecord:
    return _chmod("unprotect", step, scene, writable=True)


def _chmod(kind: str, step: FaultStep, scene: Scene, *, writable: bool) -> FaultRecord:
    """Of the directory and all below it; proven by somebody who tries to write there as the engine would."""
    root = scene.in_logs_root(step.run, step.target)
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IWUSR if writable else mode & ~WRITE_BITS)
    could = _can_write(root)
    said = "a file could be made" if could else "no file could be made"
    return fault_record(kind, step.target, could is writable, f"{said} in {root} by a process without privileges")


def _can_write(directory: Path) -> bool:
    attempt = unprivileged(["/bin/sh", "-c", ': > "$1" && rm "$1"', "probe", str(directory / ".probe")])
    return subprocess.run(attempt, capture_output=True, timeout=10, check=False).returncode == 0


def limit(step: FaultStep, scene: Scene) -> FaultRecord:
    """The engine may have what it has and no byte of address space more; proven by the kernel's own table."""
    engine = scene.engine(step.run)
    if engine is None:
        return fault_record("limit", step.target, False, "no engine process was alive")
    pages = int(Path(f"/proc/{engine.pid}/statm").read_text().split()[0])
    size = pages * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(engine.pid, resource.RLIMIT_AS, (size, size))
    soft, _ = resource.prlimit(engine.pid, resource.RLIMIT_AS)
    return fault_record("limit", step.target, soft == size, f"{engine}: address space {size} bytes, limit {soft}")
