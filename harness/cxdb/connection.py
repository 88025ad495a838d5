"""What the event loop expects of a protocol: the one seam between sockets and the two ports.

A `Protocol` object belongs to one connection. The loop feeds it bytes, lets it work, sends what it
returns, and closes when told to. It does no input or output itself, so each protocol is tested without
sockets, and the loop alone decides about slow peers: it stops calling `work` while much is unsent.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["ConnectionProtocol"]


class ConnectionProtocol(Protocol):
    """One connection's state."""

    @property
    def is_finished(self) -> bool:
        """No more will be said: close once everything is sent. Input is then of no interest."""

    @property
    def lingers(self) -> bool:
        """Closing needs patience: the peer may still be sending, and must get to read the last answer."""

    def receive(self, data: bytes) -> None:
        """Take what arrived. Cheap: the work is done in `work`."""

    def work(self, enough_bytes: int) -> bytes:
        """Serve what was received; returns answers, about `enough_bytes` at most.

        An empty result means there is nothing left to do until more arrives.
        """

    def peer_closed(self) -> None:
        """The peer will send no more (end of stream), or is gone."""

    def lost(self) -> None:
        """The connection broke."""
