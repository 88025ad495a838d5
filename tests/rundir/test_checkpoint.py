"""The checkpoint pair: whole while small, a log when not, and never anything else than the last saved state."""

import json
from pathlib import Path

import pytest

from attractor.contracts import FailureClass, Finished, Outcome, RunState, Status
from attractor.errors import RunDirectoryError
from attractor.rundir import CheckpointStore, Layout, load_checkpoint


def fresh_state() -> RunState:
    return RunState(run_id="r", base_logs_root="/logs", next_node="start", context={"graph.goal": "g"})


def step(sequence: int, node_id: str = "") -> Finished:
    failed = sequence % 5 == 0
    outcome = (
        Outcome(Status.FAIL, failure_reason="no", failure_class=FailureClass.DETERMINISTIC)
        if failed
        else Outcome(Status.SUCCESS, preferred_label="go", notes=f"note {sequence}")
    )
    changes = {"outcome": outcome.status.value, f"key{sequence % 7}": sequence}
    return Finished(sequence, node_id or f"n{sequence}", outcome, changes, sequence % 3, f"{sequence:040x}", "now")


def saved_run(layout: Layout, count: int, *, limit: int) -> RunState:
    """A state after `count` steps, each saved as the engine saves it, the store left open as a crash leaves it."""
    store, state = CheckpointStore(layout, whole_file_limit=limit), fresh_state()
    store.save(state, None)
    for sequence in range(1, count + 1):
        one = step(sequence)
        state.apply(one)
        store.save(state, one)
    return state


@pytest.mark.parametrize("limit", [0, 700, 1 << 30], ids=["log", "mixed", "whole"])
@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_what_was_saved_is_loaded(tmp_path: Path, limit: int, count: int) -> None:
    state = saved_run(Layout(tmp_path), count, limit=limit)
    assert load_checkpoint(Layout(tmp_path)) == state


def test_a_small_checkpoint_is_one_file(tmp_path: Path) -> None:
    saved_run(Layout(tmp_path), 20, limit=1 << 30)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.json"]


@pytest.mark.spec("11.7.4")
def test_the_checkpoint_has_the_contracts_fields(tmp_path: Path) -> None:
    saved_run(Layout(tmp_path), 3, limit=1 << 30)
    data = json.loads((tmp_path / "checkpoint.json").read_text())
    assert data["current_node"] == "n3"
    assert data["completed_nodes"] == ["n1", "n2", "n3"]
    assert data["git_commit_sha"] == f"{3:040x}"
    contract = "timestamp node_retries node_outcomes context logs restart_count base_logs_root"
    assert set(contract.split()) <= set(data)


def test_a_long_run_writes_an_amount_that_grows_with_its_length_only(tmp_path: Path) -> None:
    written = {}
    for count in (1000, 4000):
        folder = tmp_path / str(count)
        folder.mkdir()
        layout = Layout(folder)
        store, state = CheckpointStore(layout), fresh_state()
        store.save(state, None)
        total = 0
        for sequence in range(1, count + 1):
            before = (layout.checkpoint.stat().st_ino, layout.checkpoint_log.exists())
            one = step(sequence, f"n{sequence}")
            state.apply(one)
            store.save(state, one)
            if layout.checkpoint.stat().st_ino != before[0]:
                total += layout.checkpoint.stat().st_size
        written[count] = total
    assert written[4000] < 6 * written[1000], "rewriting the whole each time would be 16 times"


def test_an_orderly_end_leaves_the_whole_state_in_checkpoint_json_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    state = saved_run(layout, 50, limit=0)
    assert layout.checkpoint_log.exists()
    CheckpointStore(layout).close(state)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.json"]
    assert load_checkpoint(layout) == state


def test_a_torn_log_line_was_never_acknowledged(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    state = saved_run(layout, 10, limit=0)
    with layout.checkpoint_log.open("ab") as log:
        log.write(b'{"sequence":11,"node":"n1')
    assert load_checkpoint(layout) == state


def test_appending_after_a_torn_line_begins_on_a_line_of_its_own(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    state = saved_run(layout, 10, limit=0)
    with layout.checkpoint_log.open("ab") as log:
        log.write(b'{"sequence":11,"node":"n1')
    store = CheckpointStore(layout, whole_file_limit=0)
    for sequence in (11, 12, 13):
        one = step(sequence)
        state.apply(one)
        store.save(state, one)
    assert load_checkpoint(layout) == state


def test_a_crash_between_renewing_the_snapshot_and_clearing_the_log_does_no_harm(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    saved_run(layout, 10, limit=0)
    log = layout.checkpoint_log.read_bytes()
    state = saved_run(layout, 12, limit=1 << 30)
    layout.checkpoint_log.write_bytes(log)
    assert load_checkpoint(layout) == state


def test_a_hole_in_the_log_is_damage(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    saved_run(layout, 10, limit=0)
    lines = layout.checkpoint_log.read_bytes().splitlines(keepends=True)
    assert len(lines) > 2
    layout.checkpoint_log.write_bytes(b"".join(lines[:-2] + lines[-1:]))
    with pytest.raises(RunDirectoryError, match="is missing before step 10"):
        load_checkpoint(layout)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version":1}', b"\xff\xfe", b'{"version":99}'])
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    layout = Layout(tmp_path)
    saved_run(layout, 3, limit=1 << 30)
    layout.checkpoint.write_bytes(content)
    with pytest.raises(RunDirectoryError) as refusal:
        load_checkpoint(layout)
    assert str(layout.checkpoint) in refusal.value.message
    assert layout.checkpoint.read_bytes() == content


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    saved_run(layout, 3, limit=1 << 30)
    data = json.loads(layout.checkpoint.read_text())
    layout.checkpoint.write_text(json.dumps(data | {"version": 2}))
    with pytest.raises(RunDirectoryError, match="format version 2"):
        load_checkpoint(layout)


def test_no_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="there is no checkpoint"):
        load_checkpoint(Layout(tmp_path))
