"""Looking into the output a command left in a file, however large it is."""

from __future__ import annotations

import os
from pathlib import Path

LAST_LINE_BYTES = 400


def excerpt(path: Path, limit_bytes: int) -> str:
    """A text file's content, its middle left out where it is longer than `limit_bytes`."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size <= limit_bytes:
            return stream.read().decode(errors="replace")
        half = limit_bytes // 2
        head = stream.read(half)
        stream.seek(-half, os.SEEK_END)
        tail = stream.read()
    left_out = f"\n... {size - 2 * half} bytes left out; all of it is in {path.name} ...\n"
    return head.decode(errors="replace") + left_out + tail.decode(errors="replace")


def last_line(path: Path) -> str:
    """The last line that says something, from the end of a file; '' where there is none."""
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, size - LAST_LINE_BYTES))
        lines = [line for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
