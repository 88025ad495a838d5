"""`attractor-harness cxdb` and `python -m harness.cxdb`: start the server, say where it listens, serve.

Once both ports listen, exactly one line goes to standard output, and nothing after it:

    cxdb binary=127.0.0.1:PORT http=http://127.0.0.1:PORT data_dir=DIR

Exit codes: 0 ended by SIGTERM, SIGINT or the parent's death; 1 it could not start or go on; 2 wrong usage.
Errors are one line on standard error, never a traceback. click is imported only for its command object:
the plain entry (`main`) is what the harness starts hundreds of times.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec

from harness.cxdb.errors import ServerFailed, UsageError
from harness.cxdb.parent import parent_watch, raise_file_limit
from harness.cxdb.server import Server, clock_ms
from harness.cxdb.store import Store

if TYPE_CHECKING:
    import click

__all__ = ["cxdb_command", "main", "serve_command"]

DEFAULT_HOST = "127.0.0.1"
DEFAULT_DATA_DIR = "cxdb-data"

_HELP = {
    "host": "Address to listen on.",
    "port": "Binary port; 0 picks a free one.",
    "http_port": "HTTP port; 0 picks a free one.",
    "data_dir": "Directory of the log; made when missing.",
    "forget": "Begin without contexts, turns and blobs, as the real server does on every start.",
    "ready_file": "Also write the ready line there, as JSON, once both ports listen.",
    "die_with_parent": "End when the process that started this one is gone.",
    "parent_pid": "The same, for a parent whose threads come and go: asks once a second.",
}


def serve_command(
    *,
    host: str = DEFAULT_HOST,
    port: int = 0,
    http_port: int = 0,
    data_dir: str = DEFAULT_DATA_DIR,
    forget: bool = False,
    ready_file: str | None = None,
    die_with_parent: bool = False,
    parent_pid: int | None = None,
) -> int:
    """Serve until told to end; returns the process's exit code. Prints, see the file's head."""
    try:
        for name, number in (("port", port), ("http-port", http_port)):
            if not 0 <= number <= 65535:
                raise UsageError(f"--{name} {number}: a port is a number from 0 to 65535")
        parent_is_gone = parent_watch(die_with_parent=die_with_parent, parent_pid=parent_pid)
        raise_file_limit()
        with closing(Store(os.path.realpath(data_dir), clock_ms=clock_ms, forget=forget)) as store:
            _serve(store, host, port, http_port, ready_file, parent_is_gone)
    except ServerFailed as failure:
        print(f"cxdb: {failure}", file=sys.stderr, flush=True)  # noqa: T201 - a command's own output
        return failure.exit_code
    return 0


def _serve(
    store: Store,
    host: str,
    port: int,
    http_port: int,
    ready_file: str | None,
    parent_is_gone: Callable[[], bool] | None,
) -> None:
    with closing(Server(store, host, port, http_port)) as server:
        shown_host = f"[{host}]" if ":" in host else host
        binary = f"{shown_host}:{server.binary_port}"
        http = f"http://{shown_host}:{server.http_port}"
        server.catch_signals()  # before anybody is told that they may be sent
        if ready_file is not None:
            _write_ready_file(ready_file, {"binary": binary, "http": http, "data_dir": store.data_dir})
        print(f"cxdb binary={binary} http={http} data_dir={store.data_dir}", flush=True)  # noqa: T201
        server.run(parent_is_gone)


def _write_ready_file(path: str, facts: dict[str, str]) -> None:
    """Whoever sees the file sees all of it."""
    unfinished = f"{path}.{os.getpid()}.tmp"
    try:
        with open(unfinished, "wb") as file:
            file.write(msgspec.json.encode({**facts, "pid": os.getpid()}) + b"\n")
        os.replace(unfinished, path)
    except OSError as error:
        raise UsageError(f"--ready-file {path}: {error.strerror}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The light entry: argparse instead of click, the same options."""
    import argparse

    parser = argparse.ArgumentParser(prog="cxdb", description="An embedded CXDB server.")
    parser.add_argument("--host", default=DEFAULT_HOST, help=_HELP["host"])
    parser.add_argument("--port", type=int, default=0, help=_HELP["port"])
    parser.add_argument("--http-port", type=int, default=0, help=_HELP["http_port"])
    parser.add_argument("--data-dir", default=DEFAULT_DATA_DIR, help=_HELP["data_dir"])
    parser.add_argument("--forget", action="store_true", help=_HELP["forget"])
    parser.add_argument("--ready-file", help=_HELP["ready_file"])
    parser.add_argument("--die-with-parent", action="store_true", help=_HELP["die_with_parent"])
    parser.add_argument("--parent-pid", type=int, help=_HELP["parent_pid"])
    return serve_command(**vars(parser.parse_args(arguments)))


def _click_command() -> click.Command:
    import click

    @click.command("cxdb", help="Run an embedded CXDB server until it is told to end.")
    @click.option("--host", default=DEFAULT_HOST, show_default=True, help=_HELP["host"])
    @click.option("--port", type=int, default=0, show_default=True, help=_HELP["port"])
    @click.option("--http-port", type=int, default=0, show_default=True, help=_HELP["http_port"])
    @click.option("--data-dir", default=DEFAULT_DATA_DIR, show_default=True, help=_HELP["data_dir"])
    @click.option("--forget", is_flag=True, help=_HELP["forget"])
    @click.option("--ready-file", help=_HELP["ready_file"])
    @click.option("--die-with-parent", is_flag=True, help=_HELP["die_with_parent"])
    @click.option("--parent-pid", type=int, help=_HELP["parent_pid"])
    @click.pass_context
    def command(context: click.Context, /, **options: Any) -> None:
        context.exit(serve_command(**options))

    return command


if TYPE_CHECKING:
    cxdb_command: click.Command


def __getattr__(name: str) -> object:
    if name == "cxdb_command":
        return _click_command()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
