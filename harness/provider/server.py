"""The provider's process: accepts, notes what it was asked, and answers as the script says.

Rules:

- A thread for each connection: a hanging or dripping answer must not hold up another request.
- A request is noted before it is answered, in one write, so that the log is whole whenever anyone looks.
- `refuse` stops listening but keeps the port, so that nobody else can come to answer there.
- It listens on 127.0.0.1 only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from harness.provider import anthropic, google, openai
from harness.provider.http import BadRequest, Request, head, read_request, without_secrets
from harness.provider.script import Answer, Script
from harness.provider.sse import Ask, Reply, Wire, json_reply

__all__ = ["Server"]

HOST = "127.0.0.1"
_PARENT_CHECK_SECONDS = 1.0
_GARBAGE = bytes(range(256)) * 4
_WIRES = {"openai": openai, "anthropic": anthropic, "google": google}


class Server:
    """Listens from its construction on; `run` serves until the parent is gone or the process ends."""

    def __init__(self, scripts: Mapping[str, Sequence[Answer]], log: str, port: int = 0) -> None:
        self._scripts = {name: Script(answers) for name, answers in scripts.items()}
        self._lock = threading.Lock()
        self._number = 0
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((HOST, port))  # a bound port that does not listen refuses
        self.port: int = self._listener.getsockname()[1]
        self._listening = False
        if self._refuses_next():
            self._note_refusing()
        else:
            self._listener.listen(128)
            self._listening = True

    def close(self) -> None:
        self._listener.close()
        os.close(self._log)

    def run(self, parent_is_gone: Callable[[], bool] | None) -> None:
        with selectors.DefaultSelector() as selector:
            if self._listening:
                selector.register(self._listener, selectors.EVENT_READ)
            while parent_is_gone is None or not parent_is_gone():
                if not selector.select(_PARENT_CHECK_SECONDS):
                    continue
                try:
                    connection, _ = self._listener.accept()
                except OSError:  # it has stopped listening
                    selector.unregister(self._listener)
                    continue
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    # --- one connection ---

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # the program may go away at any time
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                request = read_request(connection)
            except BadRequest as problem:
                _send(connection, json_reply(400, {"error": {"message": str(problem)}}))
                return
            if request is not None:
                self._answer(connection, request)

    def _answer(self, connection: socket.socket, request: Request) -> None:
        provider = _provider(request.path)
        wire = cast(Wire, _WIRES[provider])
        is_turn = request.method == "POST" and wire.is_turn(request.path)
        number, taken = self._take(provider, request, is_turn)
        ask = Ask(request.path, _object(request.body), number)
        if not is_turn:
            _send(connection, wire.aside(ask))
        elif taken is None:
            _send(connection, json_reply(500, {"error": {"message": f"the script has no answer for {provider}"}}))
        elif taken.hang:
            while connection.recv(65536):
                pass  # until the program gives up
        elif taken.garbage:
            connection.sendall(head(200, {"content-type": "text/event-stream", "connection": "close"}) + _GARBAGE)
        else:
            _send(connection, _reply(wire, taken, ask), taken)

    def _take(self, provider: str, request: Request, is_turn: bool) -> tuple[int, Answer | None]:
        """Notes the request, and gives it its number and answer; stops listening if the next must be refused."""
        text = request.body.decode(errors="replace")
        with self._lock:
            self._number += 1
            script = self._scripts.get(provider)
            taken = script.take(_unescaped(text)) if is_turn and script is not None else None
            target, headers = without_secrets(request)
            note = {
                "number": self._number,
                "at": time.time(),
                "provider": provider,
                "method": request.method,
                "path": target,
                "headers": headers,
                "body": _json(text),
                "answer": taken[0] if taken is not None else None,
            }
            self._note(note)
            if self._listening and self._refuses_next():
                self._listening = False
                self._listener.shutdown(socket.SHUT_RDWR)
                self._note_refusing()
            return self._number, taken[1] if taken is not None else None

    def _note(self, facts: Mapping[str, Any]) -> None:
        os.write(self._log, json.dumps(facts, ensure_ascii=False).encode(errors="replace") + b"\n")

    def _note_refusing(self) -> None:
        """Nobody can be heard asking any more, so this stands for the answers that are not given."""
        for provider, script in self._scripts.items():
            if script.refuses_next():
                self._note({"number": 0, "at": time.time(), "provider": provider, "refusing": True})

    def _refuses_next(self) -> bool:
        return any(script.refuses_next() for script in self._scripts.values())


def _provider(path: str) -> str:
    if "/messages" in path:
        return "anthropic"
    return "google" if "/v1beta" in path or ":" in path else "openai"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _object(body: bytes) -> Mapping[str, Any]:
    value = _json(body.decode(errors="replace"))
    return value if isinstance(value, dict) else {}


def _unescaped(text: str) -> str:
    """A prompt in a JSON body as its author wrote it, so that `when` need not know about escapes."""
    return text.replace("\\n", "\n").replace('\\"', '"')


def _reply(wire: Wire, answer: Answer, ask: Ask) -> Reply:
    if answer.http is None:
        return wire.turn(answer, ask)
    shown = answer if answer.message else dataclasses.replace(answer, message=f"scripted {answer.http}")
    body = answer.body.encode() if answer.body is not None else json.dumps(wire.error(shown)).encode()
    headers = {} if answer.retry_after is None else {"retry-after": f"{answer.retry_after:g}"}
    return Reply(answer.http, "application/json", (body,), headers)


def _send(connection: socket.socket, reply: Reply, answer: Answer | None = None) -> None:
    headers = {"content-type": reply.content_type, "connection": "close", **reply.headers}
    if reply.content_type == "application/json":
        headers["content-length"] = str(sum(map(len, reply.pieces)))
    elif answer is not None and answer.cut_after_bytes is not None:
        headers["transfer-encoding"] = "chunked"  # without its last chunk, the end shows as a break
    if answer is not None and answer.delay:
        time.sleep(answer.delay)
    connection.sendall(head(reply.status, headers))
    pace = answer.bytes_per_second if answer is not None else None
    for piece in _pieces(reply, answer):
        for part in [piece] if pace is None else [bytes((byte,)) for byte in piece]:
            if pace is not None:
                time.sleep(1 / pace)
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part) if "transfer-encoding" in headers else part)


def _pieces(reply: Reply, answer: Answer | None) -> tuple[bytes, ...]:
    """As much of the reply as the answer lets through."""
    if answer is None:
        return reply.pieces
    if answer.cut_after_bytes is not None:
        return (b"".join(reply.pieces)[: answer.cut_after_bytes],)
    return reply.pieces[: answer.cut_after_events]
