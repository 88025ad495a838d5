"""`--cxdb` and what goes with it: the same for every command that runs cases."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from harness.cxdb_choice import DEFAULT_BASE_IMAGE, DEFAULT_IMAGE, parse_cxdb

__all__ = ["cxdb_options"]

Command = TypeVar("Command", bound=Callable[..., Any])


def cxdb_options(command: Command) -> Command:
    """Gives a click command the options, and its function one argument of them: `cxdb`, a CxdbChoice."""

    @click.option("--cxdb", metavar="embedded|container|HOST:PORT:HTTP_PORT", help="CXDB to use.  [default: embedded]")
    @click.option("--cxdb-image", metavar="IMAGE|build", help=f"Image of the container.  [default: {DEFAULT_IMAGE}]")
    @click.option("--cxdb-base-image", metavar="IMAGE", help=f"Base of 'build'.  [default: {DEFAULT_BASE_IMAGE}]")
    @functools.wraps(command)
    def wrapped(
        *words: Any, cxdb: str | None, cxdb_image: str | None, cxdb_base_image: str | None, **options: Any
    ) -> Any:
        try:
            choice = parse_cxdb(cxdb, cxdb_image, cxdb_base_image)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        return command(*words, cxdb=choice, **options)

    return wrapped  # type: ignore[return-value]  # a click.Command is made of it, whatever its type
