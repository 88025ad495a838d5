"""A small disk of its own for one directory, so that "the disk is full" can be had without filling the machine's.

A tmpfs, mounted by a child that waits for our end of a pipe to close and then takes it away again; so it is also gone
when the harness is killed.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HarnessError
from harness.server_child import first_line

__all__ = ["small_disk"]

# In a session of its own: a Ctrl+C at the terminal must not end the one who cleans up.
_KEEPER = """\
mount -t tmpfs -o "size=$1,mode=0755" attractor-harness "$2" || exit 1
echo mounted
read -r _
umount "$2" || umount --lazy "$2"
"""
SECONDS = 10.0


@contextlib.contextmanager
def small_disk(directory: Path, size: str) -> Iterator[None]:
    """For the time of the block, `directory` is a disk of that size ("2m"). Raises HarnessError where it cannot be."""
    try:
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "disk", size, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise HarnessError(f"no disk for {directory}: {error}") from error
    assert keeper.stdin is not None, "a pipe"
    assert keeper.stdout is not None, "a pipe"
    try:
        said, _ = first_line(keeper.stdout, SECONDS)
        if said.strip() != "mounted":
            raise HarnessError(f"no disk for {directory}: {said.strip() or 'mount did not answer'}")
        yield
    finally:
        keeper.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            keeper.wait(SECONDS)
        keeper.stdout.close()
    if os.path.ismount(directory):
        raise HarnessError(f"the disk at {directory} could not be taken away: something still uses it")
