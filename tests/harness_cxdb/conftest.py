"""Fixtures: a fresh embedded CXDB for each test that changes it, one for each module that does not; the image of its
container, built once, where there is a Docker engine.
"""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from harness.cxdb import EmbeddedCxdb
from harness.cxdb.docker_engine import connected
from harness.cxdb.errors import EngineUnavailable, ImageUnavailable, PackagesMissing
from harness.cxdb.image import built_image, pulled_image
from harness.cxdb_choice import DEFAULT_BASE_IMAGE


@pytest.fixture
def cxdb() -> Iterator[EmbeddedCxdb]:
    with EmbeddedCxdb() as server:
        yield server


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    """A client of the Docker engine; the test is skipped where there is none."""
    try:
        with connected() as client:
            yield client
            return
    except (EngineUnavailable, PackagesMissing) as error:
        reason = str(error)
    with warnings.catch_warnings(action="ignore"):
        gc.collect()  # the library leaves the socket open that nobody answered
    pytest.skip(reason)


@pytest.fixture(scope="session")
def base_image() -> str:
    """`make test CXDB_BASE=IMAGE` names another."""
    return os.environ.get("CXDB_BASE") or DEFAULT_BASE_IMAGE


@pytest.fixture(scope="session")
def container_image(engine: Any, base_image: str) -> str:
    """Of this checkout's server; the test is skipped where there is nothing to build it on."""
    try:
        pulled_image(engine, base_image, lambda text: None, "")
    except ImageUnavailable as error:
        pytest.skip(f"base {error}")
    return built_image(engine, base_image, lambda text: None)
