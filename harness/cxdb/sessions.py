"""Who is connected on the binary port, and which contexts they made: what makes a context "live".

A session is listed once its client said hello or made a context. It leaves the list when the client
closes its connection. When the server closes it, because of a bad request, it stays listed for ever:
the real server has this leak, and a client that looks at `is_live` sees it.

Pure but for the clock it is given, in milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["Session", "Sessions"]


class Session(msgspec.Struct):
    """One listed session. `context_ids` in the order of their making."""

    session_id: int
    client_tag: str
    peer_addr: str
    connected_at: int
    last_activity_at: int
    context_ids: list[int] = []

    def as_json(self) -> dict[str, Any]:
        return {
            "session_id": str(self.session_id),
            "client_tag": self.client_tag,
            "connected_at": self.connected_at,
            "last_activity_at": self.last_activity_at,
            "context_count": len(self.context_ids),
            "peer_addr": self.peer_addr,
        }


class Sessions:
    """Numbers all connections from 1 and lists those that made themselves known."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self._clock_ms = clock_ms
        self._listed: dict[int, Session] = {}
        self._by_context: dict[int, int] = {}
        self._activity: dict[int, int] = {}  # open connections: session -> last activity
        self.total = 0
        self.last_activity_unix_ms = 0

    def open(self) -> int:
        """A connection was accepted; returns its session id."""
        self.total += 1
        self.touch(self.total)
        return self.total

    def touch(self, session_id: int) -> None:
        """The client sent something."""
        now = self._clock_ms()
        self.last_activity_unix_ms = self._activity[session_id] = now
        session = self._listed.get(session_id)
        if session is not None:
            session.last_activity_at = now

    def introduce(self, session_id: int, client_tag: str, peer_addr: str) -> None:
        """List the session, unless it already is: the first tag stays."""
        if session_id not in self._listed:
            now = self._clock_ms()
            self._listed[session_id] = Session(session_id, client_tag, peer_addr, now, now)

    def add_context(self, session_id: int, context_id: int) -> None:
        self._by_context[context_id] = session_id
        session = self._listed.get(session_id)
        if session is not None and context_id not in session.context_ids:
            session.context_ids.append(context_id)

    def close(self, session_id: int, *, by_client: bool) -> None:
        """The connection is gone; only the client's own goodbye ends the listing (see above)."""
        self._activity.pop(session_id, None)
        if not by_client:
            return
        session = self._listed.pop(session_id, None)
        for context_id in session.context_ids if session else ():
            self._by_context.pop(context_id, None)

    def maybe_of_context(self, context_id: int) -> Session | None:
        session_id = self._by_context.get(context_id)
        return None if session_id is None else self._listed.get(session_id)

    def listed(self) -> list[Session]:
        return list(self._listed.values())

    def tags(self) -> list[str]:
        """Tags of the listed sessions, each once, without the empty one."""
        return list(dict.fromkeys(s.client_tag for s in self._listed.values() if s.client_tag))

    def open_count(self) -> int:
        return len(self._activity)

    def idle_count(self, idle_ms: int) -> int:
        """Open connections that sent nothing for `idle_ms`."""
        cutoff = self._clock_ms() - idle_ms
        return sum(1 for at in self._activity.values() if at < cutoff)
