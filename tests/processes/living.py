"""Whether processes a test made are still there. A zombie is not: it only waits for its parent to look."""

from pathlib import Path

import psutil


def living(pid_file: Path) -> list[int]:
    """Those pids in a file (one a line) that are alive."""
    return [pid for pid in map(int, pid_file.read_text().split()) if _is_alive(pid)]


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
