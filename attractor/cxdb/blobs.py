"""Which file an Artifact turn names, and whether it still is what the turn says."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
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
    named = str(artifact.get("content_hash", ""))
    for place in _places(Path(str(artifact.get("local_path", "")))):
        try:
            file = _open(place)
        except OSError:
            continue
        size = os.fstat(file.fileno()).st_size
        if size <= MAX_BLOB_BYTES and _hash_of(file) == named:
            file.seek(0)
            return Blob(bytes.fromhex(named), file, size)
        file.close()
    return None


def _places(path: Path) -> Iterator[Path]:
    """Where it was, and where the next attempt puts what it finds there."""
    yield path
    yield from sorted(path.parent.glob(f"attempts/*/{path.name}"))


def _open(place: Path) -> BinaryIO:
    """Nothing that a stage has planted is followed or waited for."""
    return open(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _hash_of(file: BinaryIO) -> str:
    digest = blake3()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
