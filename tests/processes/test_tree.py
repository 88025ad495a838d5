"""Which processes carry a run's token, also while they become another program."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from attractor.processes import tree

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
AGAIN = '[ "$1" -gt 0 ] && exec /bin/sh -c "$2" sh $(($1-1)) "$2"'


@needs_proc
def test_a_process_in_the_middle_of_exec_is_not_passed_over() -> None:
    """At that moment it has no environment to show."""
    environment = {"PATH": os.environ["PATH"], "TOKEN": "mine"}
    seen = []
    with subprocess.Popen(["/bin/sh", "-c", AGAIN, "sh", "1500", AGAIN], env=environment) as process:
        while process.poll() is None:
            seen.append(tree._environment_has(process.pid, b"TOKEN=mine"))
    assert len(seen) > 100
    assert seen.count(False) <= 2, "the last looks may have met it when it had ended"


@needs_proc
def test_one_without_an_environment_is_not_waited_for() -> None:
    with subprocess.Popen(["/bin/sleep", "60"], env={}) as process:
        try:
            began = time.monotonic()
            assert [tree._environment_has(process.pid, b"TOKEN=mine") for _ in range(100)] == [False] * 100
            assert time.monotonic() - began < 100 * tree.EXEC_LOOKS * tree.EXEC_LOOK_SECONDS / 2
        finally:
            process.kill()


@needs_proc
@pytest.mark.parametrize("pid", [2, 1 << 22], ids=["the kernel's", "nobody"])
def test_what_has_no_memory_carries_nothing(pid: int) -> None:
    if pid == 2 and Path("/proc/2/comm").read_text() != "kthreadd\n":
        pytest.skip("process 2 is not the kernel's here")
    assert tree._environment_end(pid) is None
    assert not tree._environment_has(pid, b"TOKEN=mine")
