"""`attractor-harness provider` and `python -m harness.provider`: serve a script until told to end.

Once it is ready, exactly one line goes to standard output, and nothing after it:

    provider base_url=http://127.0.0.1:PORT log=FILE

Exit codes: 0 ended by SIGTERM, SIGINT or the parent's death; 2 wrong usage. The script is TOML or JSON:
a list of answers for each of `openai`, `anthropic` and `google` (docs/scenarios.md has the keys).
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cxdb.parent import parent_watch
from harness.provider.script import Answer
from harness.provider.server import Server

if TYPE_CHECKING:
    import click

__all__ = ["main", "provider_command", "serve_command"]

USAGE = 2


def serve_command(
    *,
    script: str,
    log: str,
    port: int = 0,
    die_with_parent: bool = False,
    parent_pid: int | None = None,
) -> int:
    """Serve until told to end; returns the process's exit code. Prints, see the file's head."""
    try:
        scripts = _read(script)
        parent_is_gone = parent_watch(die_with_parent=die_with_parent, parent_pid=parent_pid)
        server = Server(scripts, log, port)
    except (OSError, ValueError) as problem:
        print(f"provider: {problem}", file=sys.stderr, flush=True)  # noqa: T201 - a command's own output
        return USAGE
    with closing(server):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _leave)
        print(f"provider base_url=http://127.0.0.1:{server.port} log={log}", flush=True)  # noqa: T201
        server.run(parent_is_gone)
    return 0


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def _read(path: str) -> Mapping[str, Sequence[Answer]]:
    """JSON is what the harness passes on, checked already; TOML is a person's, and is read strictly."""
    if path.endswith(".toml"):
        from harness.provider.grammar import read_script

        return read_script(Path(path))
    with open(path, "rb") as file:
        data: dict[str, Any] = json.load(file)
    try:
        return {provider: [Answer(**answer) for answer in answers] for provider, answers in data.items()}
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The light entry: argparse instead of click, the same options and those for a starter."""
    import argparse

    parser = argparse.ArgumentParser(prog="provider", description="A scripted model provider on loopback.")
    parser.add_argument("--script", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--die-with-parent", action="store_true")
    parser.add_argument("--parent-pid", type=int)
    return serve_command(**vars(parser.parse_args(arguments)))


def _click_command() -> click.Command:
    import click

    @click.command("provider", help="Answer agent programs on loopback as a SCRIPT (TOML or JSON) says.")
    @click.argument("script", type=click.Path(exists=True, dir_okay=False))
    @click.option("--port", type=int, default=0, show_default=True, help="0 picks a free one.")
    @click.option("--log", default="provider.ndjson", show_default=True, help="All requests, one a line.")
    @click.pass_context
    def command(context: click.Context, /, **options: Any) -> None:
        context.exit(serve_command(**options))

    return command


if TYPE_CHECKING:
    provider_command: click.Command


def __getattr__(name: str) -> object:
    if name == "provider_command":
        return _click_command()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
