"""The table: message code -> how its request and its answer are read; what is served, in one look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from harness.cxdb.answers import AppendAnswer, BlobAnswer, HeadAnswer, HelloAnswer, PutBlobAnswer, TurnList
from harness.cxdb.frames import MessageType
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

__all__ = ["CODECS", "Codec", "Message"]


class Message(Protocol):
    """What every request and answer above can do."""

    def encode(self) -> bytes: ...


class Codec(msgspec.Struct, frozen=True):
    """How one message code is read in each direction; both take `(payload, flags)`."""

    decode_request: Callable[[bytes, int], Message]
    decode_answer: Callable[[bytes, int], Message]


CODECS: dict[int, Codec] = {
    MessageType.HELLO: Codec(Hello.decode, HelloAnswer.decode),
    MessageType.CREATE_CONTEXT: Codec(CreateContext.decode, HeadAnswer.decode),
    MessageType.FORK_CONTEXT: Codec(ForkContext.decode, HeadAnswer.decode),
    MessageType.GET_HEAD: Codec(GetHead.decode, HeadAnswer.decode),
    MessageType.APPEND_TURN: Codec(AppendTurn.decode, AppendAnswer.decode),
    MessageType.GET_LAST: Codec(GetLast.decode, TurnList.decode),
    MessageType.GET_BLOB: Codec(GetBlob.decode, BlobAnswer.decode),
    MessageType.ATTACH_FS: Codec(AttachFs.decode, AttachFs.decode),
    MessageType.PUT_BLOB: Codec(PutBlob.decode, PutBlobAnswer.decode),
}
