"""Fixture repositories, and what the git program itself says about one. Never the engine's git code.

Rules: every call runs with a clean environment (no user configuration, no optional index writes), so
that looking never changes what is looked at; a call that fails is a HarnessError with git's own words.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from harness.errors import HarnessError
from harness.scenario import RepoKind, RepoSpec

__all__ = ["CheckoutState", "Commit", "Git", "make_repository"]


@dataclasses.dataclass(frozen=True, slots=True)
class Commit:
    sha: str
    parents: tuple[str, ...]
    tree: str
    subject: str
    trailers: Mapping[str, str]
    author: str
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class CheckoutState:
    """Everything of the user's that a run must leave alone."""

    head: str
    branch: str
    index: str
    status: str
    config: str
    hooks: str
    stash: str
    files: str

    def differences(self, after: CheckoutState) -> list[str]:
        pairs = (
            (field.name, getattr(self, field.name), getattr(after, field.name)) for field in dataclasses.fields(self)
        )
        return [f"{name}: {before!r} -> {now!r}" for name, before, now in pairs if before != now]


class Git:
    """The git program in one repository."""

    def __init__(self, repo: Path, home: Path | None = None) -> None:
        self.repo = repo
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home or repo),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
        }

    def run(self, *args: str, ok: tuple[int, ...] = (0,)) -> str:
        return self.run_bytes(*args, ok=ok).decode(errors="replace")

    def run_bytes(self, *args: str, ok: tuple[int, ...] = (0,)) -> bytes:
        try:
            done = subprocess.run(
                ["git", *args],
                cwd=self.repo,
                env=self._environment,
                capture_output=True,
                timeout=60,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HarnessError(f"git {' '.join(args)} in {self.repo}: {error}") from error
        if done.returncode not in ok:
            words = done.stderr.decode(errors="replace").strip()
            raise HarnessError(f"git {' '.join(args)} in {self.repo}: exit {done.returncode}: {words}")
        return done.stdout

    def directory(self) -> Path:
        """Where references, hooks and configuration are: of all worktrees together."""
        return self.repo / self.run("rev-parse", "--git-common-dir").strip()

    def branches(self) -> tuple[str, ...]:
        """All local branches, by name without refs/heads/."""
        return tuple(self.run("for-each-ref", "--format=%(refname)", "refs/heads").replace("refs/heads/", "").split())

    def resolve(self, name: str) -> str | None:
        return self.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", ok=(0, 1, 128)).strip() or None

    def history(self, tip: str, base: str | None) -> tuple[Commit, ...]:
        """Commits reachable from tip and not from base, oldest first."""
        form = "%H%x1f%P%x1f%T%x1f%s%x1f%B%x1f%an <%ae>%x1f%(trailers:only,unfold,separator=%x1d)%x1e"
        reach = [tip, *([f"^{base}"] if base else [])]
        text = self.run("log", "--reverse", "--topo-order", f"--format={form}", *reach, "--")
        return tuple(_commit(record) for record in text.split("\x1e") if record.strip())

    def graph_text(self) -> str:
        """The log a person would look at, for the report."""
        return self.run("log", "--all", "--graph", "--format=%h %d %s%n  %an, %(trailers:only,unfold,separator=%x2C )")

    def file_at(self, commit: str, path: str) -> str | None:
        text = self.run_bytes("show", f"{commit}:{path}", ok=(0, 128))
        exists = text or self.run("ls-tree", "--name-only", commit, "--", path).strip()
        return text.decode(errors="replace") if exists else None

    def worktrees(self) -> tuple[str, ...]:
        """`git worktree list` beyond the main one and this one: path, branch and what git has to say about it."""
        blocks = self.run("worktree", "list", "--porcelain").strip().split("\n\n")
        own = f"worktree {self.repo.resolve()}\n"
        return tuple(block.replace("\n", " ") for block in blocks[1:] if not block.startswith(own))

    def checkout_state(self) -> CheckoutState:
        directory = self.directory()
        hooks = sorted(p for p in (directory / "hooks").rglob("*") if p.is_file())
        return CheckoutState(
            head=self.run("rev-parse", "HEAD").strip(),
            branch=self.run("symbolic-ref", "-q", "HEAD", ok=(0, 1)).strip(),
            index=_digest(self.repo / self.run("rev-parse", "--git-path", "index").strip()),
            status=self.run("status", "--porcelain=v2", "--untracked-files=all"),
            config=_digest(directory / "config"),
            hooks=" ".join(f"{hook.name}={_digest(hook)}" for hook in hooks),
            stash=self.run("rev-parse", "-q", "--verify", "refs/stash", ok=(0, 1)).strip(),
            files=_digest_tree(self.repo),
        )


def _commit(record: str) -> Commit:
    sha, parents, tree, subject, message, author, trailers = record.strip("\n").split("\x1f")
    pairs = (line.partition(":") for line in trailers.split("\x1d") if ":" in line)
    return Commit(
        sha,
        tuple(parents.split()),
        tree,
        subject,
        {key.strip(): text.strip() for key, _, text in pairs},
        author,
        message,
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else "absent"


def _digest_tree(root: Path) -> str:
    """One number for all files outside .git, names and contents."""
    total = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if ".git" not in path.relative_to(root).parts:
            what = str(path.readlink()) if path.is_symlink() else _digest(path) if path.is_file() else "/"
            total.update(f"{path.relative_to(root)}\0{what}\0".encode(errors="surrogateescape"))
    return total.hexdigest()[:16]


_IDENTITY = ("-c", "user.name=Fixture", "-c", "user.email=fixture@example.invalid", "-c", "commit.gpgSign=false")
_BESIDE = {
    RepoKind.PLAIN: "",
    RepoKind.DETACHED: "",
    RepoKind.SHALLOW: ".origin",
    RepoKind.SYMLINK: ".target",
    RepoKind.WORKTREE: ".main",
}
# Git refuses submodules from a path, since a stranger's could lie there; ours does not.
_FROM_PATH = ("-c", "protocol.file.allow=always")


def make_repository(path: Path, spec: RepoSpec) -> Git:
    """One commit on `main`, then whatever the user left uncommitted. No identity is configured.

    Where it is a link, a clone or a linked worktree, the repository itself is made beside it, as submodules are.
    """
    made = path.with_name(path.name + _BESIDE[spec.kind])
    git = _commit_all(made, spec)
    match spec.kind:
        case RepoKind.SHALLOW:
            git.run(*_IDENTITY, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", "newer")
            git.run("clone", "--quiet", "--template=", "--depth=1", "--no-local", f"file://{made}", str(path))
        case RepoKind.WORKTREE:
            git.run("worktree", "add", "--quiet", "-b", "linked", str(path))
        case RepoKind.SYMLINK:
            path.symlink_to(made, target_is_directory=True)
        case RepoKind.DETACHED:
            git.run("checkout", "--quiet", "--detach")
    git = Git(path)
    for key, value in spec.config.items():
        git.run("config", key, value)
    _write(path, spec.staged)
    if spec.staged:
        git.run("add", "--", *spec.staged)
    _write(path, spec.dirty)
    for name, text in spec.hooks.items():
        hook = git.directory() / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(text)
        hook.chmod(0o755)
    return git


def _commit_all(path: Path, spec: RepoSpec) -> Git:
    path.mkdir(parents=True)
    git = Git(path)
    git.run("init", "--quiet", "--initial-branch=main", "--template=")
    for key, value in spec.config.items():
        git.run("config", key, value)
    _write(path, spec.files)
    for name, files in spec.submodules.items():
        module = path.with_name(path.name + ".modules") / name
        _commit_all(module, RepoSpec(files=files))
        git.run(*_FROM_PATH, "submodule", "--quiet", "add", str(module), name)
    git.run("add", "--all")
    git.run(*_IDENTITY, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", "fixture")
    return git


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
