"""Shared by the tests of CXDB's client."""

from pathlib import Path

import pytest

from tests.cxdb.committed import git


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "a" / "deep" / "deeper").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "a" / "deep" / "deeper" / "x.txt").write_text("x")
    (folder / "a.b").write_text("before a/, and behind a")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("nowhere/at all")
    (folder / "empty").write_bytes(b"")
    (folder / "ünï code").write_bytes(bytes(range(256)))
    return folder
