"""Writing files so that a crash at any instant leaves the old content or the new, never a mixture.

Knows nothing of what the files mean.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from attractor.errors import RunDirectoryError

_encoder = msgspec.json.Encoder()


def encode_json(value: Any) -> bytes:
    """Compact JSON; keys keep their order."""
    return _encoder.encode(value)


def pretty_json(value: Any) -> bytes:
    """JSON for people: two spaces, one trailing newline."""
    return msgspec.json.format(_encoder.encode(value), indent=2) + b"\n"


def write_atomic(path: Path, content: bytes, *, durable: bool = True, sync_name: bool = True) -> None:
    """Replace `path` whole. With `durable` the content is on disk before the name points to it, and with
    `sync_name` the name too when this returns; without, a power failure may bring back the old content.

    The temporary name is fixed: the run's lock admits one writer, and what a killed writer left behind is
    overwritten by the next one.
    """
    temporary = f"{path}.tmp"
    with _translated(path):
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                _write_all(fd, content)
                if durable:
                    _fdatasync(fd)
            finally:
                os.close(fd)
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)  # on a full disk, half a file is what it lacks room for
            raise
        if durable and sync_name:
            sync_directory(path.parent)


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


# macOS has no fdatasync.
_fdatasync = getattr(os, "fdatasync", os.fsync)


def sync_directory(path: Path) -> None:
    """Make names created or replaced in `path` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class AppendLog:
    """An append-only file of lines. Each `append` is one `write`; a torn last line is cut at opening, and what an
    append that failed has left is cut before anything follows it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _translated(path):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self._fd = os.open(path, flags, 0o600)
            _refuse_irregular(self._fd, path)
            self.size = self._cut_torn_line()
        self._torn = False

    def _cut_torn_line(self) -> int:
        size = os.fstat(self._fd).st_size
        end = last_newline(self._fd, size)
        if end != size:
            os.ftruncate(self._fd, end)
        return end

    def append(self, lines: bytes, *, durable: bool = False) -> None:
        """Add whole lines (each ending in a newline): all of them, or RunDirectoryError and none."""
        with _translated(self.path):
            self._cut_failed_append()
            try:
                self._torn = True
                _write_all(self._fd, lines)
                if durable:
                    _fdatasync(self._fd)
            except OSError:
                with suppress(OSError):  # tried again before the next line
                    self._cut_failed_append()
                raise
        self._torn = False
        self.size += len(lines)

    def _cut_failed_append(self) -> None:
        if self._torn:
            os.ftruncate(self._fd, self.size)
            self._torn = False

    def clear(self) -> None:
        with _translated(self.path):
            os.ftruncate(self._fd, 0)
        self.size = 0

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def last_newline(fd: int, size: int) -> int:
    """Offset just past the last newline among the first `size` bytes; 0 where there is none."""
    block = 1 << 16
    end = size
    while end > 0:
        begin = max(0, end - block)
        found = os.pread(fd, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunDirectoryError(
            f"cannot write {path}: {error.strerror or error}",
            hint="the run can be resumed once the cause is gone: check disk space, quota and permissions",
        ) from error


def open_regular(path: Path, *, follow: bool = True) -> BinaryIO:
    """Open for reading. OSError for what is no regular file: a pipe would be waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    _refuse_irregular(fd, path)
    return os.fdopen(fd, "rb")


def _refuse_irregular(fd: int, path: Path) -> None:
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_regular(path: Path, most_bytes: int | None = None, *, follow: bool = True) -> bytes:
    """A file's content. OSError for what is no regular file and for one that is larger."""
    with open_regular(path, follow=follow) as stream:
        if most_bytes is not None and os.fstat(stream.fileno()).st_size > most_bytes:
            raise OSError(errno.EFBIG, f"it is larger than {most_bytes} bytes", str(path))
        return stream.read()


def make_own_directory(path: Path, below: Path) -> None:
    """`make_directory`, after `check_own_directory`."""
    check_own_directory(path, below)
    make_directory(path)


def check_own_directory(path: Path, below: Path) -> None:
    """Refuse a link, or anything else that is no folder, in the way from `below`, which is a run's, to `path`: what is
    written there, or removed, would be somebody else's.
    """
    parts = path.relative_to(below).parts
    for count in range(1, len(parts) + 1):
        place = below.joinpath(*parts[:count])
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise RunDirectoryError(
                f"{place} is not a folder of the run: something has been put in its place",
                hint="move it away, and resume",
            )


def make_directory(path: Path) -> None:
    """A folder only its owner may look into; its parents as the umask has it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)  # also one that was there: what runs write is nobody else's
    except OSError as error:
        raise RunDirectoryError(
            f"cannot make {path}: {error.strerror or error}",
            hint="name a folder you may write to with --logs-root",
        ) from error
