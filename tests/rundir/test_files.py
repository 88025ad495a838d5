"""Lines and files when the disk says no: nothing torn stays behind, and what was not written is not counted."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from attractor.contracts import EventName
from attractor.errors import RunDirectoryError
from attractor.rundir import EventLog, Layout, last_event, make_own_directory, read_events, write_atomic

# A file size limit fails a write as a full disk does: the first part is written, then an error comes.
LIMITED = """
import resource, sys
from pathlib import Path
from attractor.contracts import EventName
from attractor.errors import RunDirectoryError
from attractor.rundir import EventLog, Layout

layout = Layout(Path(sys.argv[1]))
log = EventLog(layout, "r")
heard = []
log.listen(lambda event, line: heard.append(event["seq"]))
log.emit(EventName.SETUP_COMMAND, command="x" * 500)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        log.emit(EventName.SETUP_COMMAND, command="y" * 500)
    except RunDirectoryError as error:
        print(error.message)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.emit(EventName.SETUP_COMMAND, command="z" * 500)
log.close()
print(heard)
"""


def test_a_write_that_fails_half_way_leaves_no_torn_line_and_no_gap(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    first, second, heard = done.stdout.splitlines()
    assert first == second == f"cannot write {tmp_path}/progress.ndjson: File too large"
    events = [json.loads(line) for line in (tmp_path / "progress.ndjson").read_text().splitlines()]
    assert [(event["seq"], event["command"][0]) for event in events] == [(1, "x"), (2, "z")]
    assert heard == "[1, 2]"


def test_live_json_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.live.mkdir()
    log = EventLog(layout, "r")
    heard: list[int] = []
    log.listen(lambda event, _line: heard.append(event["seq"]))
    log.emit(EventName.RUN_STARTED)
    log.emit(EventName.RUN_COMPLETED, status="success")
    log.close()
    newest = last_event(layout.progress)
    assert newest is not None
    assert (newest["event"], heard) == ("run_completed", [1, 2])


def test_an_event_in_the_file_is_heard_although_its_copy_could_not_be_written(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.restart(1).root.mkdir()
    log = EventLog(layout, "r")
    log.mirror_into(layout.restart(1))
    full = os.open("/dev/full", os.O_WRONLY)
    (copy,) = (fd for fd in map(int, os.listdir("/proc/self/fd")) if _names(fd, layout.restart(1).progress))
    os.dup2(full, copy)
    os.close(full)
    heard: list[int] = []
    log.listen(lambda event, _line: heard.append(event["seq"]))
    with pytest.raises(RunDirectoryError, match="No space left"):
        log.emit(EventName.RUN_STARTED)
    log.close()
    assert heard == [1]


def _names(fd: int, path: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{fd}") == str(path)
    except OSError:
        return False


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_of_the_runs_own_is_neither_written_nor_waited_for(tmp_path: Path, kind: str) -> None:
    layout = Layout(tmp_path)
    (tmp_path / "somebodys").write_text("theirs")
    {
        "link": lambda: layout.progress.symlink_to(tmp_path / "somebodys"),
        "pipe": lambda: os.mkfifo(layout.progress),
        "folder": layout.progress.mkdir,
    }[kind]()
    with pytest.raises(RunDirectoryError, match=r"cannot write .*progress\.ndjson"):
        EventLog(layout, "r")
    if kind != "link":
        with pytest.raises(RunDirectoryError, match=r"cannot read .*progress\.ndjson"):
            list(read_events(layout.progress))
    assert (tmp_path / "somebodys").read_text() == "theirs"


def test_a_folder_that_a_link_leads_out_of_is_no_folder_of_the_runs(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    run.mkdir()
    outside.mkdir()
    (run / "parallel.d").symlink_to(outside)
    with pytest.raises(RunDirectoryError, match=r"parallel\.d is not a folder of the run"):
        make_own_directory(run / "parallel.d" / "fan" / "1", run)
    assert list(outside.iterdir()) == []
    make_own_directory(run / "artifacts" / "deep", run)
    assert (run / "artifacts" / "deep").is_dir()


def test_a_replacement_that_fails_leaves_the_old_content_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(RunDirectoryError, match="File too large"):
            write_atomic(path, b"new" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
