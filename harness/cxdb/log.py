"""One append-only file of checksummed records: all the embedded CXDB keeps on disk.

Layout: an 8-byte mark, then records `u32 body length, u32 crc32(body), u32 crc32(the first 8 bytes), body`.
The header has a checksum of its own so that a damaged length cannot pass for a torn end and silently
take everything behind it along.

Rules:
- `append` only collects; `flush` writes everything collected in one call. The server flushes before it
  sends what acknowledges it, so whatever a client was told survives the server's SIGKILL. There is no
  fsync (the real server has none either): power loss may cost the end of the file, never its middle.
- A torn last record, which a killed process leaves, is cut off when opening. Damage with records after
  it is never repaired by guessing: `CorruptLog` names the byte.
- One owner: the file is locked, so two servers cannot interleave records.

Knows nothing of what records mean.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from struct import Struct as Layout
from zlib import crc32

from harness.cxdb.errors import CorruptLog, DataDirUnusable

__all__ = ["LOG_NAME", "RecordLog"]

LOG_NAME = "cxdb.log"

_MARK = b"CXDBLOG1"
_HEADER = Layout("<III")
_HEADER_CHECKED = Layout("<II")
_READ_BYTES = 1 << 20


class RecordLog:
    """The log of one data directory, created when missing. Records are found again by body offset."""

    def __init__(self, data_dir: str) -> None:
        """Open and lock; raises DataDirUnusable. Call `recover` once before the first append."""
        self._data_dir = data_dir
        self.path = f"{data_dir}/{LOG_NAME}"  # no pathlib here: its import would double the start-up time
        try:
            os.makedirs(data_dir, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DataDirUnusable(data_dir, f"{error.strerror}; give another one with --data-dir") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise DataDirUnusable(data_dir, f"{self.path}: {error.strerror}") from error
            raise DataDirUnusable(
                data_dir, f"another server holds {self.path}; end it or give another --data-dir"
            ) from error
        self._collected: list[bytes] = []
        self._is_broken = False
        self._written = 0  # bytes in the file
        self._end = 0  # bytes in the file once `_collected` is written

    @property
    def size_bytes(self) -> int:
        """Length of the log including what is not written yet."""
        return self._end

    def recover(self) -> Iterator[tuple[int, bytes]]:
        """Yield (body offset, body) of every record, then cut off a torn end.

        Must be run to its end. Raises CorruptLog, having changed nothing.
        """
        size = os.fstat(self._fd).st_size
        if size < len(_MARK):
            self._restart(_MARK.startswith(os.pread(self._fd, size, 0)))
            return
        if os.pread(self._fd, len(_MARK), 0) != _MARK:
            self._restart(False)
        at = len(_MARK)
        with open(self._fd, "rb", buffering=_READ_BYTES, closefd=False) as stream:
            stream.seek(at)
            while (body := self._maybe_body(stream.read(_HEADER.size), at, size)) is not None:
                length, checksum = body
                data = stream.read(length)
                if crc32(data) != checksum:
                    raise CorruptLog(self.path, at, "a record does not match its checksum")
                at += _HEADER.size
                yield at, data
                at += length
        os.ftruncate(self._fd, at)
        os.lseek(self._fd, at, os.SEEK_SET)
        self._written = self._end = at

    def _maybe_body(self, header: bytes, at: int, size: int) -> tuple[int, int] | None:
        """(length, checksum) of the record at `at`; None when the file ends before the record does."""
        if len(header) < _HEADER.size:
            return None
        length, checksum, header_checksum = _HEADER.unpack(header)
        if crc32(header[: _HEADER_CHECKED.size]) != header_checksum:
            raise CorruptLog(self.path, at, "a record's header does not match its checksum")
        return (length, checksum) if at + _HEADER.size + length <= size else None

    def _restart(self, is_torn_mark: bool) -> None:
        if not is_torn_mark:
            raise CorruptLog(self.path, 0, "it does not begin like a CXDB log")
        self.clear()

    def clear(self) -> None:
        """Empty the log: the start of a server told to forget."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._collected = [_MARK]
        self._written, self._end = 0, len(_MARK)

    def append(self, *parts: bytes) -> int:
        """Collect one record whose body is the joined parts; returns the body's offset."""
        length = checksum = 0
        for part in parts:
            length += len(part)
            checksum = crc32(part, checksum)
        head = _HEADER_CHECKED.pack(length, checksum)
        self._collected.append(_HEADER.pack(length, checksum, crc32(head)))
        self._collected += parts
        offset = self._end + _HEADER.size
        self._end = offset + length
        return offset

    def flush(self) -> None:
        """Write what was collected. Raises DataDirUnusable, after which nothing is written any more."""
        if not self._collected or self._is_broken:
            return
        data = memoryview(b"".join(self._collected))
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            # Whatever part was written is a torn end, which the next start cuts off; writing on would bury it.
            self._collected.clear()
            self._is_broken = True
            raise DataDirUnusable(self._data_dir, f"writing {self.path}: {error.strerror}") from error
        self._collected.clear()
        self._written = self._end

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes of a body, at an offset derived from what `append` or `recover` gave."""
        if offset + length > self._written:
            self.flush()
        data = os.pread(self._fd, length, offset)
        if len(data) != length:
            raise CorruptLog(self.path, offset, f"{length} bytes were written here, {len(data)} are left")
        return data

    def close(self) -> None:
        """Flush and release the lock."""
        try:
            self.flush()
        finally:
            os.close(self._fd)
