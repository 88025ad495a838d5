"""A run's own worktree and branch: created once, committed to after every node, put back at resume.

Rules kept here (DESIGN 2.3, 2.4): the user's checkout, index, hooks, identity and branch are never touched; each
commit's parent is the commit before it of this run, whatever a stage did with git meanwhile; commit, trees
and blobs are on disk before `commit` returns. libgit2 does the per-node work (no process to start), the git
program does what happens once.
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path

import pygit2

from attractor.contracts import CommitInfo, Committed
from attractor.errors import WorkspaceError
from attractor.workspace.durability import sync_commit
from attractor.workspace.program import git, git_text
from attractor.workspace.repository import branch_exists

IDENTITY = pygit2.Signature("attractor", "attractor@localhost", 0, 0)
_SUBJECT = re.compile(r"attractor\((?P<run_id>[^)]*)\): ")


class GitWorkspace:
    """Implements `contracts.Workspace` on a linked worktree."""

    def __init__(self, repository: Path, worktree: Path, branch: str, head_sha: str) -> None:
        self._worktree = worktree
        self._branch_ref = f"refs/heads/{branch}"
        try:
            self._repo = pygit2.Repository(str(worktree))
            self._parent = self._repo[head_sha].peel(pygit2.Commit)
        except (pygit2.GitError, KeyError) as error:
            raise WorkspaceError(f"cannot open the worktree {worktree} at commit {head_sha}: {error}") from error
        self._objects = Path(self._repo.path, _common_dir(Path(self._repo.path)), "objects")
        self._author = self._configured_identity()
        self._needs_git_program = _uses_filters(repository, worktree)

    @property
    def path(self) -> Path:
        return self._worktree

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
            self._move_branch(commit_id)
            self._parent = self._repo[commit_id].peel(pygit2.Commit)
        except (pygit2.GitError, KeyError, OSError, ValueError) as error:
            raise WorkspaceError(
                f"cannot commit node {info.node_id} in {self._worktree}: {error}",
                hint="the run can be resumed once the cause is gone",
            ) from error
        return Committed(str(commit_id), str(tree_id))

    def _write_tree(self) -> pygit2.Oid:
        if self._needs_git_program:
            git(self._worktree, "add", "--all")
            return pygit2.Oid(hex=git_text(self._worktree, "write-tree"))
        index = self._repo.index
        index.read(False)
        index.add_all()
        tree_id: pygit2.Oid = index.write_tree()
        if tree_id != self._parent.tree_id:
            index.write()
        return tree_id

    def _move_branch(self, commit_id: pygit2.Oid) -> None:
        self._repo.references.create(self._branch_ref, commit_id, force=True)
        # A stage may have checked out something else; the next one begins on the run's branch again.
        if self._repo.references["HEAD"].target != self._branch_ref:
            self._repo.set_head(self._branch_ref)

    def _configured_identity(self) -> pygit2.Signature:
        try:
            return self._repo.default_signature
        except (KeyError, pygit2.GitError, ValueError):
            return IDENTITY


def _common_dir(git_dir: Path) -> str:
    """The repository's common directory as a linked worktree's git directory names it (gitrepository-layout)."""
    try:
        return (git_dir / "commondir").read_text().strip()
    except FileNotFoundError:
        return "."


def commit_message(info: CommitInfo) -> str:
    """Subject and trailers of a node's commit (DESIGN 2.3)."""
    return (
        f"attractor({info.run_id}): {info.node_id} ({info.status})\n\n"
        f"Attractor-Run: {info.run_id}\n"
        f"Attractor-Node: {info.node_id}\n"
        f"Attractor-Attempt: {info.attempt}\n"
        f"Attractor-Sequence: {info.sequence}\n"
    )


def _now(identity: pygit2.Signature) -> pygit2.Signature:
    return pygit2.Signature(identity.name, identity.email)


def create_worktree(repository: Path, worktree: Path, branch: str, base_sha: str) -> None:
    """Make the branch at `base_sha` and check it out. The branch must be new: git refuses a second one atomically."""
    if branch_exists(repository, branch):
        raise WorkspaceError(
            f"branch {branch} already exists in {repository}: this run id has been used",
            hint="resume that run, or choose another --run-id",
        )
    git(repository, "worktree", "add", "--quiet", "-b", branch, str(worktree), base_sha)


