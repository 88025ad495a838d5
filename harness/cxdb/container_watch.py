"""`python -m harness.cxdb.container_watch NAME`: removes a container when the process that owns it is gone.

A small process in a session of its own, with a pipe from the owner as its standard input: whatever ends the owner,
also SIGKILL, the kernel closes the pipe. An owner that has removed the container itself says so first. Until then
nothing is imported that a sleeping process does not need.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from typing import Self

__all__ = ["ContainerWatch", "main"]

REMOVED = b"removed\n"
# An engine may still be making the container when its owner dies, and be slow about it.
LOOKS = 5
BETWEEN_LOOKS_SECONDS = 2.0
STOP_TIMEOUT_SECONDS = 10.0


class ContainerWatch:
    """The owner's end. Start it before the container is made: there must be no moment without a watch."""

    def __init__(self, name: str) -> None:
        from harness.server_child import environment

        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.cxdb.container_watch", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # a pipe of the owner's must not stay open because of this process
            stderr=subprocess.DEVNULL,
            env=environment(),
            cwd="/",
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()

    def dismiss(self) -> None:
        """The container is gone: so is what it was watched for."""
        assert self._process.stdin is not None  # it was asked for above
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(REMOVED)
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main(name: str) -> int:
    """Waits for the owner's end; 0 when no such container is left."""
    if sys.stdin.buffer.read() == REMOVED:
        return 0
    from harness.cxdb.docker_engine import connected, remove_container
    from harness.cxdb.errors import ContainerFailed

    for look in range(LOOKS):
        time.sleep(BETWEEN_LOOKS_SECONDS if look else 0)
        with contextlib.suppress(ContainerFailed), connected() as client:
            if remove_container(client, name):
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
