"""Gives cases a CXDB server: one shared by all that only write to it, one alone for those that harm it.

The servers are the embedded ones, started when first needed and stopped with the supply.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import HarnessError
from harness.scenario import CxdbMode

__all__ = ["CxdbSupply"]


class CxdbSupply:
    """Use as a context manager around a session."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._shared: Any = None

    def __enter__(self) -> CxdbSupply:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._shared = None
        self._stack.close()

    @contextlib.contextmanager
    def addresses(self, mode: CxdbMode) -> Iterator[Mapping[str, str] | None]:
        """For the run configuration; None when the case does without."""
        if mode is CxdbMode.NONE:
            yield None
        elif mode is CxdbMode.SHARED:
            if self._shared is None:
                self._shared = self._stack.enter_context(_server())
            yield _addresses(self._shared)
        else:
            with _server() as own:
                yield _addresses(own)


@contextlib.contextmanager
def _server() -> Iterator[Any]:
    from harness.cxdb.embedded import EmbeddedCxdb  # costs time, and many cases need none

    try:
        server = EmbeddedCxdb()
        started = server.__enter__()
    except Exception as error:
        raise HarnessError(f"the embedded CXDB did not start: {error}") from error
    try:
        yield started
    finally:
        server.__exit__(None, None, None)


def _addresses(server: Any) -> dict[str, str]:
    return {"binary_addr": server.binary_addr, "http_base_url": server.http_base_url}
