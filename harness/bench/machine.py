"""The machine the figures were taken on, as far as it may be told: no user, no host name, no path.

Reads the platform and asks the git program for its version; a fact that cannot be had is `unknown`.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

__all__ = ["filesystem_of", "machine_facts"]


def machine_facts(folder: Path) -> dict[str, str]:
    """`folder` is where the runs are made; its filesystem matters most of all."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    mounts = ((part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True))
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cores": str(cores),
        "load before": f"{os.getloadavg()[0]:.1f}",
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "filesystem": filesystem_of(str(folder.resolve()), mounts),
        "git": _git_version(),
    }


def filesystem_of(path: str, mounts: Iterable[tuple[str, str]]) -> str:
    """Type of the filesystem mounted closest above the path; of two at one place, the later one hides the other."""
    best = ("", "unknown")
    for mount, kind in mounts:
        if (path == mount or path.startswith(mount.rstrip("/") + "/")) and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]


def _git_version() -> str:
    environment: Mapping[str, str] = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        done = subprocess.run(["git", "--version"], env=environment, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.removeprefix("git version ").strip() or "unknown"
