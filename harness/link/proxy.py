"""`LinkProxy`: the link as the harness holds it. A thread with an event loop, and what can be asked of it.

Rules: every request has a bound, so that a link that hangs is an error and never hangs the harness; the thread ends
with the proxy and all its sockets with it. Only loopback listens.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from harness.cxdb.probe import split_address
from harness.errors import HarnessError
from harness.link.relay import Relay
from harness.link.spec import LinkCounts, LinkSpec

__all__ = ["LinkProxy"]

_T = TypeVar("_T")

ANSWER_SECONDS = 10.0  # for anything it is told; a cut waits for servers for one


class LinkProxy:
    """Use as a context manager. Give the engine `binary_addr` and `http_base_url` instead of the server's own.

    All methods may be called from any thread; HarnessError where the link does not do it in time. `cut`, `refuse`,
    `half_open` and `restore` say how many connections that has met.
    """

    def __init__(self, binary_addr: str, http_base_url: str, spec: LinkSpec | None = None) -> None:
        url = urlsplit(http_base_url)
        self.server_addr = binary_addr
        self._relay = Relay(spec or LinkSpec(), (split_address(binary_addr), (url.hostname or "", url.port or 80)))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link to CXDB", daemon=True)
        self.binary_addr = ""
        self.http_base_url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            binary_port, http_port = self._done(self._relay.open)
        except BaseException:
            self.close()
            raise
        self.binary_addr = f"127.0.0.1:{binary_port}"
        self.http_base_url = f"http://127.0.0.1:{http_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def addresses(self) -> dict[str, str]:
        """As in a run configuration."""
        return {"binary_addr": self.binary_addr, "http_base_url": self.http_base_url}

    def close(self) -> None:
        """End every connection and the thread. Again: nothing."""
        if self._loop.is_closed():
            return
        try:
            self._done(self._relay.close)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(ANSWER_SECONDS)
            if not self._thread.is_alive():
                self._loop.close()

    def counts(self) -> LinkCounts:
        """What it has done so far."""

        async def copied() -> LinkCounts:
            return self._relay.counts.copy()

        return self._done(copied)

    def delay(self, latency_seconds: float) -> None:
        """Replies take so long from now on; pieces that are on their way arrive as they were meant to."""
        self._done(lambda: self._relay.delay(latency_seconds))

    def cut(self) -> int:
        """End what connections there are; new ones are taken."""
        return self._done(self._relay.cut)

    def refuse(self) -> int:
        """End what connections there are, and refuse new ones."""
        return self._done(self._relay.refuse)

    def half_open(self) -> int:
        """Take and read everything, answer nothing."""
        return self._done(self._relay.half_open)

    def restore(self) -> int:
        """Be again the link that was made, at the same ports; connections that went silent end."""
        return self._done(self._relay.restore)

    def _done(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        future = asyncio.run_coroutine_threadsafe(work(), self._loop)
        try:
            return future.result(ANSWER_SECONDS)
        except TimeoutError as error:
            future.cancel()
            raise HarnessError(f"the link to {self.server_addr} did not answer within {ANSWER_SECONDS:g} s") from error
