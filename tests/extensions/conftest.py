"""The example package, installed as its users would, and the engine beside it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed example package. Built from a copy: building writes into the source."""
    folder = tmp_path_factory.mktemp("extension")
    shutil.copytree(ROOT / "examples" / "extension", folder / "source")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", folder / "site", folder / "source"],
        check=True,
        capture_output=True,
        timeout=100,
    )
    return folder / "site"


class Attractor(Protocol):
    def __call__(self, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def attractor(installed: Path, repo: Path, tmp_path: Path) -> Attractor:
    """The command line, in a repository, with the example package beside the engine."""

    def call(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(ROOT), str(installed)])
        environment = {**os.environ, "PYTHONPATH": path, "HOME": str(tmp_path), **variables}
        return subprocess.run(
            [sys.executable, "-P", "-m", "attractor", *arguments],
            cwd=repo,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call
