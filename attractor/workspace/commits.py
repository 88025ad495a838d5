"""One commit after every node: everything in the worktree, on the run's own branch.

Rules kept here (DESIGN 2.3, 2.4): the user's checkout, index, hooks, identity and branch are never touched; each
commit's parent is the commit before it of this run, whatever a stage did with git meanwhile; commit, trees and blobs
are on disk before `commit` returns.

HEAD of the worktree is detached. A stage's own commits, resets and rebases therefore move HEAD and never the run's
branch, which only this class moves: what resume finds on it is the run's, or was put there by somebody on purpose.

libgit2 does the work where it can (no process to start). Where it fails, it is asked again, because services that a
stage left may create and remove files meanwhile; then the git program is; then the error is the user's.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pygit2
from pygit2.enums import DeltaStatus

from attractor.contracts import CommitInfo, Committed
from attractor.errors import WorkspaceError
from attractor.workspace.durability import sync_commit
from attractor.workspace.limits import LibraryLimits
from attractor.workspace.program import git
from attractor.workspace.repository import common_dir

IDENTITY = pygit2.Signature("attractor", "attractor@localhost", 0, 0)
# What pygit2 raises: its own error, and the built-in ones it makes of some of libgit2's codes.
_LIBRARY_ERRORS = (pygit2.GitError, KeyError, OSError, ValueError)
_ERRORS = (*_LIBRARY_ERRORS, WorkspaceError)
# Seconds before the second, third ... try: whoever holds a lock or is in the middle of a write gets time to finish.
_PAUSES = (0.0, 0.01, 0.05, 0.2)
_VANISHED_TRIES, _VANISHED_PAUSE = 40, 0.02
_WITHOUT_COMMIT = re.compile(r"'(?P<folder>.*?)/?' does not have a commit checked out")
KEPT_REFERENCES = "refs/attractor/kept"
_NODE_TRAILER = re.compile(r"^Attractor-Node: (.+)$", re.MULTILINE)
_T = TypeVar("_T")


class GitWorkspace:
    """Implements `contracts.Workspace` on a linked worktree."""

    def __init__(
        self, repository: Path, worktree: Path, branch: str, head_sha: str, *, like: GitWorkspace | None = None
    ) -> None:
        """`like`: another worktree of the repository whose content is the same, and has been looked at."""
        self._worktree = worktree
        self._branch_ref = f"refs/heads/{branch}"
        try:
            self._repo = pygit2.Repository(str(worktree))
            self._parent = self._repo[head_sha].peel(pygit2.Commit)
        except _LIBRARY_ERRORS as error:
            raise WorkspaceError(f"cannot open the worktree {worktree} at commit {head_sha}: {error}") from error
        self._git_dir = Path(self._repo.path)
        self.common = common_dir(self._git_dir)
        self._objects = self.common / "objects"
        self._author = self._configured_identity()
        if like is None:
            self._limits = LibraryLimits(worktree, self._git_dir, self.common)
            self._limits.exceeded()
        else:
            self._limits = like._limits.moved(worktree, self._git_dir)

    @property
    def path(self) -> Path:
        return self._worktree

    @property
    def needs_program(self) -> bool:
        """Whether libgit2 would get this content wrong."""
        return self._limits.exceeded()

    def commit(self, info: CommitInfo) -> Committed:
        """One commit with everything in the worktree that is not ignored."""
        try:
            tree_id = self._write_tree()
            commit_id = self._repo.create_commit(
                None,
                _now(self._author),
                _now(IDENTITY),
                commit_message(info),
                tree_id,
                [self._parent.id],
            )
            sync_commit(self._repo, self._objects, commit_id, self._parent)
            kept = self._persistently(self._keep_foreign)
            self._persistently(lambda: self._move(commit_id))
            self._parent = self._repo[commit_id].peel(pygit2.Commit)
            self._put_back_link()
        except _ERRORS as error:
            raise self._explained(info.node_id, str(error)) from error
        return Committed(str(commit_id), str(tree_id), kept)

    def adopt(self, base_sha: str, head_sha: str) -> tuple[str, tuple[str, ...]]:
        """Implements `contracts.Workspace.adopt`. The commits keep tree, author, time and message."""
        try:
            base = self._repo[base_sha].peel(pygit2.Commit)
            if base.tree_id != self._parent.tree_id:
                raise WorkspaceError(
                    f"the work of {head_sha} cannot be taken over: the run's files are no longer those of {base_sha}, "
                    "from which it began",
                    hint="let the fan-in follow its fan-out directly",
                )
            line = self._line(base, self._repo[head_sha].peel(pygit2.Commit))
            parent = self._parent
            for commit in line:
                copy = self._repo.create_commit(
                    None, commit.author, commit.committer, commit.message, commit.tree_id, [parent.id]
                )
                sync_commit(self._repo, self._objects, copy, parent)
                parent = self._repo[copy].peel(pygit2.Commit)
            git(self._worktree, "reset", "--quiet", "--hard", str(parent.id), git_dir=self._git_dir)
            self._persistently(self._keep_foreign)
            self._persistently(lambda: self._move(parent.id))
            self._parent = parent
        except _LIBRARY_ERRORS as error:
            raise WorkspaceError(f"cannot take over {head_sha} in {self._worktree}: {error}") from error
        return str(parent.id), tuple(_node_of(commit.message) for commit in line)

    def _line(self, base: pygit2.Commit, head: pygit2.Commit) -> list[pygit2.Commit]:
        """The commits from behind `base` to `head`, oldest first."""
        line = []
        while head.id != base.id:
            line.append(head)
            if not head.parents:
                raise WorkspaceError(f"commit {line[0].id} does not come from {base.id}")
            head = head.parents[0]
        return line[::-1]

    def _write_tree(self) -> pygit2.Oid:
        tree_id = None if self._limits.exceeded() else self._tree_by_library()
        return tree_id if tree_id is not None else self._persistently(self._tree_by_program)

    def _tree_by_library(self) -> pygit2.Oid | None:
        """None where libgit2 cannot, for now or at all."""
        complaint = ""
        for pause in _PAUSES:
            try:
                return self._indexed(fresh=bool(complaint))
            except _LIBRARY_ERRORS as error:
                if str(error) == complaint:
                    return None  # it will not go away
                complaint = str(error)
            time.sleep(pause)
        return None

    def _indexed(self, *, fresh: bool) -> pygit2.Oid | None:
        index = self._repo.index
        index.read(fresh)
        index.add_all()
        tree_id: pygit2.Oid = index.write_tree()
        if tree_id != self._parent.tree_id:
            changes = self._changes(tree_id)
            if self._limits.exceeded_after(changes):
                return None  # this content brings its filters with it; the index on disk is as it was
            self._check_gone(changes)
            index.write()
        return tree_id

    def _tree_by_program(self) -> pygit2.Oid:
        # --sparse: also what a stage wrote outside of the part that is checked out.
        git(self._worktree, "add", "--all", "--sparse", git_dir=self._git_dir)
        written = git(self._worktree, "write-tree", git_dir=self._git_dir)
        tree_id = pygit2.Oid(hex=written.decode().strip())
        self._check_gone(self._changes(tree_id))
        return tree_id

    def _changes(self, tree_id: pygit2.Oid) -> pygit2.Diff:
        return self._parent.tree.diff_to_tree(self._repo[tree_id].peel(pygit2.Tree))

    def _check_gone(self, changes: pygit2.Diff) -> None:
        """Raise PermissionError where a file only seems to be deleted, because its folder may not be entered."""
        for delta in changes.deltas:
            if delta.status == DeltaStatus.DELETED:
                with suppress(FileNotFoundError, NotADirectoryError):
                    (self._worktree / os.fsdecode(delta.old_file.raw_path)).lstat()

    def _keep_foreign(self) -> str:
        """The branch is the engine's to move. Commits that somebody has put there all the same get a name of their own,
        which is returned, before it is.
        """
        branch = self._repo.references.get(self._branch_ref)
        if branch is None or branch.target == self._parent.id:
            return ""
        foreign = branch.peel(pygit2.Commit).id
        if self._repo.merge_base(foreign, self._parent.id) == foreign:
            return ""  # moved back: all of it is in this history
        name = f"{KEPT_REFERENCES}/{self._branch_ref.removeprefix('refs/heads/')}/{str(foreign)[:12]}"
        self._repo.references.create(name, foreign, force=True)
        return name

    def _move(self, commit_id: pygit2.Oid) -> None:
        self._repo.references.create(self._branch_ref, commit_id, force=True)
        self._repo.set_head(commit_id)

    def _put_back_link(self) -> None:
        """A stage may have removed the worktree's .git; the next one's git would not know where it is."""
        with suppress(OSError), (self._worktree / ".git").open("x") as link:
            link.write(f"gitdir: {self._git_dir}\n")

    def _persistently(self, act: Callable[[], _T]) -> _T:
        """Try a few times. A lock still held then was left by a git that a stage's end has killed.

        A file that is gone between being seen and being read costs a try. However many come and go, each try has the
        same good chance: so there are many.
        """
        for pause in _PAUSES:
            try:
                return act()
            except _ERRORS:
                time.sleep(pause)
        for name in ("index.lock", "HEAD.lock"):
            (self._git_dir / name).unlink(missing_ok=True)
        for _ in range(_VANISHED_TRIES):
            try:
                return act()
            except _ERRORS as error:
                if "No such file" not in str(error):
                    raise
                time.sleep(_VANISHED_PAUSE)
        return act()

    def _explained(self, node_id: str, said: str) -> WorkspaceError:
        if found := _WITHOUT_COMMIT.search(said):
            return WorkspaceError(
                f"cannot commit node {node_id}: {self._worktree / found['folder']} is a git repository without a "
                "commit, which git can neither look into nor link to",
                hint="the stage must commit in it, remove its .git, or name it in .gitignore; then resume the run",
            )
        return WorkspaceError(
            f"cannot commit node {node_id} in {self._worktree}: {said}",
            hint="the run can be resumed once the cause is gone",
        )

    def _configured_identity(self) -> pygit2.Signature:
        try:
            return self._repo.default_signature
        except (KeyError, pygit2.GitError, ValueError):
            return IDENTITY


def commit_message(info: CommitInfo) -> str:
    """Subject and trailers of a node's commit (DESIGN 2.3)."""
    return (
        f"{subject_start(info.run_id)}{info.node_id} ({info.status})\n\n"
        f"Attractor-Run: {info.run_id}\n"
        f"Attractor-Node: {info.node_id}\n"
        f"Attractor-Attempt: {info.attempt}\n"
        f"Attractor-Sequence: {info.sequence}\n"
    )


def _node_of(message: str) -> str:
    found = _NODE_TRAILER.search(message)
    return found[1] if found else ""


def subject_start(run_id: str) -> str:
    """What the subject of every commit of a run begins with, and of no other run's."""
    return f"attractor({run_id}): "


def _now(identity: pygit2.Signature) -> pygit2.Signature:
    return pygit2.Signature(identity.name, identity.email)
