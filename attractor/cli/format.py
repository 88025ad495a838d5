"""`attractor format`: graph files in their canonical layout, in the tradition of gofmt and black.

Rules kept here: all files are read and laid out before the first one is written; a file is replaced whole or not at
all, and never where it has changed in the meantime. Must not know: what the layout is.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from attractor.cli.output import say
from attractor.cli.paths import read_graph
from attractor.errors import MAX_SHOWN_DIAGNOSTICS, UsageError
from attractor.graph import Formatted, format_graph_text

STDIN = "-"
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")


@dataclass(frozen=True, slots=True)
class GraphFile:
    """One file: its name as typed, what it holds and what it should hold."""

    name: str
    content: bytes
    formatted: Formatted

    @property
    def wanted(self) -> bytes:
        """The canonical content; of a file that cannot be read as a graph, its own."""
        return self.content if self.formatted.text is None else self.formatted.text.encode()

    @property
    def is_broken(self) -> bool:
        return self.formatted.text is None

    @property
    def would_change(self) -> bool:
        return self.wanted != self.content


@click.command("format")
@click.argument("graphs", nargs=-1, required=True, metavar="G...")
@click.option("--check", is_flag=True, help="Write nothing; name the files that would change, and exit 1 if any.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
@click.option("--stdout", "to_stdout", is_flag=True, help="Write nothing; print the one file's layout.")
def format_graphs(graphs: tuple[str, ...], check: bool, diff: bool, to_stdout: bool) -> int:
    """Give graph files their canonical layout, in place. `-` reads standard input and prints.

    The graph stays the same, and so do all comments, values and the order of things.
    """
    _refuse_contradictions(graphs, check=check, diff=diff, to_stdout=to_stdout)
    prints = to_stdout or STDIN in graphs
    names = list({os.path.realpath(name): name for name in reversed(graphs)}.values())[::-1]
    if not (check or diff or prints):
        for name in names:
            _require_regular(name)
    files = [_read(name) for name in names]
    for file in files:
        _tell_findings(file)
    if diff:
        for file in files:
            click.echo("".join(_diff(file)), nl=False)
    elif check:
        for file in files:
            if file.would_change:
                click.echo(file.name)
    elif prints:
        if not files[0].is_broken:
            click.echo(files[0].wanted, nl=False)
    elif not _write(files):
        return 2
    failed = any(file.is_broken or (check and file.would_change) for file in files)
    return 1 if failed else 0


def _refuse_contradictions(graphs: Sequence[str], *, check: bool, diff: bool, to_stdout: bool) -> None:
    if STDIN in graphs and len(graphs) > 1:
        raise UsageError("standard input (`-`) cannot be formatted together with files")
    if to_stdout and len(graphs) > 1:
        raise UsageError("--stdout prints one file", hint="name one, or use --diff to see what would change in several")
    if to_stdout and (check or diff):
        raise UsageError(f"--stdout and --{'check' if check else 'diff'} exclude each other")


def _require_regular(name: str) -> None:
    """Replacing a pipe or a device by a file would be no favour."""
    with suppress(OSError):  # what does not exist is told when it is read
        mode = os.stat(name).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise UsageError(f"{name} is not a regular file", hint="pass its content to `attractor format -`")


def _read(name: str) -> GraphFile:
    if name != STDIN:
        content = read_graph(name)
        return GraphFile(name, content, format_graph_text(content, name))
    try:
        with open(0, "rb", closefd=False) as stream:
            content = stream.read()
    except OSError as error:
        raise UsageError(f"cannot read standard input: {error.strerror or error}") from error
    return GraphFile("<stdin>", content, format_graph_text(content, "<stdin>"))


def _tell_findings(file: GraphFile) -> None:
    findings = file.formatted.diagnostics
    for finding in findings[:MAX_SHOWN_DIAGNOSTICS]:
        say(finding.render())
    if file.is_broken:
        say(f"{file.name}: not formatted: {len(findings)} error{'s' * (len(findings) != 1)}")


def _diff(file: GraphFile) -> Iterator[str]:
    before, after = (_lines(content) for content in (file.content, file.wanted))
    for line in difflib.unified_diff(before, after, file.name, file.name):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(content: bytes) -> list[str]:
    """Lines as diff programs see them: a lone CR or a form feed ends none."""
    return [line.decode("utf-8", "replace") for line in _LINE.findall(content)]


def _write(files: Sequence[GraphFile]) -> bool:
    """Replaces what would change; False where a file could not be written, which has been said then."""
    written = True
    for file in files:
        if not file.would_change:
            continue
        try:
            _replace(Path(os.path.realpath(file.name)), file)
        except OSError as error:
            say(f"attractor: error: cannot write {file.name}: {error.strerror or error}")
            written = False
        else:
            say(f"formatted {file.name}")
    return written


def _replace(target: Path, file: GraphFile) -> None:
    """The target's content in one step, with its mode and, where that is permitted, its owner."""
    # Renaming asks only the folder: a file made read-only on purpose has to be asked itself.
    if not os.access(target, os.W_OK):
        raise PermissionError(0, "the file is read-only")
    facts = os.stat(target)
    fd, temporary = tempfile.mkstemp(prefix=".attractor-format-", dir=target.parent)
    try:
        with open(fd, "wb") as stream:
            stream.write(file.wanted)
            stream.flush()
            with suppress(PermissionError):
                os.fchown(fd, facts.st_uid, facts.st_gid)
            os.fchmod(fd, stat.S_IMODE(facts.st_mode))
            os.fsync(fd)
        if target.read_bytes() != file.content:
            raise OSError(0, "it has just been changed by somebody else; nothing was written")
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
