"""The harness's own eyes on a CXDB, embedded or real: contexts and typed turns over HTTP.

Shares nothing with the engine's client, so that a mistake there cannot hide itself here. Every answer is
checked for the published shape; what is missing or odd is an error that names the address, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from harness.cxdb.errors import CxdbAnswerInvalid, CxdbRefused, CxdbUnreachable

__all__ = [
    "ContextSummary",
    "Listed",
    "Turn",
    "can_be_asked_for",
    "list_contexts",
    "read_folder",
    "read_shown_file",
    "read_turns",
]

_TIMEOUT_SECONDS = 10.0
_TURNS_A_PAGE = 512
_ALL_CONTEXTS = 1_000_000

_Shape = TypeVar("_Shape")


@dataclass(frozen=True)
class Turn:
    """One turn as its type shows it: field name -> value, 64-bit numbers as text.

    `parent_turn_id` 0 is the first turn of a line; `depth` counts from 0.
    """

    turn_id: int
    parent_turn_id: int
    depth: int
    type_id: str
    type_version: int
    data: dict[str, Any]


@dataclass(frozen=True)
class ContextSummary:
    """One context. `changed_at_unix_ms` is when its head was last set; head 0 is an empty context."""

    context_id: int
    head_turn_id: int
    head_depth: int
    changed_at_unix_ms: int
    is_live: bool
    client_tag: str | None


class _Type(msgspec.Struct):
    type_id: str
    type_version: int


class _TurnAnswer(msgspec.Struct):
    turn_id: str
    parent_turn_id: str
    depth: int
    declared_type: _Type
    data: dict[str, Any]


class _TurnsAnswer(msgspec.Struct):
    turns: list[_TurnAnswer]


class _ContextAnswer(msgspec.Struct):
    context_id: str
    head_turn_id: str
    head_depth: int
    created_at_unix_ms: int
    is_live: bool
    client_tag: str | None = None


class _ContextsAnswer(msgspec.Struct):
    contexts: list[_ContextAnswer]


class Listed(msgspec.Struct, frozen=True):
    """One name in a folder that a turn shows. `kind`: file, dir or symlink; `mode`: permission bits, octal; `hash`: of
    the content, BLAKE3 in hex.
    """

    name: str
    kind: str
    mode: str
    size: int
    hash: str


class _FolderAnswer(msgspec.Struct):
    fs_root_hash: str
    entries: list[Listed]


class _Error(msgspec.Struct):
    message: str


class _ErrorAnswer(msgspec.Struct):
    error: _Error


def read_turns(http_base_url: str, context_id: int, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> list[Turn]:
    """All turns of a context's line, oldest first, those before a fork included.

    Raises CxdbRefused (404 no such context; 424 a turn's type was never published), CxdbUnreachable,
    CxdbAnswerInvalid. `timeout_seconds` bounds each single request.
    """
    newest_first: list[Turn] = []
    before = 0
    while True:
        path = f"/v1/contexts/{context_id}/turns?limit={_TURNS_A_PAGE}&before_turn_id={before}"
        answer = _get(http_base_url, path, _TurnsAnswer, timeout_seconds)
        page = [_turn(http_base_url + path, item) for item in answer.turns]
        newest_first += reversed(page)
        if not page or page[0].parent_turn_id == 0:
            break
        if before and page[0].turn_id >= before:
            raise CxdbAnswerInvalid(http_base_url + path, f"a page that leads not back from turn {before}")
        before = page[0].turn_id
    newest_first.reverse()
    return newest_first


def read_folder(
    http_base_url: str, turn_id: int, path: str, *, timeout_seconds: float = _TIMEOUT_SECONDS
) -> tuple[str, list[Listed]]:
    """What a turn shows in a folder, '' for the top, and the hash of the whole tree.

    Raises as `read_turns`; CxdbRefused 404 for a turn that shows no files.
    """
    answer = _get(http_base_url, f"/v1/turns/{turn_id}/fs?path={quote(path)}", _FolderAnswer, timeout_seconds)
    return answer.fs_root_hash, answer.entries


def read_shown_file(http_base_url: str, turn_id: int, path: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> bytes:
    """The content of a file, or a link's target, that a turn shows. Raises as `read_turns`.

    `path` as it is in the address: CXDB takes what stands there literally, so that a name with a blank or an umlaut
    cannot be asked for (see `can_be_asked_for`).
    """
    place = f"/v1/turns/{turn_id}/fs/{path}"
    status, body = _fetch(http_base_url + place, http_base_url, place, timeout_seconds)
    if status != 200:
        raise CxdbRefused(http_base_url + place, status, _message(body))
    return body


def can_be_asked_for(path: str) -> bool:
    """Whether a file's path is the same in an address."""
    return quote(path) == path


def list_contexts(http_base_url: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> list[ContextSummary]:
    """All contexts, the most recently changed first. Raises as `read_turns`."""
    path = f"/v1/contexts?limit={_ALL_CONTEXTS}"
    answer = _get(http_base_url, path, _ContextsAnswer, timeout_seconds)
    url = http_base_url + path
    return [
        ContextSummary(
            _number(url, c.context_id),
            _number(url, c.head_turn_id),
            c.head_depth,
            c.created_at_unix_ms,
            c.is_live,
            c.client_tag,
        )
        for c in answer.contexts
    ]


def _turn(url: str, item: _TurnAnswer) -> Turn:
    return Turn(
        _number(url, item.turn_id),
        _number(url, item.parent_turn_id),
        item.depth,
        item.declared_type.type_id,
        item.declared_type.type_version,
        item.data,
    )


def _number(url: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise CxdbAnswerInvalid(url, f"an id that is no number: {text!r}")
    return int(text)


def _get(base_url: str, path: str, shape: type[_Shape], timeout_seconds: float) -> _Shape:
    url = base_url + path
    status, body = _fetch(url, base_url, path, timeout_seconds)
    if status != 200:
        raise CxdbRefused(url, status, _message(body))
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as error:
        raise CxdbAnswerInvalid(url, f"{error}; it begins {body[:120]!r}") from error


def _fetch(url: str, base_url: str, path: str, timeout_seconds: float) -> tuple[int, bytes]:
    parts = urlsplit(base_url)
    if parts.scheme != "http" or not parts.hostname:
        raise CxdbUnreachable(url, "not an http:// address")
    connection = HTTPConnection(parts.hostname, parts.port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException) as error:
        raise CxdbUnreachable(url, f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _message(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_ErrorAnswer).error.message
    except msgspec.DecodeError:
        return repr(body[:200])
