"""Shared by the tests of whole runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cxdb.embedded import EmbeddedCxdb
from tests.app.agents import Agents


@pytest.fixture
def agents(repo: Path) -> Agents:
    return Agents(repo)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedCxdb]:
    """A CXDB of the test's own."""
    with EmbeddedCxdb(tmp_path / "cxdb") as running:
        yield running


@pytest.fixture
def config(server: EmbeddedCxdb, tmp_path: Path) -> Path:
    """A run configuration that names `server`."""
    path = tmp_path / "run.yaml"
    path.write_text(f"cxdb: {{binary_addr: '{server.binary_addr}', http_base_url: '{server.http_base_url}'}}\n")
    return path
