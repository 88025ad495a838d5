"""Repositories to commit to, with the git program."""

import os
import subprocess
from pathlib import Path


def git(repo: Path, *words: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ("-c", "user.name=x", "-c", "user.email=x@y", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *identity, *words], cwd=repo, env=environment, check=True, capture_output=True)
    return done.stdout.decode().strip()


def commit(repo: Path) -> str:
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "--allow-empty", "-m", "x")
    return git(repo, "rev-parse", "HEAD")
