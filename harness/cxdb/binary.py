"""The binary port: serves one connection's frames from the store. No sockets here, see connection.py.

Rules, the real server's:
- Requests are served and answered strictly in order.
- An unknown message code is answered with ERROR 422 and the connection goes on. Everything else that is
  wrong (unknown ids, bad hashes, short payloads, an oversized frame) closes the connection without a
  word, after the answers to what came before.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from harness.cxdb.answers import (
    AppendAnswer,
    BlobAnswer,
    ErrorAnswer,
    HeadAnswer,
    HelloAnswer,
    PutBlobAnswer,
    TurnItem,
    TurnList,
)
from harness.cxdb.errors import FrameError, RequestRefused
from harness.cxdb.frames import Frame, FrameReader, MessageType, encode_frame
from harness.cxdb.messages import CODECS, Message
from harness.cxdb.metrics import Metrics
from harness.cxdb.requests import (
    AppendTurn,
    AttachFs,
    CreateContext,
    ForkContext,
    GetBlob,
    GetHead,
    GetLast,
    Hello,
    PutBlob,
)
from harness.cxdb.sessions import Sessions
from harness.cxdb.store import Context, Store

__all__ = ["BinaryConnection"]

_UNKNOWN_CODE = ErrorAnswer(422, "unknown msg_type")


def _head_answer(context: Context) -> HeadAnswer:
    return HeadAnswer(context.context_id, context.head_turn_id, context.head_depth)


class BinaryConnection:
    """One client of the binary port."""

    lingers = False  # the real server hangs up at once; clients must cope

    def __init__(self, store: Store, sessions: Sessions, metrics: Metrics, peer_addr: str) -> None:
        self._store = store
        self._sessions = sessions
        self._metrics = metrics
        self._peer_addr = peer_addr
        self._reader = FrameReader()
        self._session_id = sessions.open()
        self._is_introduced = False
        self._is_closed = False
        self.is_finished = False

    # --- the loop's side ---

    def receive(self, data: bytes) -> None:
        self._reader.feed(data)
        self._sessions.touch(self._session_id)

    def work(self, enough_bytes: int) -> bytes:
        answers: list[bytes] = []
        size = 0
        while size < enough_bytes and not self.is_finished:
            try:
                frame = self._reader.maybe_frame()
                if frame is None:
                    break
                answers.append(self._answer(frame))
            except (FrameError, RequestRefused):
                self._metrics.record_error("binary")
                self._finish(by_client=False)
                break
            size += len(answers[-1])
        return b"".join(answers)

    def peer_closed(self) -> None:
        """A frame that is still incomplete is dropped without complaint, as the real server does."""
        self._finish(by_client=True)

    def lost(self) -> None:
        self._finish(by_client=False)

    def _finish(self, *, by_client: bool) -> None:
        self.is_finished = True
        if not self._is_closed:
            self._is_closed = True
            self._sessions.close(self._session_id, by_client=by_client)

    # --- the requests ---

    def _answer(self, frame: Frame) -> bytes:
        """The answer's frame: under the request's own code, but for an unknown one."""
        code = frame.message_type
        served = _SERVED.get(code)
        if served is None:
            self._metrics.record_error("binary")
            return encode_frame(MessageType.ERROR, frame.request_id, _UNKNOWN_CODE.encode())
        if code in _INTRODUCING:
            self._introduce("")
        decode, handler = served
        answer = handler(self, decode(frame.payload, frame.flags))
        return encode_frame(code, frame.request_id, answer.encode())

    def _introduce(self, client_tag: str) -> None:
        if not self._is_introduced:
            self._is_introduced = True
            self._sessions.introduce(self._session_id, client_tag, self._peer_addr)

    def _hello(self, request: Hello) -> HelloAnswer:
        self._introduce(request.client_tag)
        return HelloAnswer(self._session_id)

    def _create_context(self, request: CreateContext | ForkContext) -> HeadAnswer:
        context = self._store.create_context(request.base_turn_id)
        self._sessions.add_context(self._session_id, context.context_id)
        return _head_answer(context)

    def _get_head(self, request: GetHead) -> HeadAnswer:
        return _head_answer(self._store.context(request.context_id))

    def _append_turn(self, request: AppendTurn) -> AppendAnswer:
        started = perf_counter()
        turn = self._store.append(request)
        self._metrics.record("append", perf_counter() - started)
        return AppendAnswer(request.context_id, turn.turn_id, turn.depth, turn.content_hash)

    def _get_last(self, request: GetLast) -> TurnList:
        started = perf_counter()
        items = []
        for turn in self._store.last_turns(request.context_id, request.limit):
            payload = self._store.blob(turn.content_hash) if request.include_payload else None
            items.append(
                TurnItem(
                    turn.turn_id,
                    turn.parent_turn_id,
                    turn.depth,
                    turn.type_id,
                    turn.type_version,
                    turn.encoding,
                    turn.compression if payload is None else 0,
                    turn.uncompressed_len,
                    turn.content_hash,
                    payload,
                )
            )
        self._metrics.record("get_last", perf_counter() - started)
        return TurnList(tuple(items))

    def _get_blob(self, request: GetBlob) -> BlobAnswer:
        started = perf_counter()
        data = self._store.blob(request.content_hash)
        self._metrics.record("get_blob", perf_counter() - started)
        return BlobAnswer(data)

    def _attach_fs(self, request: AttachFs) -> AttachFs:
        self._store.attach_fs(request.turn_id, request.fs_root_hash)
        return request

    def _put_blob(self, request: PutBlob) -> PutBlobAnswer:
        return PutBlobAnswer(request.content_hash, self._store.put_blob(request.content_hash, request.data))


_HANDLERS: dict[int, Callable[[BinaryConnection, Any], Message]] = {
    MessageType.HELLO: BinaryConnection._hello,
    MessageType.CREATE_CONTEXT: BinaryConnection._create_context,
    MessageType.FORK_CONTEXT: BinaryConnection._create_context,
    MessageType.GET_HEAD: BinaryConnection._get_head,
    MessageType.APPEND_TURN: BinaryConnection._append_turn,
    MessageType.GET_LAST: BinaryConnection._get_last,
    MessageType.GET_BLOB: BinaryConnection._get_blob,
    MessageType.ATTACH_FS: BinaryConnection._attach_fs,
    MessageType.PUT_BLOB: BinaryConnection._put_blob,
}

_SERVED = {code: (CODECS[code].decode_request, handler) for code, handler in _HANDLERS.items()}

# A client that never said hello is listed, without a tag, as soon as it asks for a context.
_INTRODUCING = frozenset({MessageType.CREATE_CONTEXT, MessageType.FORK_CONTEXT})
