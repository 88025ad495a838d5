"""Moves bytes between clients and the server, as the link is told to. Runs in one event loop, knows no threads.

Rules: every socket is closed by the task that has it, however that ends. What a cut leaves behind is no accident of
timing: the server is given all that was passed on, and has let go of the connection, before its client hears of the
end. So whoever asks the server afterwards is told the truth, and a turn that is there twice was sent twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import Iterator
from struct import pack

from harness.link.frame_ends import Meter
from harness.link.pacing import Pacer
from harness.link.spec import Cut, LinkCounts, LinkSpec, Unit, Way

__all__ = ["Relay"]

PIECE_BYTES = 1 << 16
HELD_BYTES = 1 << 20  # on their way, for each direction; then the sender has to wait
SERVER_LETS_GO_SECONDS = 1.0
CONNECT_SECONDS = 5.0
_BACKLOG = 512
_AT_ONCE = pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


class _Ended(Exception):
    """The connection was cut here."""


class _Stream:
    """One way of one connection."""

    def __init__(self, way: Way, source: socket.socket, target: socket.socket, meter: Meter, seed: str) -> None:
        self.way = way
        self.source = source
        self.target = target
        self.meter = meter
        self.pacer = Pacer(seed)
        self.pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self.held = 0
        self.has_room = asyncio.Event()
        self.has_room.set()
        self.ended = asyncio.Event()  # nothing more comes from the source

    def hold(self, due: float, data: bytes) -> None:
        self.held += len(data)
        self.pieces.put_nowait((due, data))
        if self.held >= HELD_BYTES:
            self.has_room.clear()

    def let_go(self, data: bytes) -> None:
        self.held -= len(data)
        if self.held < HELD_BYTES:
            self.has_room.set()


class _Connection:
    """`is_silent`: what comes is read and goes nowhere."""

    def __init__(self, number: int, client: socket.socket, *, is_silent: bool) -> None:
        self.number = number
        self.client = client
        self.server: socket.socket | None = None
        self.replies: _Stream | None = None
        self.is_silent = is_silent
        self.ends_at_once = True  # with a reset, as a connection that breaks does
        self.task: asyncio.Task[None] | None = None


class Relay:
    """`restore` takes all back but the latencies and the rate that the link was made with."""

    def __init__(self, spec: LinkSpec, servers: tuple[tuple[str, int], tuple[str, int]]) -> None:
        """`servers`: host and port of the binary protocol and of HTTP."""
        self.spec = spec
        self._made_as = spec
        self.counts = LinkCounts()
        self._servers = servers
        self._is_deaf = False
        self._numbers = [0, 0]
        self._ports: list[socket.socket] = []  # bound and never listened on: nobody else can be given the port
        self._listeners: list[tuple[socket.socket, asyncio.Task[None]]] = []
        self._connections: set[_Connection] = set()

    # --- what it can be told ---

    async def open(self) -> tuple[int, int]:
        """The two ports; the same for its whole life."""
        for _ in self._servers:
            port = _bound(0)
            self._ports.append(port)
        await self._listen()
        first, second = (port.getsockname()[1] for port in self._ports)
        return first, second

    async def close(self) -> None:
        await self.refuse()
        for port in self._ports:
            port.close()

    async def delay(self, latency_seconds: float) -> None:
        """Replies take so long from now on, also those of connections that are there."""
        self.spec = dataclasses.replace(self.spec, latency_seconds=latency_seconds)

    async def cut(self) -> int:
        """End all connections; how many there were. New ones are taken."""
        connections = [connection for connection in self._connections if connection.task is not None]
        await asyncio.gather(*(self._let_server_finish(connection) for connection in connections))
        await self._end(connections)
        self.counts.cuts += len(connections)
        self.counts.places += [f"connection {connection.number} when told to" for connection in connections]
        return len(connections)

    async def refuse(self) -> int:
        """Do not listen any more, and end what there is; how many connections that were."""
        tasks = [task for _, task in self._listeners]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener, _ in self._listeners:
            listener.close()
        self._listeners.clear()
        connections = list(self._connections)
        await self._end(connections)
        return len(connections)

    async def half_open(self) -> int:
        """Take connections, read what comes, answer nothing; how many connections have gone silent."""
        self._is_deaf = True
        for connection in self._connections:
            connection.is_silent = True
        return len(self._connections)

    async def restore(self) -> int:
        """Pass on again what comes; what went silent has lost bytes, and ends. How many connections did."""
        self._is_deaf = False
        self.spec = self._made_as
        silent = [connection for connection in self._connections if connection.is_silent]
        await self._end(silent)
        if not self._listeners:
            await self._listen()
        return len(silent)

    # --- connections ---

    async def _listen(self) -> None:
        for index, port in enumerate(self._ports):
            listener = _bound(port.getsockname()[1])
            listener.listen(_BACKLOG)
            self._listeners.append((listener, asyncio.create_task(self._accept(listener, index))))

    async def _accept(self, listener: socket.socket, index: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.counts.connections += 1
            self._numbers[index] += 1
            connection = _Connection(self._numbers[index], client, is_silent=self._is_deaf)
            self._connections.add(connection)
            connection.task = asyncio.create_task(self._serve(connection, index))

    async def _serve(self, connection: _Connection, index: int) -> None:
        try:
            with _closed_after(connection):
                if connection.is_silent:
                    await self._only_read(connection)
                else:
                    await self._relay(connection, index)
        finally:
            self._connections.discard(connection)

    async def _only_read(self, connection: _Connection) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(connection.client, PIECE_BYTES):
            self.counts.swallowed += len(data)

    async def _relay(self, connection: _Connection, index: int) -> None:
        connection.server = server = socket.socket(_family(self._servers[index][0]), socket.SOCK_STREAM)
        server.setblocking(False)
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(server, self._servers[index])
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        is_binary = index == 0
        meters = {way: _meter(way, connection.number, self.spec.cut, is_binary) for way in Way}
        seed = f"{self.spec.seed}/{index}/{connection.number}/"
        requests = _Stream(Way.REQUEST, connection.client, server, meters[Way.REQUEST], seed + Way.REQUEST)
        replies = _Stream(Way.REPLY, server, connection.client, meters[Way.REPLY], seed + Way.REPLY)
        connection.replies = replies
        tasks = [
            asyncio.create_task(work)
            for stream in (requests, replies)
            for work in (self._take_in(connection, stream), self._pass_on(connection, stream))
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        connection.ends_at_once = False

    async def _take_in(self, connection: _Connection, stream: _Stream) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await stream.has_room.wait()
            most = Pacer.slice_bytes(self.spec.bytes_per_second, PIECE_BYTES)
            try:
                data = await loop.sock_recv(stream.source, most)
            except OSError:
                if not connection.is_silent:
                    raise
                data = b""
            if not data:
                stream.ended.set()
            if connection.is_silent:
                self.counts.swallowed += len(data)
                if not data and stream.way is Way.REQUEST:
                    raise _Ended
            else:
                stream.hold(self._due(stream, loop.time(), len(data)), data)
            if not data:
                return

    def _due(self, stream: _Stream, arrived: float, size: int) -> float:
        spec = self.spec
        is_reply = stream.way is Way.REPLY
        latency = spec.latency_seconds if is_reply else spec.request_latency_seconds
        jitter = spec.jitter_seconds if is_reply else 0.0
        due = stream.pacer.due(arrived, size, latency=latency, jitter=jitter, rate=spec.bytes_per_second)
        if size:
            self.counts.delayed += latency + jitter > 0
            self.counts.slowed += due > arrived + latency + jitter
        return due

    async def _pass_on(self, connection: _Connection, stream: _Stream) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await stream.pieces.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            stream.let_go(data)
            if connection.is_silent:
                self.counts.swallowed += len(data)
                continue
            if not data:
                stream.target.shutdown(socket.SHUT_WR)
                return
            frames = stream.meter.frames
            taken = stream.meter.take(data)
            await loop.sock_sendall(stream.target, data[:taken])
            self.counts.frames[stream.way] += stream.meter.frames - frames
            self.counts.sizes[stream.way] += taken
            if stream.meter.has_stopped:
                await self._cut_here(connection, stream)

    # --- ends ---

    async def _cut_here(self, connection: _Connection, stream: _Stream) -> None:
        """Behind a reply the client is told in an orderly way, behind a request by a reset: it must bear both."""
        self.counts.cuts += 1
        unit = "" if stream.meter.unit is Unit.FRAMES else "byte "
        at = stream.meter.frames if stream.meter.unit is Unit.FRAMES else stream.meter.size
        self.counts.places.append(f"connection {connection.number} after {stream.way} {unit}{at}")
        await self._let_server_finish(connection)
        connection.ends_at_once = stream.way is Way.REQUEST
        raise _Ended

    async def _let_server_finish(self, connection: _Connection) -> None:
        connection.is_silent = True
        if connection.server is None or connection.replies is None:
            return
        with contextlib.suppress(OSError, TimeoutError):
            connection.server.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(SERVER_LETS_GO_SECONDS):
                await connection.replies.ended.wait()

    async def _end(self, connections: list[_Connection]) -> None:
        tasks = [connection.task for connection in connections if connection.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in connections:  # a task that had not begun has not closed anything
            connection.client.close()
            self._connections.discard(connection)


def _meter(way: Way, number: int, cut: Cut | None, is_binary: bool) -> Meter:
    if cut is None or not is_binary or cut.way is not way or number not in range(cut.first, cut.first + cut.times):
        return Meter(framed=is_binary)
    return Meter(stop_after=cut.count, unit=cut.unit)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _bound(port: int) -> socket.socket:
    """Several may be bound to one port as long as at most one listens."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setblocking(False)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


@contextlib.contextmanager
def _closed_after(connection: _Connection) -> Iterator[None]:
    """A side that breaks off, and an end that was wanted, are no errors of the link."""
    try:
        with contextlib.suppress(OSError, _Ended):
            yield
    finally:
        for end in (connection.client, connection.server):
            if end is None:
                continue
            if connection.ends_at_once:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            end.close()
