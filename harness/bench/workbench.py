"""Where the measuring happens: one temporary directory, one clean environment, one CXDB, and nothing left of them.

Rules: everything started from here carries the benchmark's marker in its environment and is ended with the
workbench, whatever it did to its own session; every measurement has a folder of its own.
Only loopback is used. Knows how to start things, not what is worth measuring.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.bench.children import Child, Finished, MeasureError
from harness.cxdb import CxdbError, EmbeddedCxdb
from harness.engines import default_engine
from harness.processes import (
    CASE_MARKER,
    OWNER_MARKER,
    clean_environment,
    end_all,
    marked_processes,
    owner_mark,
    sweep_orphans,
)

__all__ = ["PEER_SCRIPTS", "SOURCE_ROOT", "CxdbAddress", "Workbench"]

CxdbAddress = Mapping[str, str]  # binary_addr, http_base_url: as in a run configuration
PEER_SCRIPTS = Path(__file__).with_name("peers")
SOURCE_ROOT = Path(__file__).resolve().parents[2]


class Workbench:
    """A context manager. `cxdb` None means a server of our own, started when first asked for."""

    def __init__(self, *, cxdb: CxdbAddress | None, peers_python: str) -> None:
        self.peers_python = peers_python
        self.engine = default_engine()
        self._cxdb = cxdb
        self._stack = contextlib.ExitStack()
        self._case = f"bench-{os.getpid()}"
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self._root = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="attractor-bench-"))).resolve()
        self._stack.callback(self._end_leftovers)
        sweep_orphans()  # of a benchmark that was killed: they would be measured as noise
        home = self._root / "home"
        home.mkdir()
        marker = {CASE_MARKER: self._case, OWNER_MARKER: owner_mark(), "LANGSMITH_TRACING": "false"}
        self.environment = clean_environment(marker, home, self._root)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _end_leftovers(self) -> None:
        end_all(lambda: marked_processes(self._case))
        sweep_orphans()  # what a matrix that had to be killed has left

    @property
    def root(self) -> Path:
        return self._root

    def cxdb(self) -> CxdbAddress:
        """Of the server runs write to; MeasureError when ours does not start."""
        if self._cxdb is None:
            try:
                server = self._stack.enter_context(EmbeddedCxdb())
            except CxdbError as error:
                raise MeasureError(f"the embedded CXDB did not start: {error}") from error
            self._cxdb = {"binary_addr": server.binary_addr, "http_base_url": server.http_base_url}
        return self._cxdb

    @contextlib.contextmanager
    def folder(self) -> Iterator[Path]:
        """Kept until the end: ext4 will not give out again what was deleted within the last minutes, and looks
        at each such inode whenever a file is made, so that removing one run here would slow down the next.
        """
        path = self._root / f"m{next(self._numbers)}"
        path.mkdir()
        try:
            yield path
        finally:
            end_all(lambda: marked_processes(self._case))  # a killed engine's tool may still be at work

    def start_engine(self, folder: Path, *arguments: str) -> Child:
        return self.start(
            f"attractor {arguments[0]}",
            [*self.engine.command, *arguments],
            folder,
            environment={**self.environment, **self.engine.environment},
        )

    def start(
        self,
        name: str,
        argv: Sequence[str],
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        bare: bool = False,
    ) -> Child:
        output = folder / f"output-{next(self._numbers)}"
        return Child(name, argv, cwd=folder, environment=environment or self.environment, output=output, bare=bare)

    def finish(
        self,
        name: str,
        argv: Sequence[str],
        folder: Path,
        *,
        bound_seconds: float,
        environment: Mapping[str, str] | None = None,
        bare: bool = False,
    ) -> Finished:
        """Start it and wait for its end; it may have gone wrong, see `Finished.must_be`."""
        with self.start(name, argv, folder, environment=environment, bare=bare) as child:
            return child.wait(bound_seconds)

    def harness_environment(self) -> dict[str, str]:
        """The user's own, for a harness in a process of its own: it cleans for itself, and it must be found."""
        path = os.pathsep.join(filter(None, [str(SOURCE_ROOT), os.environ.get("PYTHONPATH")]))
        return {**os.environ, "PYTHONPATH": path, "TMPDIR": str(self._root), OWNER_MARKER: owner_mark()}

    def console_script(self, name: str) -> list[str] | None:
        """The installed command beside this interpreter; None where there is none."""
        script = Path(sys.executable).with_name(name)
        return [str(script)] if script.is_file() else None
