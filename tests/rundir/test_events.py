"""progress.ndjson: every event whole, numbered without a gap, also behind a crash."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attractor.contracts import EventName
from attractor.errors import RunDirectoryError
from attractor.rundir import EventLog, Layout, last_event, read_events, rfc3339


def emitted(layout: Layout, count: int) -> EventLog:
    log = EventLog(layout, "r")
    for number in range(count):
        log.emit(EventName.STAGE_HEARTBEAT, node_id=f"n{number}", nothing=None)
    return log


def test_events_are_numbered_and_carry_their_fields(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    emitted(layout, 2).close()
    first, second = read_events(layout.progress)
    assert (first["seq"], second["seq"]) == (1, 2)
    assert (first["run_id"], first["event"], first["node_id"]) == ("r", "stage_heartbeat", "n0")
    assert "nothing" not in first


def test_a_new_life_goes_on_where_the_last_one_stopped_and_cuts_a_torn_line(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    emitted(layout, 3).close()
    with layout.progress.open("ab") as stream:
        stream.write(b'{"seq":4,"ev')
    assert [event["seq"] for event in read_events(layout.progress)] == [1, 2, 3]
    emitted(layout, 2).close()
    assert [event["seq"] for event in read_events(layout.progress)] == [1, 2, 3, 4, 5]
    assert layout.progress.read_bytes().endswith(b"\n")


def test_the_newest_event_is_found_however_long_its_line(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    log = emitted(layout, 3)
    log.emit(EventName.SETUP_COMMAND, command="x" * 300_000)
    log.close()
    newest = last_event(layout.progress)
    assert newest is not None
    assert (newest["seq"], len(newest["command"])) == (4, 300_000)


def test_no_log_has_no_events(tmp_path: Path) -> None:
    assert last_event(tmp_path / "progress.ndjson") is None
    assert list(read_events(tmp_path / "progress.ndjson")) == []


def test_a_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    emitted(layout, 2).close()
    with layout.progress.open("ab") as stream:
        stream.write(b"garbage\n")
    with pytest.raises(RunDirectoryError, match="line 3 is not an event"):
        list(read_events(layout.progress))


def test_live_json_is_the_last_event_once_the_run_has_ended(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    log = emitted(layout, 50)
    log.emit(EventName.RUN_COMPLETED, status="success")
    log.close()
    assert json.loads(layout.live.read_text()) == last_event(layout.progress)


def test_a_restarts_folder_gets_the_events_of_its_time(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.restart(1).root.mkdir()
    log = emitted(layout, 2)
    log.mirror_into(layout.restart(1))
    log.emit(EventName.LOOP_RESTART, to="a")
    log.close()
    assert [event["seq"] for event in read_events(layout.progress)] == [1, 2, 3]
    assert [event["seq"] for event in read_events(layout.restart(1).progress)] == [3]


def test_listeners_hear_an_event_after_it_is_in_the_file(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    heard = []
    log = EventLog(layout, "r")
    log.listen(lambda event, line: heard.append(layout.progress.read_bytes() == line + b"\n"))
    log.emit(EventName.RUN_STARTED)
    log.close()
    assert heard == [True]


def test_times_sort_as_text() -> None:
    assert rfc3339(datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)) == "2026-01-02T03:04:05.000006Z"
