"""Running a stage's command: bounded, stoppable, and the whole tree is gone afterwards."""

import os
import signal
import threading
from pathlib import Path

import pytest

from attractor.processes import (
    RUN_TOKEN_VARIABLE,
    STAGE_TOKEN_VARIABLE,
    CommandResult,
    EndedBy,
    Limits,
    StopRequest,
    describe_exit,
    end_run,
    excerpt,
    last_line,
    run_command,
)
from tests.processes.living import living

TOKEN = f"test-{os.getpid()}"


@pytest.fixture
def stop() -> StopRequest:
    return StopRequest()


def run(folder: Path, script: str, stop: StopRequest, **limits: float) -> CommandResult:
    return run_command(
        ("/bin/sh", "-c", script),
        cwd=folder,
        environment={"PATH": os.environ["PATH"], RUN_TOKEN_VARIABLE: TOKEN, STAGE_TOKEN_VARIABLE: TOKEN},
        stdout=folder / "out",
        stderr=folder / "err",
        limits=Limits(**limits),
        stop=stop,
    )


def test_output_goes_to_files_and_the_exit_status_comes_back(tmp_path: Path, stop: StopRequest) -> None:
    result = run(tmp_path, "echo out; echo err >&2; exit 3", stop)
    assert (result.exit_code, result.ended_by) == (3, EndedBy.ITSELF)
    assert ((tmp_path / "out").read_text(), (tmp_path / "err").read_text()) == ("out\n", "err\n")


def test_standard_input_is_empty_and_there_is_no_terminal(tmp_path: Path, stop: StopRequest) -> None:
    assert run(tmp_path, "cat; test ! -t 0 && ! (exec </dev/tty) 2>/dev/null", stop).exit_code == 0


def test_the_command_leads_a_session_of_its_own(tmp_path: Path, stop: StopRequest) -> None:
    run(tmp_path, "ps -o sid= -p $$; echo $$", stop)
    session, pid = (tmp_path / "out").read_text().split()
    assert session == pid


def test_death_by_signal_is_told_from_an_exit_status(tmp_path: Path, stop: StopRequest) -> None:
    result = run(tmp_path, "kill -SEGV $$", stop)
    assert result.exit_code == -signal.SIGSEGV
    assert describe_exit(-signal.SIGSEGV) == "killed by SIGSEGV"


def test_a_timeout_ends_the_whole_tree_also_what_ignores_sigterm_or_left_the_session(
    tmp_path: Path, stop: StopRequest
) -> None:
    script = """
    (trap '' TERM; echo $$ >/dev/null; sh -c 'echo $PPID > stubborn; sleep 300') &
    setsid sh -c 'echo $$ > escaped; trap "" TERM HUP; sleep 300' &
    sleep 300
    """
    result = run(tmp_path, script, stop, timeout_seconds=0.5, grace_seconds=0.2)
    assert result.ended_by is EndedBy.TIMEOUT
    assert not living(tmp_path / "stubborn")
    assert not living(tmp_path / "escaped")


def test_a_stage_that_ends_takes_its_background_processes_with_it(tmp_path: Path, stop: StopRequest) -> None:
    result = run(tmp_path, "sleep 300 & echo $! > background", stop, grace_seconds=0.5)
    assert result.exit_code == 0
    assert not living(tmp_path / "background")


def test_what_made_itself_a_session_lives_on_until_the_run_ends(tmp_path: Path, stop: StopRequest) -> None:
    run(tmp_path, "setsid sh -c 'echo $$ > service.tmp; mv service.tmp service; exec sleep 300' & "
        "while ! [ -e service ]; do :; done", stop)  # fmt: skip
    assert living(tmp_path / "service")
    ended = end_run(TOKEN, grace_seconds=1.0)
    assert int((tmp_path / "service").read_text()) in ended
    assert not living(tmp_path / "service")