def restore_worktree(repository: Path, worktree: Path, branch: str, run_id: str, commit_sha: str) -> None:
    """Put branch and worktree back to `commit_sha`, whatever state a crash left them in.

    Commits after `commit_sha` are dropped only where this run made them (a crash between a commit and its
    checkpoint); anything else on the branch is somebody's work, and raises WorkspaceError.
    """
    _check_commit_exists(repository, commit_sha)
    if not _is_worktree(worktree):
        if worktree.exists():
            shutil.rmtree(worktree)
        git(repository, "worktree", "prune")
        _check_branch(repository, branch, run_id, commit_sha)
        git(repository, "worktree", "add", "--quiet", "--force", "-B", branch, str(worktree), commit_sha)
        return
    _remove_stale_locks(worktree, branch)
    _check_branch(repository, branch, run_id, commit_sha)
    git(worktree, "checkout", "--quiet", "--force", "-B", branch, commit_sha)
    git(worktree, "reset", "--quiet", "--hard", commit_sha)
    git(worktree, "clean", "--quiet", "-ffd")


def _check_commit_exists(repository: Path, commit_sha: str) -> None:
    try:
        git(repository, "cat-file", "-e", f"{commit_sha}^{{commit}}")
    except WorkspaceError as error:
        raise WorkspaceError(
            f"commit {commit_sha}, which the checkpoint names, is not in {repository}",
            hint="was the repository replaced, or the branch deleted and collected? Restore it from a backup",
        ) from error


def _check_branch(repository: Path, branch: str, run_id: str, commit_sha: str) -> None:
    if not branch_exists(repository, branch):
        return  # deleted by someone: the checkpoint still knows where it was
    ahead = git_text(repository, "log", "--format=%H %s", f"{commit_sha}..refs/heads/{branch}").splitlines()
    behind = git_text(repository, "rev-list", "--count", f"refs/heads/{branch}..{commit_sha}")
    foreign = [line for line in ahead if not _made_by(run_id, line.partition(" ")[2])]
    if foreign or behind != "0":
        what = f"it holds {foreign[0]!r}" if foreign else f"it is {behind} commits behind the checkpoint"
        raise WorkspaceError(
            f"branch {branch} was moved since the run stopped: {what}; the checkpoint is at {commit_sha}",
            hint=f"keep that work under another name (git branch saved {branch}), "
            f"then put the branch back: git branch -f {branch} {commit_sha}",
        )


def _made_by(run_id: str, subject: str) -> bool:
    match = _SUBJECT.match(subject)
    return match is not None and match["run_id"] == run_id


def _is_worktree(worktree: Path) -> bool:
    if not (worktree / ".git").is_file():
        return False
    try:
        return Path(git_text(worktree, "rev-parse", "--show-toplevel")).samefile(worktree)
    except (WorkspaceError, OSError):
        return False


def _remove_stale_locks(worktree: Path, branch: str) -> None:
    # Only a killed engine or stage can have left them: the run's lock is ours and its processes have ended.
    git_dir = Path(git_text(worktree, "rev-parse", "--absolute-git-dir"))
    reference = git_dir / _common_dir(git_dir) / "refs" / "heads" / branch
    for lock in (git_dir / "index.lock", git_dir / "HEAD.lock", reference.with_name(f"{reference.name}.lock")):
        lock.unlink(missing_ok=True)
    # A power failure may have left the reference empty; git would refuse it, the checkpoint knows better.
    if reference.is_file() and not reference.read_bytes().strip(b"\0\n "):
        reference.unlink()


def remove_worktree(repository: Path, worktree: Path, branch: str | None) -> None:
    """Remove a finished run's worktree, and its branch where one is named. Missing ones are fine."""
    with suppress(WorkspaceError):
        git(repository, "worktree", "remove", "--force", "--force", str(worktree))
    if worktree.exists():
        shutil.rmtree(worktree)
    git(repository, "worktree", "prune")
    if branch is not None and branch_exists(repository, branch):
        git(repository, "branch", "--quiet", "-D", branch)


def _uses_filters(repository: Path, worktree: Path) -> bool:
    """Whether files here pass through a filter program (git LFS and the like), which libgit2 would skip."""
    repo = pygit2.Repository(str(worktree))
    configured = any(
        entry.name.startswith("filter.") and entry.name.endswith((".clean", ".process")) for entry in repo.config
    )
    if not configured:
        return False
    names = [line for line in git_text(worktree, "ls-files", "--", "*.gitattributes").splitlines() if line]
    places = [worktree / name for name in names] + [Path(repo.path) / "info" / "attributes"]
    return any(_mentions_filter(place) for place in places)


def _mentions_filter(attributes: Path) -> bool:
    try:
        return b"filter=" in attributes.read_bytes()
    except OSError:
        return False


__all__ = ["GitWorkspace", "commit_message", "create_worktree", "remove_worktree", "restore_worktree"]
