"""One owner at a time, and a dead owner is none."""

import fcntl
import os
import pwd
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from attractor.errors import RunDirectoryError
from attractor.rundir import Layout, acquire, is_held, living_owner, process_start_time, read_owner, runs_home

HOLDER = """
import sys
from pathlib import Path
from attractor.rundir import Layout, acquire
lock = acquire(Layout(Path(sys.argv[1])))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Another process that owns the run, until its standard input closes or it is killed."""
    argv = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_owner_is_refused_and_told_who_holds(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(RunDirectoryError, match=f"in use by process {holder.pid} on "):
        acquire(Layout(tmp_path))


def test_a_living_owner_is_seen(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    owner = living_owner(Layout(tmp_path))
    assert owner is not None
    assert owner.pid == holder.pid
    assert (tmp_path / "run.pid").read_text() == f"{holder.pid}\n"


def test_sigkill_gives_the_run_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert not is_held(Layout(tmp_path))
    assert living_owner(Layout(tmp_path)) is None
    acquire(Layout(tmp_path)).release()


def test_a_child_process_does_not_keep_the_lock_alive(tmp_path: Path) -> None:
    lock = acquire(Layout(tmp_path))
    with subprocess.Popen(["sleep", "60"]) as child:
        lock.release()
        assert not is_held(Layout(tmp_path))
        child.kill()


@contextmanager
def held_in_a_dead_owner_s_name(layout: Layout) -> Iterator[int]:
    """The descriptor of the lock, which is held by somebody else than the file says."""
    layout.lock.write_text('{"pid":1,"start_time":1.0,"host":"far"}\n')
    with layout.lock.open("rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def test_what_a_dead_owner_was_about_to_start_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its fork and its other program a child has the lock, too: a kill just then leaves it there a while."""
    monkeypatch.setattr("attractor.rundir.owner.HOLDER_SECONDS", 30.0)
    layout = Layout(tmp_path)
    with held_in_a_dead_owner_s_name(layout) as lock:
        child = subprocess.Popen(["sleep", "0.2"], pass_fds=[lock])
    assert is_held(layout)
    acquire(layout).release()
    child.wait()


def test_a_lock_that_nobody_known_keeps_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attractor.rundir.owner.HOLDER_SECONDS", 0.05)
    layout = Layout(tmp_path)
    with held_in_a_dead_owner_s_name(layout), pytest.raises(RunDirectoryError, match="in use by process 1 on far"):
        acquire(layout)


def test_a_pid_that_another_process_has_now_is_not_the_owner(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    lock = acquire(layout)
    owner = lock.owner
    changed = msgspec.structs.replace(owner, start_ticks=owner.start_ticks + 1, start_time=owner.start_time + 100)
    layout.lock.write_bytes(msgspec.json.encode(changed))
    assert is_held(layout)
    assert living_owner(layout) is None
    lock.release()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_clock_that_was_set_does_not_make_the_owner_a_stranger(tmp_path: Path) -> None:
    # Start times in seconds are counted from the boot time, which moves with the clock; ticks since boot do not.
    layout = Layout(tmp_path)
    lock = acquire(layout)
    moved = msgspec.structs.replace(lock.owner, start_time=lock.owner.start_time + 3600)
    layout.lock.write_bytes(msgspec.json.encode(moved))
    assert living_owner(layout) == moved
    lock.release()


def test_a_lock_file_of_an_older_version_is_understood(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    lock = acquire(layout)
    started = process_start_time(os.getpid())
    layout.lock.write_text(f'{{"pid":{os.getpid()},"start_time":{started},"host":"h"}}')
    assert living_owner(layout) is not None
    lock.release()


def test_a_lock_file_left_by_a_dead_host_does_not_hold(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.lock.write_text('{"pid":1,"start_time":1.0,"host":"gone"}\n')
    assert not is_held(layout)
    lock = acquire(layout)
    owner = read_owner(layout)
    assert owner is not None
    assert owner.pid == os.getpid()
    lock.release()


@pytest.mark.parametrize(
    ("environment", "home"),
    [
        ({"HOME": "/home/u"}, "/home/u/.local/state/attractor/runs"),
        ({"HOME": "/home/u", "XDG_STATE_HOME": "/state"}, "/state/attractor/runs"),
        ({}, f"{pwd.getpwuid(os.getuid()).pw_dir}/.local/state/attractor/runs"),
        ({"HOME": "/home/u", "XDG_STATE_HOME": "relative"}, "/home/u/.local/state/attractor/runs"),
    ],
)
def test_runs_live_in_the_state_folder(environment: dict[str, str], home: str) -> None:
    assert str(runs_home(environment)) == home


@pytest.mark.parametrize("before", [b"", b'{"pid": 1, "start_time": 1.0, "host": "h", "start_ticks": 1}\n'])
def test_a_holder_that_has_not_written_itself_down_yet_is_waited_for(tmp_path: Path, before: bytes) -> None:
    layout = Layout(tmp_path)
    acquire(layout).release()
    mine = layout.lock.read_bytes()
    layout.lock.write_bytes(before)
    held = os.open(layout.lock, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    writes = threading.Timer(0.1, lambda: layout.lock.write_bytes(mine))
    writes.start()
    try:
        with pytest.raises(RunDirectoryError, match=f"in use by process {os.getpid()} on"):
            acquire(layout)
    finally:
        writes.join()
        os.close(held)
