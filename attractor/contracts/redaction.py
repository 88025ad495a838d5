"""Keeping the values of secrets out of a run's records.

Which values: those of the environment's variables that are named like a secret. A program may print such a value, and
an error message may repeat it; records are kept, committed to CXDB and sent around, so they get its name instead.
Values that are short or paths are left: they would be found everywhere. What a stage writes into the worktree is the
user's own and is not looked into.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

MIN_CHARACTERS: Final = 8
BLOCK_BYTES: Final = 1 << 20
_SECRET_NAME = re.compile(
    r"(?:API|ACCESS|PRIVATE|SECRET)_?KEY|_KEY$|TOKEN|SECRET|PASSW(?:OR)?D|CREDENTIAL", re.IGNORECASE
)
# The run's own marks, which are meant to be found.
_OURS = "ATTRACTOR_"


class Redactor:
    """Replaces the secrets of one environment by `[redacted NAME]`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        named = {value: name for name, value in sorted(environment.items()) if _is_secret(name, value)}
        # The longest first: one may be a part of another.
        self._texts = [
            (form, f"[redacted {named[value]}]")
            for value in sorted(named, key=len, reverse=True)
            for form in _forms(value)
        ]
        self._bytes = [(form.encode("utf-8", "surrogateescape"), instead.encode()) for form, instead in self._texts]

    def text(self, text: str) -> str:
        for value, instead in self._texts:
            if value in text:
                text = text.replace(value, instead)
        return text

    def value(self, value: Any) -> Any:
        """A value that JSON can hold, with all texts in it looked through."""
        if not self._texts:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.value(inner) for inner in value)
        return value

    def hits(self, data: bytes) -> bool:
        return any(value in data for value, _ in self._bytes)

    def tree(self, folder: Path) -> None:
        """Look through all files of a folder, without following links. One that cannot be written back whole (a full
        disk) stays empty: better no record than one with a secret in it.
        """
        if not self._bytes:
            return
        for place, folders, names in os.walk(folder):
            if place == str(folder) and "attempts" in folders:
                folders.remove("attempts")  # earlier ones, looked through when they ended
            for name in names:
                self._file(os.path.join(place, name))

    def _file(self, path: str) -> None:
        with suppress(OSError):
            fd = _opened(path)
            try:
                facts = os.fstat(fd)
                if stat.S_ISREG(facts.st_mode) and facts.st_size:
                    self._clean(fd)
            finally:
                os.close(fd)

    def _clean(self, fd: int) -> None:
        if not self.found_in(fd):
            return
        with open(fd, "rb", closefd=False) as stream:
            stream.seek(0)
            cleaned = stream.read()
        for value, instead in self._bytes:
            cleaned = cleaned.replace(value, instead)
        os.ftruncate(fd, 0)
        with open(fd, "wb", closefd=False) as stream:
            stream.seek(0)
            stream.write(cleaned)

    def found_in(self, fd: int) -> bool:
        """Block by block: a file may be large, and somebody may still be writing it. Raises OSError."""
        if not self._bytes:
            return False
        overlap = max(len(value) for value, _ in self._bytes) - 1
        offset, tail = 0, b""
        while block := os.pread(fd, BLOCK_BYTES, offset):
            if self.hits(tail + block):
                return True
            offset += len(block)
            tail = block[-overlap:]
        return False


def _opened(path: str) -> int:
    """To be read and written, whatever its mode says: it is our own, and what it holds may have to go."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except PermissionError:
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode):
            raise
        os.chmod(path, stat.S_IMODE(mode) | stat.S_IRUSR | stat.S_IWUSR)
        return os.open(path, flags)


def _forms(value: str) -> list[str]:
    """As it is, as JSON has it (also in JSON that is a text in JSON), and as Python shows it."""
    quoted = json.dumps(value)[1:-1]
    return list(dict.fromkeys((value, quoted, json.dumps(quoted)[1:-1], repr(value)[1:-1])))


def _is_secret(name: str, value: str) -> bool:
    if name.startswith(_OURS) or len(value) < MIN_CHARACTERS or value.startswith("/"):
        return False
    return _SECRET_NAME.search(name) is not None
