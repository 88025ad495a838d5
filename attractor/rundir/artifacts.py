"""`artifacts/<id>.json`: stage outputs that are too large for the context (spec 5.5), each with its description.

The specification keeps small ones in memory. Here each is a file, on disk when `store` returns: a resumed life, and a
person, find them all. An id is a file's name; storing under it again replaces what was there.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from attractor.contracts import ArtifactInfo, NotReadable, read_json
from attractor.errors import RunDirectoryError
from attractor.rundir.files import encode_json, make_own_directory, write_atomic
from attractor.rundir.layout import Layout

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")
_UNUSABLE = re.compile(r"[^A-Za-z0-9_.+-]")
_SUFFIX = ".json"
MAX_ID_CHARACTERS = 200


class _Header(msgspec.Struct):
    """The description, without the data: reading it does not build that."""

    id: str
    name: str
    size_bytes: int
    stored_at: str


class _Whole(_Header):
    data: Any


_H = TypeVar("_H", bound=_Header)


class ArtifactStore:
    """Implements `contracts.Artifacts` in one logs root. Holds nothing: threads and processes may share it."""

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.artifacts

    def store(self, artifact_id: str, name: str, data: Any) -> ArtifactInfo:
        path = self._path(artifact_id)
        try:
            size = len(encode_json(data))
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"artifact {artifact_id}: {error}; it must be what JSON can hold") from error
        stored_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        if not self._folder.is_dir() or self._folder.is_symlink():
            make_own_directory(self._folder, self._folder.parent)
        write_atomic(path, encode_json(_Whole(artifact_id, name, size, stored_at, data)) + b"\n")
        return ArtifactInfo(artifact_id, name, size, stored_at, path)

    def retrieve(self, artifact_id: str) -> Any:
        return self._read(artifact_id, _Whole).data

    def has(self, artifact_id: str) -> bool:
        return _ID.fullmatch(artifact_id) is not None and self._path(artifact_id).exists()

    def list(self) -> tuple[ArtifactInfo, ...]:
        paths = self._folder.glob(f"*{_SUFFIX}")
        return tuple(self._info(path.name.removesuffix(_SUFFIX)) for path in sorted(paths))

    def remove(self, artifact_id: str) -> None:
        try:
            self._path(artifact_id).unlink()
        except FileNotFoundError:
            raise KeyError(artifact_id) from None

    def clear(self) -> None:
        for info in self.list():
            self.remove(info.id)

    def _info(self, artifact_id: str) -> ArtifactInfo:
        header = self._read(artifact_id, _Header)
        return ArtifactInfo(header.id, header.name, header.size_bytes, header.stored_at, self._path(artifact_id))

    def _read(self, artifact_id: str, kind: type[_H]) -> _H:
        path = self._path(artifact_id)
        try:
            return read_json(path.read_bytes(), kind)
        except FileNotFoundError:
            raise KeyError(artifact_id) from None
        except (OSError, NotReadable) as error:
            raise RunDirectoryError(f"{path} cannot be read: {error}", hint="remove it, or restore it") from error

    def _path(self, artifact_id: str) -> Path:
        if not _ID.fullmatch(artifact_id):
            raise ValueError(f"{artifact_id!r} is no artifact id: letters, digits and _ . + - make one")
        return self._folder / f"{artifact_id}{_SUFFIX}"


def artifact_id_of(*parts: object) -> str:
    """An id made of a few words, whatever characters they have; different words make different ids."""
    words = "-".join(str(part) for part in parts)
    usable = _UNUSABLE.sub("_", words).lstrip(".+-")
    if usable == words and len(usable) <= MAX_ID_CHARACTERS and usable:
        return usable
    digest = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{usable[: MAX_ID_CHARACTERS - 13] or '_'}-{digest}"
