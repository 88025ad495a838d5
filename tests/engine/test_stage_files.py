"""Which of a stage's files are named by events: what says more than they do, and nothing that a stage has planted."""

import os
from pathlib import Path

import pytest
from blake3 import blake3

from attractor.contracts import Redactor
from attractor.engine.stage import EVENT_OUTPUT_CHARACTERS, MOST_KEPT_FILES, stage_files
from tests.app.runs import run

MORE = EVENT_OUTPUT_CHARACTERS + 1
NOTHING_SECRET = Redactor({})


def test_only_what_is_larger_than_events_hold_is_named_with_its_hash(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_bytes(b"x" * MORE)
    (tmp_path / "stderr.log").write_bytes(b"x" * EVENT_OUTPUT_CHARACTERS)
    (tmp_path / "status.json").write_bytes(b"x" * MORE)
    (tmp_path / "attempts" / "1").mkdir(parents=True)
    (tmp_path / "attempts" / "1" / "stdout.log").write_bytes(b"x" * MORE)
    assert (stage_files(tmp_path, NOTHING_SECRET)) == [
        {
            "name": "stdout.log",
            "size_bytes": MORE,
            "blake3": blake3(b"x" * MORE).hexdigest(),
            "path": str(tmp_path / "stdout.log"),
        }
    ]


def test_links_and_pipes_are_passed_over(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"x" * MORE)
    stage_dir = tmp_path / "stage"
    stage_dir.mkdir()
    (stage_dir / "link").symlink_to(outside)
    os.mkfifo(stage_dir / "pipe")
    assert (stage_files(stage_dir, NOTHING_SECRET)) == []


def test_a_folder_that_is_gone_has_no_files(tmp_path: Path) -> None:
    assert (stage_files(tmp_path / "gone", NOTHING_SECRET)) == []


def test_what_is_too_large_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attractor.engine.stage.MAX_KEPT_BYTES", MORE)
    (tmp_path / "small").write_bytes(b"x" * MORE)
    (tmp_path / "large").write_bytes(b"x" * (MORE + 1))
    assert [file["name"] for file in stage_files(tmp_path, NOTHING_SECRET)] == ["small"]


def test_each_attempt_of_a_run_names_its_own(repo: Path) -> None:
    ran = run(repo, 'a [tool_command="seq 1 $((200 * ATTRACTOR_ATTEMPT)); exit 1", max_retries=1] start -> a -> exit')
    told = [(event["attempt"], event["name"]) for event in ran.events("artifact_stored")]
    assert told == [(1, "stdout.log"), (1, "tool_output.txt")]


def test_one_that_cannot_be_read_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"x" * MORE)
    real = Path.lstat
    monkeypatch.setattr(Path, "lstat", lambda path: real(tmp_path / "gone" if path.name == "a" else path))
    assert [file["name"] for file in stage_files(tmp_path, NOTHING_SECRET)] == ["b", "c"]


def test_there_is_an_end_to_how_many(tmp_path: Path) -> None:
    for number in range(MOST_KEPT_FILES + 5):
        (tmp_path / f"{number:03}").write_bytes(b"x" * MORE)
    assert len(stage_files(tmp_path, NOTHING_SECRET)) == MOST_KEPT_FILES


def test_one_that_a_secret_has_come_into_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "late.log").write_bytes(b"x" * MORE + b"hunter22hunter22")
    (tmp_path / "stdout.log").write_bytes(b"x" * MORE)
    redactor = Redactor({"MY_PASSWORD": "hunter22hunter22"})
    assert [file["name"] for file in stage_files(tmp_path, redactor)] == ["stdout.log"]


def test_a_name_that_is_no_text_costs_the_run_nothing(repo: Path) -> None:
    command = "seq 1 200 > $ATTRACTOR_STAGE_DIR/$(printf 'b\\\\377.log')"
    ran = run(repo, f'a [tool_command="{command}"] start -> a -> exit')
    assert ran.status == "success"
    assert os.fsencode("b") + b"\xff.log" in os.listdir(os.fsencode(ran.root / "a"))
    assert ran.events("artifact_stored") == []
