"""A CXDB of our own: the real server's two ports in one small process, and the harness's eyes on either.

`EmbeddedCxdb` runs the server as a child process, `ContainerCxdb` (container.py) a server in a container;
`read_turns` and `list_contexts` read any CXDB over HTTP; `python -m harness.cxdb` is the server itself. What
it answers is held byte for byte against recordings of the real server (tests/harness_cxdb/golden). What it
deliberately does not do: the search language, the event stream, and forgetting everything at each start,
unless asked to.

Names are loaded on first use: the server's own start must not pay for the reader's imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.cxdb.embedded import EmbeddedCxdb
    from harness.cxdb.errors import (
        CxdbAnswerInvalid,
        CxdbError,
        CxdbRefused,
        CxdbUnreachable,
        ReaderError,
        ServerFailed,
        ServerNotReady,
    )
    from harness.cxdb.reader import ContextSummary, Turn, list_contexts, read_turns

__all__ = [
    "ContextSummary",
    "CxdbAnswerInvalid",
    "CxdbError",
    "CxdbRefused",
    "CxdbUnreachable",
    "EmbeddedCxdb",
    "ReaderError",
    "ServerFailed",
    "ServerNotReady",
    "Turn",
    "list_contexts",
    "read_turns",
]

_HOMES = {
    "EmbeddedCxdb": "embedded",
    "ContextSummary": "reader",
    "Turn": "reader",
    "list_contexts": "reader",
    "read_turns": "reader",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
