"""What a case needs of the machine, each tried once in a session by doing it. Must not know what a case is."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from harness.disks import small_disk
from harness.errors import HarnessError
from harness.launchers import NEW_PID_NAMESPACE
from harness.processes import unprivileged
from harness.scenario import Need

__all__ = ["lacking"]


def lacking(needs: Iterable[Need]) -> str:
    """Why this machine cannot do it; empty when it can."""
    return "; ".join(filter(None, map(_why_not, needs)))


@functools.cache
def _why_not(need: Need) -> str:
    return _TRIALS[need]()


def _proc() -> str:
    return "" if Path("/proc/self/environ").exists() else "needs /proc"


def _pty() -> str:
    return "" if Path("/dev/ptmx").exists() else "needs pseudo terminals"


def _mount() -> str:
    with tempfile.TemporaryDirectory() as directory:
        try:
            with small_disk(Path(directory), "1m"):
                return ""
        except HarnessError as error:
            return f"needs a small disk (root on Linux): {error}"


def _capabilities() -> str:
    try:
        attempt = unprivileged(["/bin/true"])
    except OSError as error:
        return f"needs to give up root's privileges: {error}"
    return _tried(attempt, "needs to give up root's privileges")


def _namespaces() -> str:
    return _tried([*NEW_PID_NAMESPACE, "/bin/true"], "needs PID namespaces (root on Linux)")


def _tried(argv: list[str], need: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{need}: {error}"
    return "" if done.returncode == 0 else f"{need}: {done.stderr.strip()}"


_TRIALS: Mapping[Need, Callable[[], str]] = {
    Need.PROC: _proc,
    Need.PTY: _pty,
    Need.MOUNT: _mount,
    Need.CAPABILITIES: _capabilities,
    Need.NAMESPACES: _namespaces,
}
