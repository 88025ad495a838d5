"""Fixtures: a fresh embedded CXDB for each test that changes it, one for each module that does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.cxdb import EmbeddedCxdb


@pytest.fixture
def cxdb() -> Iterator[EmbeddedCxdb]:
    with EmbeddedCxdb() as server:
        yield server
