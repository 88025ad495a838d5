"""Processes by identity and marker, gates, launchers: with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.gates import Gates
from harness.launchers import Launched, launch
from harness.processes import (
    CASE_MARKER,
    OWNER_MARKER,
    ProcessIdentity,
    alive,
    carries,
    end_all,
    identify,
    marked_processes,
    own_identity,
    owner_mark,
    sweep_orphans,
    until,
)
from harness.scenario import Launcher

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
SLEEP = ("/bin/sh", "-c", "exec sleep 30")


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def start(started: list[subprocess.Popen[bytes]], **environment: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(SLEEP, env={"PATH": os.defpath, **environment})
    started.append(process)
    return process


def test_a_process_is_known_by_pid_and_start_time(started: list[subprocess.Popen[bytes]]) -> None:
    process = start(started)
    identity = identify(process.pid)
    assert identity is not None
    assert alive(identity)
    assert not alive(ProcessIdentity(process.pid, "another time"))
    process.kill()
    assert until(lambda: not alive(identity), 5)  # a zombie, as nobody has waited for it yet


@needs_proc
def test_marked_processes_are_found_and_ended_children_included(started: list[subprocess.Popen[bytes]]) -> None:
    environment = {"PATH": os.defpath, CASE_MARKER: "case-17"}
    started.append(subprocess.Popen(["/bin/sh", "-c", "sleep 30 & sleep 30"], env=environment, start_new_session=True))
    assert until(lambda: len(marked_processes("case-17")) == 3, 5)
    assert all(carries(process.pid, "case-17") for process in marked_processes("case-17"))
    assert len(end_all(lambda: marked_processes("case-17"))) == 3
    assert marked_processes("case-17") == []


@needs_proc
def test_what_a_dead_harness_left_is_swept_and_the_living_ones_are_spared(
    started: list[subprocess.Popen[bytes]],
) -> None:
    orphan = start(started, **{OWNER_MARKER: "999999999:1"})
    ours = start(started, **{OWNER_MARKER: owner_mark()})
    assert until(lambda: carries_owner(orphan.pid) and carries_owner(ours.pid), 5)
    assert orphan.pid in [process.pid for process in sweep_orphans()]
    assert orphan.wait(timeout=5) == -signal.SIGKILL
    assert ours.poll() is None


def carries_owner(pid: int) -> bool:
    return OWNER_MARKER.encode() in Path(f"/proc/{pid}/environ").read_bytes()


def test_this_process_is_its_own_owner() -> None:
    assert own_identity().pid == os.getpid()


@pytest.fixture
def gates(tmp_path: Path) -> Iterator[Gates]:
    made = Gates(tmp_path / "gates with space", {"hold"}, 5)
    yield made
    made.close()


def run_gate(gates: Gates, started: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    started.append(subprocess.Popen(["/bin/sh", "-c", gates.snippets()["gate:hold"]]))
    return started[-1]


def test_a_gate_announces_an_arrival_holds_it_and_lets_it_pass(
    gates: Gates, started: list[subprocess.Popen[bytes]]
) -> None:
    held = run_gate(gates, started)
    assert until(lambda: gates["hold"].arrivals() == 1, 5)
    assert held.poll() is None
    gates["hold"].release()
    assert held.wait(timeout=5) == 0


def test_a_released_gate_holds_nobody_any_more(gates: Gates, started: list[subprocess.Popen[bytes]]) -> None:
    gates["hold"].release()
    assert run_gate(gates, started).wait(timeout=5) == 0


def launched(tmp_path: Path, launcher: Launcher, *command: str) -> Launched:
    return launch(
        step=1,
        name="run",
        run="run",
        argv=command,
        cwd=tmp_path,
        launcher=launcher,
        environment={"PATH": os.defpath},
        directory=tmp_path,
    )


@pytest.mark.parametrize("launcher", Launcher)
def test_every_launcher_runs_the_command_and_tells_its_exit_and_output(tmp_path: Path, launcher: Launcher) -> None:
    command = launched(tmp_path, launcher, "/bin/sh", "-c", "echo hello; exit 7")
    try:
        assert until(lambda: command.exit_code() == 7, 5)
        assert ("hello" in command.output()[0]) is (launcher is not Launcher.CLOSED)
        assert command.record().exit_code == 7
    finally:
        command.close()


@pytest.mark.parametrize("launcher", [Launcher.SHELL_GROUP, Launcher.PTY])
def test_a_launching_shell_stays_after_its_command(tmp_path: Path, launcher: Launcher) -> None:
    command = launched(tmp_path, launcher, "true")
    try:
        assert until(lambda: command.exit_code() == 0, 5)
        assert command.process.poll() is None
    finally:
        command.close()
    assert command.process.returncode is not None


def test_closing_the_terminal_hangs_up_the_command(tmp_path: Path) -> None:
    command = launched(tmp_path, Launcher.PTY, *SLEEP)
    assert until(lambda: identify(command.process.pid) is not None, 5)
    command.hang_up()
    assert until(lambda: command.process.poll() is not None, 5)
    command.close()


@needs_proc
def test_a_direct_child_dies_with_a_harness_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; sys.path[:0] = sys.argv[2:]\n"
        "from harness.launchers import launch; from harness.scenario import Launcher\n"
        "here = Path(sys.argv[1])\n"
        "made = launch(step=1, name='run', run='run', argv=('sleep', '30'), cwd=here, launcher=Launcher.PLAIN,\n"
        "    environment={'PATH': os.defpath}, directory=here)\n"
        "print(made.process.pid, flush=True); sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parents[2])]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = identify(int(parent.stdout.readline()))
        assert child is not None
        # setpriv first asks for the signal and then becomes the program: before that, nothing is promised.
        assert until(lambda: Path(f"/proc/{child.pid}/comm").read_text() == "sleep\n", 10)
        parent.kill()
    assert until(lambda: not alive(child), 5)
