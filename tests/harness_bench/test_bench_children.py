"""Children: measured by the kernel's account, bounded, and ended with the block that started them."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest

from harness.bench.children import Child, MeasureError


def child(tmp_path: Path, script: str, *, bare: bool = False) -> Child:
    argv = [sys.executable, "-c", script]
    return Child("sample", argv, cwd=tmp_path, environment=dict(os.environ), output=tmp_path / "o", bare=bare)


@pytest.mark.parametrize("bare", [False, True])
def test_a_child_is_measured(tmp_path: Path, bare: bool) -> None:
    script = "import time\nb = bytearray(300_000_000)\nwhile time.process_time() < 0.3: pass\nprint('out')"
    with child(tmp_path, script, bare=bare) as started:
        done = started.wait(60).must_be(0)
    assert done.stdout == "out\n"
    assert 0.3 <= done.cpu_seconds < 5
    assert done.wall_seconds >= 0.3
    assert 300 <= done.peak_mb < 400


def test_what_a_child_waited_for_counts_as_its_cpu(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    with child(tmp_path, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])") as started:
        assert started.wait(60).must_be(0).cpu_seconds >= 0.3


def test_a_child_that_hangs_is_killed_and_named(tmp_path: Path) -> None:
    with (
        child(tmp_path, "import time; print('waiting', flush=True); time.sleep(600)") as started,
        pytest.raises(MeasureError, match="sample: still running after 1 s"),
    ):
        started.wait(1).must_be(0)


def test_a_child_that_fails_is_quoted(tmp_path: Path) -> None:
    with (
        child(tmp_path, "import sys; sys.exit('no\\n  way')") as started,
        pytest.raises(MeasureError, match="sample: exit 1: no way"),
    ):
        started.wait(60).must_be(0)


def test_a_child_does_not_outlive_its_block(tmp_path: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt), child(tmp_path, "import time; time.sleep(600)") as started:
        assert not started.has_ended()
        raise KeyboardInterrupt
    with pytest.raises(ChildProcessError):  # ended and reaped: there is nothing left to ask about
        started.has_ended()


def test_a_command_that_is_not_there_cannot_be_measured(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match="cannot start /nonexistent"):
        Child("sample", ["/nonexistent"], cwd=tmp_path, environment={}, output=tmp_path / "o", bare=True)
