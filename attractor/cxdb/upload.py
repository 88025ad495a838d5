"""Putting blobs into CXDB, each once: what the server has been given, or has said that it has, is not sent again."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Final

from attractor.cxdb.blobs import Blob
from attractor.cxdb.connection import REPLY_TIMEOUT_SECONDS, CxdbConnection
from attractor.errors import CxdbOutcomeUnknown, CxdbUnreachable

BATCH_BYTES: Final = 1 << 20
SLOWEST_BYTES_PER_SECOND: Final = 1 << 16
BATCH_BLOBS: Final = 64


class Upload:
    """A connection and, as long as it lasts, what the server holds. Used by one thread.

    `connect()` makes a connection that is this object's from then on; `progress()` is called when something has been
    taken in by the server.
    """

    def __init__(self, connect: Callable[[], CxdbConnection], progress: Callable[[], object] = lambda: None) -> None:
        self._connect = connect
        self._progress = progress
        self._connection: CxdbConnection | None = None
        self._held: set[bytes] = set()  # by the server, as far as this connection has told
        self._witness = b""  # a small one among them
        self._batch_bytes = 0
        self._under_way_until = 0.0
        self._aborted = False

    @property
    def connection(self) -> CxdbConnection:
        """The one in use; a new one where there is none. Raises CxdbUnreachable."""
        if self._aborted:
            raise CxdbUnreachable("there is no time left for it")
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    @property
    def moved(self) -> float:
        """When bytes last came or went, on the monotonic clock, as far as that can be seen; from any thread."""
        connection = self._connection
        seen = connection.moved if connection is not None else 0.0
        return max(seen, min(self._under_way_until, time.monotonic()))

    def disconnect(self) -> None:
        """What the server held is not known any more: it may be another one by now, or one that has forgotten all."""
        self._held, self._witness = set(), b""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def abort(self) -> None:
        """From another thread: end what is being waited for, for good."""
        self._aborted = True
        connection = self._connection
        if connection is not None:
            connection.abort()

    def has_put(self, content_hash: bytes) -> bool:
        return content_hash in self._held

    def put(self, content_hash: bytes, content: Callable[[], bytes], *, small: bool = False) -> None:
        """Queue a blob, unless the server has it. `small`: cheap to be asked for later."""
        if content_hash not in self._held:
            data = content()
            self.put_blob(Blob(content_hash, io.BytesIO(data), len(data)))
        if small:
            self._witness = content_hash

    def put_blob(self, blob: Blob) -> None:
        """Queue one from a file, which is closed when it has been sent."""
        if blob.content_hash in self._held:
            blob.file.close()
            return
        self.connection.put_blob(blob.content_hash, blob.file, blob.size)
        self._held.add(blob.content_hash)
        self._batch_bytes += blob.size
        if self._batch_bytes > BATCH_BYTES or self.connection.outstanding >= BATCH_BLOBS:
            self.sync()
        time.sleep(0)  # stages do not wait for this thread any longer than for one file

    def sync(self) -> None:
        """Wait until the server has answered all; what it has not answered is sent again, on another connection.

        Kernels and proxies take at once what a narrow link passes on in minutes, and tell nobody: so it gets that time.
        """
        travel_seconds, self._batch_bytes = self._batch_bytes / SLOWEST_BYTES_PER_SECOND, 0
        self._under_way_until = time.monotonic() + travel_seconds
        connection = self.connection
        while connection.outstanding:
            connection.await_answer(REPLY_TIMEOUT_SECONDS + travel_seconds)
            self._progress()
        self._under_way_until = 0.0

    def holds(self, content_hash: bytes) -> bool:
        """Whether the server has a blob, by its own word. One that has not ends the connection."""
        self.sync()
        if not self._has(content_hash):
            held, witness = self._held, self._witness
            self.disconnect()
            # What was put before stays known, unless this is a server that has been started again and forgotten it.
            if witness and self._has(witness):
                self._held, self._witness = held, witness
            elif witness:
                self.disconnect()
            return False
        self._held.add(content_hash)
        return True

    def _has(self, content_hash: bytes) -> bool:
        connection = self.connection
        try:
            connection.get_blob(content_hash)
        except CxdbOutcomeUnknown:
            if not connection.ended_by_peer:
                raise
            return False
        return True
