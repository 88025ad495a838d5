"""Which file goes to CXDB with an event, and whether it still is what the event says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from blake3 import blake3

from attractor.contracts import EventName
from attractor.cxdb.connection import MAX_BLOB_BYTES

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Blob:
    """An open file, at its beginning, whose content has that hash."""

    content_hash: bytes
    file: BinaryIO
    size: int


def blob_of(event: dict[str, Any]) -> Blob | None:
    """The artifact that an event tells of. None where it tells of none, where it is gone or another one by now (its
    turn then names content that CXDB has not got), or larger than a blob may be.
    """
    if event["event"] != EventName.ARTIFACT_STORED or "blake3" not in event:
        return None
    try:
        file = Path(event["path"]).open("rb")  # noqa: SIM115 - it is closed when it has been sent
    except OSError:
        return None
    size = os.fstat(file.fileno()).st_size
    digest = blake3()
    while size <= MAX_BLOB_BYTES and (chunk := file.read(CHUNK_BYTES)):
        digest.update(chunk)
    if digest.hexdigest() != event["blake3"]:
        file.close()
        return None
    file.seek(0)
    return Blob(digest.digest(), file, size)
