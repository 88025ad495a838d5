"""Gives cases a CXDB server: one shared by all that only write to it, one alone for those that harm it.

The servers are the embedded ones, started when first needed and stopped with the supply.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from harness.errors import HarnessError
from harness.scenario import CxdbMode

__all__ = ["CxdbSupply", "LentCxdb"]


@dataclasses.dataclass(frozen=True, slots=True)
class LentCxdb:
    """What a case has of CXDB. `addresses` is for the run configuration; None when the case does without.

    `own` is the server, where the case has one to itself and may harm it.
    """

    addresses: Mapping[str, str] | None = None
    own: Any = None

    def bring_back(self) -> None:
        """What a case has done to its server is undone, so that what the server has can be read."""
        if self.own is not None and self.own.is_running:
            self.own.resume()
        elif self.own is not None:
            self.own.restart()


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
    def lend(self, mode: CxdbMode) -> Iterator[LentCxdb]:
        if mode is CxdbMode.NONE:
            yield LentCxdb()
        elif mode is CxdbMode.SHARED:
            if self._shared is None:
                self._shared = self._stack.enter_context(_server())
            yield LentCxdb(_addresses(self._shared))
        else:
            with _server() as own:
                yield LentCxdb(_addresses(own), own)


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
