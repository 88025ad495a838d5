"""What libgit2 would commit wrongly, so that the git program has to: filters, encodings, sparse checkouts.

libgit2 runs no filter programs (git LFS and the like), ignores working-tree-encoding, and takes what a sparse
checkout leaves out for deleted. A stage may bring any of these in (`git lfs track`, `git sparse-checkout set`), so
this is looked at again whenever one of the files that decide it has changed: some ten `stat` calls a commit.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pygit2

from attractor.workspace.program import git

ATTRIBUTES = ".gitattributes"
_TRUE = frozenset({"true", "yes", "on", "1", ""})
_Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class _Settings:
    """What the configuration says, and the files it was read from."""

    filters: bool
    sparse: bool
    attributes_file: Path | None
    files: tuple[Path, ...]


class LibraryLimits:
    """Whether a worktree is beyond libgit2 at the moment."""

    def __init__(self, worktree: Path, git_dir: Path, common: Path) -> None:
        self._worktree = worktree
        self._git_dir = git_dir
        self._common = common
        self._watched: tuple[str, ...] = ()
        self._stamp: _Stamp | None = None
        self._exceeded = False

    def moved(self, worktree: Path, git_dir: Path) -> LibraryLimits:
        """The same for another worktree of the repository with the same content: nothing is looked at again."""
        other = LibraryLimits(worktree, git_dir, self._common)
        other._exceeded = self._exceeded
        other._watched = tuple(_moved(place, self, other) for place in self._watched)
        other._stamp = _stamp(other._watched)
        return other

    def exceeded(self) -> bool:
        """True where the git program must make the commit."""
        if self._stamp is None or self._stamp != _stamp(self._watched):
            self._look()
        return self._exceeded

    def exceeded_after(self, changes: pygit2.Diff) -> bool:
        """The same, for content in which `changes` were made, to attributes files too."""
        if any(_is_attributes(delta) for delta in changes.deltas):
            self._look()
        return self._exceeded

    def _look(self) -> None:
        settings = self._read_settings()
        outside = [self._common / "info" / "attributes", Path("/etc/gitattributes"), self._worktree / ATTRIBUTES]
        if settings.attributes_file is not None:
            outside.append(settings.attributes_file)
        self._watched = tuple(str(place) for place in (*settings.files, *outside))
        self._stamp = _stamp(self._watched)
        self._exceeded = settings.sparse or self._attributes_ask_for_it(settings.filters, outside)

    def _read_settings(self) -> _Settings:
        listing = git(self._worktree, "config", "--list", "--show-origin", "--null", git_dir=self._git_dir)
        fields = [os.fsdecode(field) for field in listing.split(b"\0")]
        values: dict[str, str] = {}
        for field in fields[1::2]:
            key, _, value = field.partition("\n")
            values[key] = value
        origins = {self._worktree / field.removeprefix("file:") for field in fields[::2] if field.startswith("file:")}
        home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config", "git").expanduser()
        origins |= {self._common / "config", self._git_dir / "config.worktree"}
        origins |= {Path(os.environ.get("GIT_CONFIG_GLOBAL") or "~/.gitconfig").expanduser(), home / "config"}
        attributes = values.get("core.attributesfile", str(home / "attributes"))
        return _Settings(
            any(key.startswith("filter.") and key.endswith((".clean", ".process")) for key in values),
            values.get("core.sparsecheckout", "false").lower() in _TRUE,
            self._worktree / Path(attributes).expanduser() if attributes else None,
            tuple(sorted(origins)),
        )

    def _attributes_ask_for_it(self, filters: bool, outside: list[Path]) -> bool:
        words = (b"working-tree-encoding", b"filter=") if filters else (b"working-tree-encoding",)
        listing = git(
            self._worktree,
            *("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", f"*{ATTRIBUTES}"),
            git_dir=self._git_dir,
        )
        inside = {self._worktree / os.fsdecode(name) for name in listing.split(b"\0") if name}
        return any(_mentions(place, words) for place in (*outside, *sorted(inside)))


def _moved(place: str, old: LibraryLimits, new: LibraryLimits) -> str:
    for before, after in ((old._git_dir, new._git_dir), (old._worktree, new._worktree)):
        if Path(place).is_relative_to(before):
            return str(after / Path(place).relative_to(before))
    return place


def _stamp(places: tuple[str, ...]) -> _Stamp:
    return tuple(_seen(place) for place in places)


def _seen(place: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(place)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _is_attributes(delta: pygit2.DiffDelta) -> bool:
    return delta.new_file.path.rpartition("/")[2] == ATTRIBUTES


def _mentions(attributes: Path, words: tuple[bytes, ...]) -> bool:
    try:
        content = attributes.read_bytes()
    except OSError:
        return False
    return any(word in content for word in words)
