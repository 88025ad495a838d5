"""`ScriptedProvider`: the scripted provider as a child process, for the matrix and for tests.

A process, never a thread: a hanging answer must not hang the harness, and the whole must be killable.
It cannot outlive its starter, however that ends; ready means it said so, on a pipe that is waited on.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from harness.errors import HarnessError
from harness.provider.script import Answer
from harness.server_child import environment, first_line, parent_arguments

__all__ = ["ProviderNotReady", "ScriptedProvider", "read_notes"]

_READY_LINE = re.compile(r"provider base_url=(?P<base_url>\S+) log=.*\n")
_START_TIMEOUT_SECONDS = 30.0
_STOP_TIMEOUT_SECONDS = 10.0


class ProviderNotReady(HarnessError):
    """The server did not start; with all it printed."""


class ScriptedProvider:
    """A running provider. Use as a context manager, or call `start` and `stop`.

    `scripts` has a list of answers for each provider that is spoken to. `log` None means a temporary file
    that goes away with this object. Attributes while it runs: `base_url` (without a path), `pid`.
    """

    def __init__(self, scripts: Mapping[str, Sequence[Answer]], *, log: Path | None = None) -> None:
        self._scripts = {name: [answer.to_json() for answer in answers] for name, answers in scripts.items()}
        self._temporary = contextlib.ExitStack()
        self._log = log
        self.log = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self.base_url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the running server; RuntimeError when there is none."""
        if self._process is None:
            raise RuntimeError("the scripted provider is not running")
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it is ready; raises ProviderNotReady."""
        if self._process is not None:
            raise RuntimeError(f"the scripted provider is running already, pid {self._process.pid}")
        with contextlib.ExitStack() as stack:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="provider-")))
            self.log = self._log if self._log is not None else place / "requests.ndjson"
            errors = stack.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(
                self._command(place),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(),
                process_group=0,
            )
            assert process.stdout is not None  # it was asked for above
            try:
                with process.stdout as output:
                    self.base_url = _wait_until_ready(process, output, errors)
            except BaseException:
                process.kill()
                process.wait()
                raise
            self._temporary = stack.pop_all()
        self._process = process

    def stop(self) -> int | None:
        """End the server; its exit code, None if none ran. A temporary log is gone then."""
        process, self._process = self._process, None
        if process is None:
            return None
        with self._temporary:
            return _end(process)

    def requests(self) -> list[dict[str, Any]]:
        """All it was asked so far, oldest first: number, at, provider, method, path, headers, body, answer."""
        return [note for note in read_notes(self.log) if "path" in note]

    def turns(self) -> list[dict[str, Any]]:
        """The requests that took an answer of the script."""
        return [request for request in self.requests() if request["answer"] is not None]

    def _command(self, place: Path) -> list[str]:
        script = place / "script.json"
        script.write_text(json.dumps(self._scripts), encoding="utf-8")
        command = [sys.executable, "-P", "-m", "harness.provider", "--script", str(script)]
        return [*command, "--log", str(self.log), *parent_arguments()]


def _end(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    try:
        return process.wait(_STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def read_notes(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log of JSON objects; none when there is no such file."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def _wait_until_ready(process: subprocess.Popen[bytes], output: IO[bytes], errors: IO[bytes]) -> str:
    line, _ = first_line(output, _START_TIMEOUT_SECONDS)
    match = _READY_LINE.fullmatch(line)
    if match is None:
        errors.seek(0)
        printed = (line + errors.read().decode(errors="replace")).strip()
        raise ProviderNotReady(f"the scripted provider did not start: {printed or 'it printed nothing'}")
    return match["base_url"]
