"""Which file an Artifact turn names, and whether it still is what the turn says."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from blake3 import blake3

from attractor.cxdb.connection import MAX_BLOB_BYTES

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Blob:
    """An open file, at its beginning, whose content has that hash."""

    content_hash: bytes
    file: BinaryIO
    size: int


def blob_of(artifact: Mapping[str, Any]) -> Blob | None:
    """The file of an Artifact turn's fields. None where it is gone or another one by now (the turn then names content
    that CXDB has not got), or larger than a blob may be.
    """
    named, size = str(artifact.get("content_hash", "")), artifact.get("bytes_len")
    if isinstance(size, int) and size <= MAX_BLOB_BYTES:
        for place in _places(Path(str(artifact.get("local_path", "")))):
            with suppress(OSError, ValueError):  # it is somebody's folder: anything may be there
                blob = _blob_at(place, named, size)
                if blob is not None:
                    return blob
    return None


def _places(path: Path) -> Iterator[Path]:
    """Where it was, and where the next attempt puts what it finds there."""
    yield path
    yield from sorted(path.parent.glob(f"attempts/*/{glob.escape(path.name)}"))


def _blob_at(place: Path, named: str, size: int) -> Blob | None:
    """Nothing that a stage has planted is followed or waited for. Raises OSError, ValueError."""
    fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size != size:
        os.close(fd)
        return None
    file = open(fd, "rb")  # noqa: SIM115 - it is closed when it has been sent
    try:
        if _hash_of(file) == named:
            file.seek(0)
            return Blob(bytes.fromhex(named), file, size)
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def _hash_of(file: BinaryIO) -> str:
    digest = blake3()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
