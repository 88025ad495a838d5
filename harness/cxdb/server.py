"""The event loop: both ports, all connections, one thread.

One thread, because everything a request needs is in memory and a lock would cost more than the work.
Hence the rule that no peer may hold up the others: sockets never block, a peer that does not read gets
nothing more to do until it has read, and long work is done in slices with the others in between.

What was promised is kept in `_serve`: the store is flushed before an answer leaves, so nothing a client
was told dies with this process.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from harness.cxdb.binary import BinaryConnection
from harness.cxdb.connection import ConnectionProtocol
from harness.cxdb.errors import AddressUnavailable, ServerFailed
from harness.cxdb.http import HttpConnection
from harness.cxdb.metrics import Metrics
from harness.cxdb.msgpack_values import MAX_DEPTH
from harness.cxdb.registry import Registry
from harness.cxdb.routes import Routes
from harness.cxdb.sessions import Sessions
from harness.cxdb.store import Store

__all__ = ["Server", "clock_ms"]

_RECEIVE_BYTES = 256 * 1024
_SLICE_BYTES = 256 * 1024  # answers made before the other peers get their turn
_BACKLOG = 512
_ACCEPTS_A_ROUND = 64
_TICK_SECONDS = 1.0
_LINGER_SECONDS = 5.0  # how long a refused HTTP peer may go on sending before it is cut off


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


class _Peer:
    """One connection as the loop sees it."""

    def __init__(self, sock: socket.socket, protocol: ConnectionProtocol) -> None:
        self.sock = sock
        self.protocol = protocol
        self.unsent = memoryview(b"")
        self.events = selectors.EVENT_READ
        self.has_ended = False  # the peer said it will send no more
        self.linger_until: float | None = None


class Server:
    """Both ports over one store. Listening once constructed; `run` serves until told to stop."""

    def __init__(self, store: Store, host: str, binary_port: int, http_port: int) -> None:
        """Raises AddressUnavailable or CorruptLog. Port 0 picks a free one."""
        # msgpack is read recursively to its documented depth, two or three Python frames a level
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 5 * MAX_DEPTH))
        self._store = store
        self._registry = Registry()
        for bundle in store.bundles:
            self._registry.publish(bundle)
        self._sessions = Sessions(clock_ms)
        self._metrics = Metrics()
        self._routes = Routes(store, self._registry, self._sessions, self._metrics)
        self._peers: dict[int, _Peer] = {}
        self._waiting_for_turn: dict[_Peer, None] = {}
        self._is_stopping = False
        self._selector = selectors.DefaultSelector()
        self._listeners = [_listen(host, binary_port)]
        try:
            self._listeners.append(_listen(host, http_port))
        except AddressUnavailable:
            self._listeners[0].close()
            raise
        self.binary_port, self.http_port = (listener.getsockname()[1] for listener in self._listeners)
        self._wake_up: tuple[socket.socket, socket.socket] | None = None
        self._resume_accepting()

    # --- running ---

    def catch_signals(self) -> None:
        """From here on SIGTERM and SIGINT make `run` return, be it running already or not."""
        self._wake_up = socket.socketpair()
        for end in self._wake_up:
            end.setblocking(False)
        receiver, sender = self._wake_up
        self._selector.register(receiver, selectors.EVENT_READ, receiver)
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())

    def run(self, parent_is_gone: Callable[[], bool] | None = None) -> None:
        """Serve until `stop` is called, or until `parent_is_gone` (asked once a second) says yes.

        Raises ServerFailed when the data directory can no longer be written.
        """
        ticked_at = time.monotonic()
        while not self._is_stopping:
            self._round()
            if time.monotonic() - ticked_at >= _TICK_SECONDS:
                ticked_at = time.monotonic()
                self._tick()
                self._is_stopping |= parent_is_gone is not None and parent_is_gone()

    def stop(self) -> None:
        """Make `run` return after its current round. Safe in a signal handler."""
        self._is_stopping = True

    def close(self) -> None:
        """Close every socket. The store is the caller's."""
        for peer in list(self._peers.values()):
            self._close(peer)
        for listener in self._listeners:
            listener.close()
        if self._wake_up is not None:
            signal.set_wakeup_fd(-1)
            for end in self._wake_up:
                end.close()
        self._selector.close()

    def _round(self) -> None:
        waiting, self._waiting_for_turn = self._waiting_for_turn, {}
        timeout = 0.0 if waiting else _TICK_SECONDS
        for key, events in self._selector.select(timeout):
            if isinstance(key.data, _Peer):
                waiting.pop(key.data, None)
                self._attend(key.data, events)
            elif key.fileobj in self._listeners:
                self._accept(key.data)
            else:
                with suppress(BlockingIOError):
                    key.data.recv(1024)  # the wake-up: a signal handler has run
        for peer in waiting:
            self._serve(peer)

    def _tick(self) -> None:
        now = time.monotonic()
        for peer in list(self._peers.values()):
            if peer.linger_until is not None and now > peer.linger_until:
                self._close(peer)
        self._resume_accepting()

    # --- accepting ---

    def _resume_accepting(self) -> None:
        for listener in self._listeners:
            with suppress(KeyError):  # KeyError: it is registered already
                self._selector.register(listener, selectors.EVENT_READ, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS_A_ROUND):
            try:
                sock, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of file descriptors: trying again at once would spin. The next tick tries.
                print(f"cxdb: cannot accept: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
                self._selector.unregister(listener)
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            peer = _Peer(sock, self._protocol(listener, f"{address[0]}:{address[1]}"))
            self._peers[sock.fileno()] = peer
            self._selector.register(sock, peer.events, peer)

    def _protocol(self, listener: socket.socket, peer_addr: str) -> ConnectionProtocol:
        if listener is self._listeners[0]:
            return BinaryConnection(self._store, self._sessions, self._metrics, peer_addr)
        return HttpConnection(self._routes.answer)

    # --- one connection ---

    def _attend(self, peer: _Peer, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self._send(peer)
            if events & selectors.EVENT_READ and not self._receive(peer):
                return
        except OSError:  # reset, broken pipe, unreachable: the connection is gone
            peer.protocol.lost()
            self._close(peer)
            return
        self._serve(peer)

    def _receive(self, peer: _Peer) -> bool:
        """False when there is nothing new to serve."""
        try:
            data = peer.sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return False
        if peer.linger_until is not None:
            if not data:
                self._close(peer)
            return False  # the rest of a refused request
        if data:
            peer.protocol.receive(data)
        else:
            peer.has_ended = True
        return True

    def _serve(self, peer: _Peer) -> None:
        """One slice of work for one peer, then decide what to wait for."""
        try:
            if not peer.unsent:
                self._work(peer)
        except OSError:
            peer.protocol.lost()
            self._close(peer)
            return
        if peer.protocol.is_finished and not peer.unsent:
            self._end(peer)
        else:
            self._watch(peer)

    def _work(self, peer: _Peer) -> None:
        try:
            answers = peer.protocol.work(_SLICE_BYTES)
        except ServerFailed:
            raise
        except Exception as error:  # a defect of ours must cost one connection, not all of them
            print(f"cxdb: internal error, connection closed: {error!r}", file=sys.stderr, flush=True)  # noqa: T201
            raise ConnectionAbortedError from error
        self._store.flush()
        if answers:
            peer.unsent = memoryview(answers)
            self._send(peer)
            self._waiting_for_turn[peer] = None  # there may be more
        elif peer.has_ended:
            peer.protocol.peer_closed()

    def _send(self, peer: _Peer) -> None:
        with suppress(BlockingIOError):
            peer.unsent = peer.unsent[peer.sock.send(peer.unsent) :]

    def _watch(self, peer: _Peer) -> None:
        if peer.unsent:
            # Not reading meanwhile is what makes the peer's own sending stall, instead of our memory grow.
            events = selectors.EVENT_WRITE
            self._waiting_for_turn.pop(peer, None)
        elif peer.has_ended:
            events = 0
            self._waiting_for_turn[peer] = None
        else:
            events = selectors.EVENT_READ
        if events == peer.events:
            return
        if not peer.events:
            self._selector.register(peer.sock, events, peer)
        elif not events:
            self._selector.unregister(peer.sock)
        else:
            self._selector.modify(peer.sock, events, peer)
        peer.events = events

    def _end(self, peer: _Peer) -> None:
        self._waiting_for_turn.pop(peer, None)
        if not peer.protocol.lingers or peer.has_ended:
            self._close(peer)
            return
        # Closing with unread input makes the kernel throw away the answer that explains the refusal.
        try:
            peer.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(peer)
            return
        peer.linger_until = time.monotonic() + _LINGER_SECONDS
        self._watch(peer)

    def _close(self, peer: _Peer) -> None:
        self._waiting_for_turn.pop(peer, None)
        if self._peers.pop(peer.sock.fileno(), None) is None:
            return
        if peer.events:
            self._selector.unregister(peer.sock)
        peer.sock.close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # restarts keep their ports
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise AddressUnavailable(host, port, error.strerror or os.strerror(error.errno or 0)) from error
    return listener
