"""What a CXDB holds: contexts, turns, blobs and filesystem roots, indexed in memory, logged on disk.

Rules, each of them the real server's (seen in its answers, see tests/harness_cxdb/golden):

- A turn has one parent and a depth; turns of all contexts share one numbering from 1. 0 means "none".
- A context is a number and a head turn. Appending moves the head; so does appending to another parent.
- An append with an explicit parent does not ask whether the context exists: it comes to be.
- Blobs are kept once by BLAKE3. An append keeps its payload before it looks at the context, so a refused
  append may leave a blob.
- Idempotency keys are not honoured.

What differs: data outlive a restart, unless the store is told to forget. Then it does what the real
server does on every start: contexts, turns and blobs are gone; bundles and filesystem roots stay.

Must not know sockets, HTTP or projection. The clock is passed in, in milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from struct import Struct as Layout
from sys import intern
from typing import Any

import msgspec
from blake3 import blake3

from harness.cxdb.errors import CorruptLog, InvalidInput, NotFound
from harness.cxdb.log import RecordLog
from harness.cxdb.requests import AppendTurn

__all__ = ["Context", "Store", "Turn"]

_KIND_BLOB = b"B"
_KIND_TURN = b"T"
_KIND_CONTEXT = b"C"
_KIND_FS_ROOT = b"F"
_KIND_BUNDLE = b"R"
_KINDS_NOT_FORGOTTEN = (_KIND_FS_ROOT, _KIND_BUNDLE)

_HASH_BYTES = 32
_BLOB_AT = 1 + _HASH_BYTES  # where a blob's data begin in its record
_TURN = Layout("<cQQQIIIIIQ32s")  # the type id follows
_CONTEXT = Layout("<cQQIQ")
_FS_ROOT = Layout("<cQ32s")


class Context(msgspec.Struct, frozen=True, gc=False):
    """A context as it stands. `created_at_unix_ms` is when its head was last set (the real server's name).

    `change` counts all head changes of the store: it orders contexts changed within one millisecond.
    """

    context_id: int
    head_turn_id: int
    head_depth: int
    created_at_unix_ms: int
    change: int


class Turn(msgspec.Struct, frozen=True, gc=False):
    """A stored turn. `compression` and `uncompressed_len` (bytes) are as declared when it was appended."""

    turn_id: int
    parent_turn_id: int
    depth: int
    type_id: str
    type_version: int
    encoding: int
    compression: int
    uncompressed_len: int
    content_hash: bytes


class Store:
    """All data of one data directory. Raises DataDirUnusable or CorruptLog when opened."""

    def __init__(self, data_dir: str, *, clock_ms: Callable[[], int], forget: bool = False) -> None:
        self._clock_ms = clock_ms
        self._turns: list[Turn] = []  # turn n is at n - 1
        self._contexts: dict[int, Context] = {}
        self._blobs: dict[bytes, tuple[int, int]] = {}  # hash -> offset in the log, length
        self._fs_roots: dict[int, bytes] = {}
        self._first_turns: dict[int, int] = {}  # context -> the turn its metadata come from
        self._bundles: list[bytes] = []
        self._next_context_id = 1
        self._changes = 0
        self._log = RecordLog(data_dir)
        self.data_dir = data_dir
        try:
            if forget:
                self._forget()
            else:
                for offset, body in self._log.recover():
                    self._replay(offset, body)
            self._log.flush()
        except BaseException:
            self._log.close()
            raise

    # --- opening ---

    def _forget(self) -> None:
        """Begin empty but for bundles and roots; of a damaged log, those before the damage."""
        kept: list[bytes] = []
        with suppress(CorruptLog):
            kept += (body for _, body in self._log.recover() if body[:1] in _KINDS_NOT_FORGOTTEN)
        self._log.clear()
        for body in kept:
            self._replay(self._log.append(body), body)

    def _replay(self, offset: int, body: bytes) -> None:
        kind = body[:1]
        if kind == _KIND_BLOB:
            self._blobs[body[1:_BLOB_AT]] = (offset + _BLOB_AT, len(body) - _BLOB_AT)
        elif kind == _KIND_TURN:
            self._replay_turn(body)
        elif kind == _KIND_CONTEXT:
            _, context_id, head, depth, created_at = _CONTEXT.unpack(body)
            self._set_head(context_id, head, depth, created_at)
            self._next_context_id = max(self._next_context_id, context_id + 1)
        elif kind == _KIND_FS_ROOT:
            _, turn_id, fs_root = _FS_ROOT.unpack(body)
            self._fs_roots[turn_id] = fs_root
        elif kind == _KIND_BUNDLE:
            self._bundles.append(body[1:])

    def _replay_turn(self, body: bytes) -> None:
        _, context_id, turn_id, *fields = _TURN.unpack_from(body)
        parent, depth, version, encoding, compression, raw_len, created_at, content = fields
        type_id = intern(body[_TURN.size :].decode())
        turn = Turn(turn_id, parent, depth, type_id, version, encoding, compression, raw_len, content)
        self._turns.append(turn)
        self._set_head(context_id, turn_id, depth, created_at)
        if depth == 0:
            self._first_turns[context_id] = turn_id

    def _set_head(self, context_id: int, turn_id: int, depth: int, at_ms: int) -> Context:
        self._changes += 1
        context = Context(context_id, turn_id, depth, at_ms, self._changes)
        self._contexts[context_id] = context
        return context

    # --- writing ---

    def create_context(self, base_turn_id: int) -> Context:
        """A new context at `base_turn_id`, 0 for an empty one; raises NotFound. Forking is the same act."""
        depth = self._turn(base_turn_id, "base turn").depth if base_turn_id else 0
        context_id = self._next_context_id
        self._next_context_id += 1
        now = self._clock_ms()
        self._log.append(_CONTEXT.pack(_KIND_CONTEXT, context_id, base_turn_id, depth, now))
        return self._set_head(context_id, base_turn_id, depth, now)

    def append(self, request: AppendTurn) -> Turn:
        """One more turn; raises InvalidInput (payload against its hash or length) or NotFound."""
        payload = _uncompressed(request)
        content_hash = request.content_hash
        if blake3(payload).digest() != content_hash:
            raise InvalidInput("content hash mismatch")
        if content_hash not in self._blobs:
            self._keep_blob(content_hash, payload)
        parent_id, depth = self._parent_of_append(request)
        turn_id = len(self._turns) + 1
        type_id = intern(request.type_id)
        turn = Turn(
            turn_id,
            parent_id,
            depth,
            type_id,
            request.type_version,
            request.encoding,
            request.compression,
            request.uncompressed_len,
            content_hash,
        )
        self._keep_turn(request.context_id, turn)
        if request.fs_root_hash is not None:
            self.attach_fs(turn_id, request.fs_root_hash)
        return turn

    def _parent_of_append(self, request: AppendTurn) -> tuple[int, int]:
        """(parent turn id, depth of the new turn)."""
        parent_id = request.parent_turn_id
        if parent_id:
            return parent_id, self._turn(parent_id, "parent turn").depth + 1
        context = self.context(request.context_id)
        if not context.head_turn_id:
            return 0, 0
        return context.head_turn_id, context.head_depth + 1

    def _keep_turn(self, context_id: int, turn: Turn) -> None:
        now = self._clock_ms()
        self._log.append(
            _TURN.pack(
                _KIND_TURN,
                context_id,
                turn.turn_id,
                turn.parent_turn_id,
                turn.depth,
                turn.type_version,
                turn.encoding,
                turn.compression,
                turn.uncompressed_len,
                now,
                turn.content_hash,
            ),
            turn.type_id.encode(),
        )
        self._turns.append(turn)
        self._set_head(context_id, turn.turn_id, turn.depth, now)
        if turn.depth == 0:
            self._first_turns[context_id] = turn.turn_id

    def put_blob(self, content_hash: bytes, data: bytes) -> bool:
        """Keep `data`; True when they were new. Raises InvalidInput when the hash is not theirs."""
        if blake3(data).digest() != content_hash:
            raise InvalidInput("blob hash mismatch")
        if content_hash in self._blobs:
            return False
        self._keep_blob(content_hash, data)
        return True

    def _keep_blob(self, content_hash: bytes, data: bytes) -> None:
        offset = self._log.append(_KIND_BLOB, content_hash, data)
        self._blobs[content_hash] = (offset + _BLOB_AT, len(data))

    def attach_fs(self, turn_id: int, fs_root_hash: bytes) -> None:
        """Tie a stored tree to a turn, the last one wins; raises NotFound."""
        self._turn(turn_id, "turn")
        if fs_root_hash not in self._blobs:
            raise NotFound("fs root tree blob")
        self._log.append(_FS_ROOT.pack(_KIND_FS_ROOT, turn_id, fs_root_hash))
        self._fs_roots[turn_id] = fs_root_hash

    def keep_bundle(self, raw: bytes) -> None:
        """Keep an accepted registry bundle, byte for byte, for the next start."""
        self._log.append(_KIND_BUNDLE, raw)
        self._bundles.append(raw)

    # --- reading ---

    @property
    def bundles(self) -> tuple[bytes, ...]:
        """The kept bundles, in the order of their publication."""
        return tuple(self._bundles)

    def context(self, context_id: int) -> Context:
        context = self._contexts.get(context_id)
        if context is None:
            raise NotFound("context")
        return context

    def recent_contexts(self, limit: int) -> list[Context]:
        """The most recently changed contexts first."""
        ordered = sorted(self._contexts.values(), key=_recency, reverse=True)
        return ordered[:limit]

    def _turn(self, turn_id: int, what: str) -> Turn:
        if not 0 < turn_id <= len(self._turns):
            raise NotFound(what)
        return self._turns[turn_id - 1]

    def _walk_back(self, turn_id: int, limit: int) -> list[Turn]:
        """Up to `limit` turns ending with `turn_id`, oldest first."""
        found: list[Turn] = []
        while turn_id and len(found) < limit:
            turn = self._turns[turn_id - 1]
            found.append(turn)
            turn_id = turn.parent_turn_id
        found.reverse()
        return found

    def last_turns(self, context_id: int, limit: int) -> list[Turn]:
        """The newest `limit` turns of a context, oldest first; raises NotFound."""
        return self._walk_back(self.context(context_id).head_turn_id, limit)

    def turns_before(self, context_id: int, before_turn_id: int, limit: int) -> list[Turn]:
        """The `limit` turns that lead to `before_turn_id`, without it; 0 means from the head."""
        context = self.context(context_id)
        if not before_turn_id or not context.head_turn_id:
            return self._walk_back(context.head_turn_id, limit)
        return self._walk_back(self._turn(before_turn_id, "before turn").parent_turn_id, limit)

    def maybe_first_turn(self, context_id: int) -> Turn | None:
        """The turn that carries a context's metadata: its own first one, else its line's."""
        own = self._first_turns.get(context_id)
        if own is not None:
            return self._turns[own - 1]
        context = self._contexts.get(context_id)
        turn_id = context.head_turn_id if context else 0
        while turn_id:
            turn = self._turns[turn_id - 1]
            if turn.depth == 0:
                return turn
            turn_id = turn.parent_turn_id
        return None

    def has_blob(self, content_hash: bytes) -> bool:
        return content_hash in self._blobs

    def blob(self, content_hash: bytes) -> bytes:
        """Raises NotFound."""
        place = self._blobs.get(content_hash)
        if place is None:
            raise NotFound("blob")
        return self._log.read(*place)

    def fs_root(self, turn_id: int) -> bytes:
        """The filesystem root of a turn or of its nearest ancestor that has one; raises NotFound."""
        while turn_id:
            fs_root = self._fs_roots.get(turn_id)
            if fs_root is not None:
                return fs_root
            if turn_id > len(self._turns):
                break
            turn_id = self._turns[turn_id - 1].parent_turn_id
        raise NotFound("no fs snapshot for turn")

    def counts(self) -> dict[str, int]:
        """Totals for the metrics page."""
        return {
            "contexts": len(self._contexts),
            "turns": len(self._turns),
            "blobs": len(self._blobs),
            "fs_roots": len(self._fs_roots),
            "log_bytes": self._log.size_bytes,
            "blob_bytes": sum(length for _, length in self._blobs.values()),
        }

    # --- ending ---

    def flush(self) -> None:
        """Write what is not written yet; must precede any reply that acknowledges it."""
        self._log.flush()

    def close(self) -> None:
        self._log.close()


def _recency(context: Context) -> tuple[int, int]:
    return context.created_at_unix_ms, context.change


def _uncompressed(request: AppendTurn) -> bytes:
    if request.compression == 0:
        payload = request.payload
    elif request.compression == 1:
        payload = _zstd_decoded(request.payload, request.uncompressed_len)
    else:
        raise InvalidInput(f"unsupported compression: {request.compression}")
    if len(payload) != request.uncompressed_len:
        raise InvalidInput("uncompressed length mismatch")
    return payload


def _zstd_decoded(data: bytes, expected_bytes: int) -> bytes:
    """At most `expected_bytes` + 1 bytes: enough to see a wrong length, too little for a zip bomb."""
    if not data:
        raise InvalidInput("zstd decode failed: no data")
    decompressor, failure = _zstd()
    try:
        with decompressor.stream_reader(data, read_across_frames=True) as stream:
            decoded: bytes = stream.read(expected_bytes + 1)
            return decoded
    except failure as error:
        raise InvalidInput(f"zstd decode failed: {error}") from error


@cache
def _zstd() -> tuple[Any, type[Exception]]:
    """Loaded with the first compressed payload: most clients never send one, and start-up counts."""
    import zstandard

    return zstandard.ZstdDecompressor(), zstandard.ZstdError