def test_a_stop_request_ends_the_command(tmp_path: Path, stop: StopRequest) -> None:
    os.mkfifo(tmp_path / "ready")

    def ask() -> None:
        (tmp_path / "ready").read_text()
        stop.request(signal.SIGTERM)

    asker = threading.Thread(target=ask)
    asker.start()
    result = run(tmp_path, "echo > ready; sleep 300", stop, grace_seconds=1.0)
    asker.join()
    assert result.ended_by is EndedBy.STOP


def test_a_second_request_ends_a_command_that_does_not_listen_at_once(tmp_path: Path, stop: StopRequest) -> None:
    asked = tmp_path / "asked"
    os.mkfifo(asked)

    def twice() -> None:
        asked.read_text()  # the trap is set
        stop.request(signal.SIGINT)
        asked.read_text()  # it was asked, and does not listen
        stop.request(signal.SIGINT)

    asking = threading.Thread(target=twice)
    asking.start()
    script = "trap 'echo > asked' TERM; echo > asked; while :; do read -r _ < never; done"
    os.mkfifo(tmp_path / "never")
    result = run(tmp_path, script, stop, grace_seconds=3600.0)
    asking.join()
    assert (result.ended_by, result.exit_code) == (EndedBy.STOP, -signal.SIGKILL)


def test_heartbeats_come_while_a_command_is_quiet(tmp_path: Path, stop: StopRequest) -> None:
    os.mkfifo(tmp_path / "gate")
    beats: list[float] = []

    def beat(elapsed_seconds: float) -> None:
        beats.append(elapsed_seconds)
        if len(beats) == 3:
            (tmp_path / "gate").write_text("go")

    run_command(
        ("/bin/sh", "-c", "cat gate"),
        cwd=tmp_path,
        environment=dict(os.environ),
        stdout=tmp_path / "out",
        stderr=tmp_path / "err",
        limits=Limits(heartbeat_seconds=0.02, timeout_seconds=60),
        stop=stop,
        heartbeat=beat,
    )
    assert len(beats) >= 3
    assert beats == sorted(beats)


def test_a_watcher_ends_the_command_with_its_reason(tmp_path: Path, stop: StopRequest) -> None:
    looks = iter(["", "", "it goes in circles"])
    result = run_command(
        ("/bin/sleep", "300"),
        cwd=tmp_path,
        environment=dict(os.environ),
        stdout=tmp_path / "out",
        stderr=tmp_path / "err",
        limits=Limits(watch_seconds=0.01, grace_seconds=1.0),
        stop=stop,
        watch=lambda: next(looks),
    )
    assert (result.ended_by, result.verdict) == (EndedBy.WATCH, "it goes in circles")


def test_a_command_may_read_a_file_on_standard_input(tmp_path: Path, stop: StopRequest) -> None:
    (tmp_path / "prompt").write_text("words")
    run_command(
        ("/bin/cat",),
        cwd=tmp_path,
        environment={},
        stdout=tmp_path / "out",
        stderr=tmp_path / "err",
        limits=Limits(),
        stop=stop,
        stdin=tmp_path / "prompt",
    )
    assert (tmp_path / "out").read_text() == "words"


def test_a_missing_folder_is_an_oserror(tmp_path: Path, stop: StopRequest) -> None:
    with pytest.raises(FileNotFoundError):
        run_command(
            ("/bin/true",),
            cwd=tmp_path / "gone",
            environment={},
            stdout=tmp_path / "out",
            stderr=tmp_path / "err",
            limits=Limits(),
            stop=stop,
        )


def test_a_long_output_is_shown_by_its_ends(tmp_path: Path) -> None:
    path = tmp_path / "stdout.log"
    path.write_bytes(b"begin" + b"x" * 50_000_000 + b"end")
    text = excerpt(path, 1000)
    assert text.startswith("begin")
    assert text.endswith("end")
    assert "49999008 bytes left out; all of it is in stdout.log" in text
    assert len(text) < 1200


def test_the_last_line_that_says_something(tmp_path: Path) -> None:
    path = tmp_path / "stderr.log"
    path.write_bytes(b"one\n  two \n\n \n")
    assert last_line(path) == "two"
    path.write_bytes(b"")
    assert last_line(path) == ""
