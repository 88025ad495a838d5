"""Looking into the output a command left in a file, however large it is and whatever the command did to the file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LAST_LINE_BYTES = 400


def excerpt(path: Path, limit_bytes: int) -> str:
    """A text file's content, its middle left out where it is longer than `limit_bytes`; '' for no such file."""
    with _regular(path) as stream:
        if stream is None:
            return ""
        size = os.fstat(stream.fileno()).st_size
        if size <= limit_bytes:
            return stream.read(limit_bytes).decode(errors="replace")
        half = limit_bytes // 2
        head = stream.read(half)
        stream.seek(-half, os.SEEK_END)
        tail = stream.read(half)
    left_out = f"\n... {size - 2 * half} bytes left out; all of it is in {path.name} ...\n"
    return head.decode(errors="replace") + left_out + tail.decode(errors="replace")


def last_line(path: Path) -> str:
    """The last line that says something, from the end of a file; '' where there is none."""
    with _regular(path) as stream:
        if stream is None:
            return ""
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, size - LAST_LINE_BYTES))
        lines = [line for line in stream.read(LAST_LINE_BYTES).decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


@contextmanager
def _regular(path: Path) -> Iterator[BinaryIO | None]:
    """The file opened, or None: a stage can have put a FIFO, a link or nothing in its log's place."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    with os.fdopen(fd, "rb") as stream:
        yield stream if stat.S_ISREG(os.fstat(fd).st_mode) else None
