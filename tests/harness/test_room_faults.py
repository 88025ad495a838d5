"""Faults that take room away or change the repository: done for real, and proven only where they were."""

from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from harness.disks import small_disk
from harness.faults import FAULTS, Scene
from harness.faults.room import FILLER
from harness.needs import lacking
from harness.processes import ProcessIdentity, identify, unprivileged, until
from harness.repos import Git, make_repository
from harness.results import FaultRecord
from harness.scenario import FaultKind, FaultStep, Need, RepoSpec

needs_mount = pytest.mark.skipif(bool(lacking([Need.MOUNT])), reason=lacking([Need.MOUNT]))
needs_capabilities = pytest.mark.skipif(bool(lacking([Need.CAPABILITIES])), reason=lacking([Need.CAPABILITIES]))


@dataclasses.dataclass
class Place:
    """As much of a case as these faults look at."""

    folder: Path
    program: Git | None = None
    victim: ProcessIdentity | None = None

    def in_logs_root(self, _run: str, path: str) -> Path:
        return self.folder / path

    def text(self, text: str, _run: str) -> str:
        return text

    def git(self) -> Git:
        assert self.program is not None
        return self.program

    def engine(self, _run: str) -> ProcessIdentity | None:
        return self.victim


def harm(kind: FaultKind, place: Place, target: str = ".", args: tuple[str, ...] = ()) -> FaultRecord:
    return FAULTS[kind](FaultStep(kind=kind, target=target, args=args), cast(Scene, place))


@needs_mount
def test_a_small_disk_is_full_when_it_is_filled_and_gone_afterwards(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", "1m"):
        record = harm(FaultKind.FILL, Place(tmp_path), "disk")
        assert record.fired, record.proof
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            (tmp_path / "disk" / "more").write_bytes(b"x")
        (tmp_path / "disk" / FILLER).unlink()
        (tmp_path / "disk" / "more").write_bytes(b"x")
    assert not os.path.ismount(tmp_path / "disk")
    assert list((tmp_path / "disk").iterdir()) == []


@needs_mount
def test_a_small_disk_does_not_outlive_a_killed_harness(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from harness.disks import small_disk\n"
        "with small_disk(pathlib.Path(sys.argv[1]), '1m'):\n    print('there', flush=True); sys.stdin.read()"
    )
    harness = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with harness:
        assert harness.stdout is not None
        assert harness.stdout.readline() == b"there\n"
        assert os.path.ismount(tmp_path)
        harness.kill()
    assert until(lambda: not os.path.ismount(tmp_path), 10)


@needs_capabilities
def test_a_protected_directory_cannot_be_written_to_until_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").touch()

    def can(command: str) -> bool:
        argv = unprivileged(["/bin/sh", "-c", command])
        return subprocess.run(argv, cwd=tmp_path, capture_output=True, check=False).returncode == 0

    assert harm(FaultKind.PROTECT, Place(tmp_path)).fired
    assert not can("echo > inner/other")
    assert not can("echo > inner/file")
    assert harm(FaultKind.UNPROTECT, Place(tmp_path)).fired
    assert can("echo > inner/other && echo > inner/file")


def test_a_limit_on_memory_is_one_that_the_kernel_knows(tmp_path: Path) -> None:
    program = (
        "print('there', flush=True); input()\n"
        "try:\n    bytearray(1 << 28); print('had it')\nexcept MemoryError: print('none')"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"there\n"
        record = harm(FaultKind.LIMIT, Place(tmp_path, victim=identify(victim.pid)), "memory")
        said, _ = victim.communicate(b"\n", timeout=30)
    assert record.fired
    assert said == b"none\n"


def test_a_limit_on_nobody_has_not_fired(tmp_path: Path) -> None:
    assert not harm(FaultKind.LIMIT, Place(tmp_path), "memory").fired


@pytest.mark.parametrize(
    ("args", "fired"),
    [
        (("branch", "other"), True),
        (("tag", "one"), True),
        (("checkout", "--quiet", "--detach"), True),
        (("config", "a.b", "c"), True),
        (("status",), False),
        (("branch", "-D", "nothing"), False),
    ],
)
def test_git_has_fired_where_the_repository_is_another_one_then(
    tmp_path: Path, args: tuple[str, ...], fired: bool
) -> None:
    git = make_repository(tmp_path / "repo", RepoSpec())
    record = harm(FaultKind.GIT, Place(tmp_path, git), " ".join(args), args)
    assert record.fired is fired, record.proof
