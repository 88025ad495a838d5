"""`EmbeddedCxdb`: a CXDB server as a child process, for the matrix and for tests.

A process, never a thread: faults are injected into it (SIGKILL, SIGSTOP, restart), and those are process
faults. Rules:

- It cannot outlive its starter, however that ends: the server watches its parent (see parent.py), and it
  has a process group of its own in the starter's session, so that the kernel hangs up on it (SIGHUP, then
  SIGCONT) if the starter dies while it is stopped.
- Ready means the server said so, on a pipe that is waited on; nothing here polls.
- Every wait has a bound, and a start that fails shows all the server printed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from harness.cxdb.errors import ServerNotReady
from harness.processes import is_stopped
from harness.server_child import environment, first_line, parent_arguments

__all__ = ["EmbeddedCxdb"]

_READY_LINE = re.compile(r"cxdb binary=(?P<binary>\S+) http=(?P<http>\S+) data_dir=.*\n")
_START_TIMEOUT_SECONDS = 30.0
_STOP_TIMEOUT_SECONDS = 10.0


class EmbeddedCxdb:
    """A running CXDB. Use as a context manager, or call `start` and `stop`.

    `data_dir` None means a temporary one that goes away with this object. Ports 0 are picked once and
    kept across `restart`. Attributes while it runs: `binary_addr` ("127.0.0.1:PORT"), `http_base_url`,
    `data_dir`, `pid`.
    """

    def __init__(
        self,
        data_dir: Path | str | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        http_port: int = 0,
        forget: bool = False,
        start_timeout_seconds: float = _START_TIMEOUT_SECONDS,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="cxdb-") if data_dir is None else None
        self.data_dir = Path(self._temporary.name if self._temporary else data_dir or "").resolve()
        self._host = host
        self._ports = (port, http_port)
        self._forget = forget
        self._start_timeout_seconds = start_timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self.binary_addr = ""
        self.http_base_url = ""

    # --- life ---

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._remove_temporary()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            self._remove_temporary()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the running server; RuntimeError when there is none."""
        if self._process is None:
            raise RuntimeError("the embedded CXDB is not running")
        return self._process.pid

    @property
    def label(self) -> str:
        return f"pid {self.pid}"

    def stands_still(self) -> bool:
        """The kernel's word."""
        return self._process is not None and is_stopped(self._process.pid)

    def log(self, since: float | None = None) -> str:
        """Nothing: what it prints at its start is in the error if that fails, and later it prints nothing."""
        return ""

    def start(self) -> None:
        """Start the server and wait until both ports answer; raises ServerNotReady."""
        if self.is_running:
            raise RuntimeError(f"the embedded CXDB is running already, pid {self.pid}")
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(),
                process_group=0,
            )
            assert process.stdout is not None  # it was asked for above
            try:
                with process.stdout as output:
                    self._wait_until_ready(process, output, errors)
            except BaseException:
                _kill(process)
                raise
        self._process = process

    def stop(self) -> int | None:
        """End the server in an orderly way, by force after 10 s; its exit code, None if none ran.

        A negative code is the signal that ended it.
        """
        process, self._process = self._process, None
        if process is None:
            return None
        with suppress(ProcessLookupError):
            process.terminate()
            process.send_signal(signal.SIGCONT)  # a stopped process would never see the first
        try:
            return process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return _kill(process)

    def kill(self) -> None:
        """SIGKILL the server and wait until it is gone. `start` brings it back with the data it wrote."""
        process, self._process = self._process, None
        if process is not None:
            _kill(process)

    def restart(self, *, forget: bool = False) -> None:
        """Stop if running, then start on the same ports, with the same data unless told to forget them."""
        self.stop()
        once, self._forget = self._forget, forget
        try:
            self.start()
        finally:
            self._forget = once

    def start_empty(self) -> None:
        """Start after a `kill` as the real server does: it knows nothing of what there was."""
        self.restart(forget=True)

    def pause(self) -> None:
        """SIGSTOP, and wait until it has stopped: the kernel accepts connections, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """SIGCONT: what piled up meanwhile is served."""
        os.kill(self.pid, signal.SIGCONT)

    # --- starting ---

    def _command(self) -> list[str]:
        command = [sys.executable, "-P", "-m", "harness.cxdb", "--host", self._host]
        command += ["--port", str(self._ports[0]), "--http-port", str(self._ports[1])]
        command += ["--data-dir", str(self.data_dir), *parent_arguments()]
        return [*command, "--forget"] if self._forget else command

    def _wait_until_ready(self, process: subprocess.Popen[bytes], output: IO[bytes], errors: IO[bytes]) -> None:
        line, has_ended = first_line(output, self._start_timeout_seconds)
        match = _READY_LINE.fullmatch(line)
        if match is None:
            code = process.wait(_STOP_TIMEOUT_SECONDS) if has_ended else None
            errors.seek(0)
            printed = line + errors.read().decode(errors="replace")
            raise ServerNotReady(code, self._start_timeout_seconds, printed)
        self.binary_addr = match["binary"]
        self.http_base_url = match["http"]
        self._ports = (_port(self.binary_addr), _port(self.http_base_url))

    def _remove_temporary(self) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _kill(process: subprocess.Popen[bytes]) -> int:
    process.kill()
    return process.wait()
