"""The server as a process: starting, saying so, ending with signals and with its parent."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cxdb_wire import TIMEOUT_SECONDS, Wire, http, note

from harness.cxdb import EmbeddedCxdb, ServerNotReady

COMMAND = [sys.executable, "-m", "harness.cxdb"]
MAX_START_MS = 300  # the promise; about 75 on an idle machine


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=TIMEOUT_SECONDS)


def ends_within_bound(pid: int) -> bool:
    """Waits for a process that is not our child."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watch], [], [], TIMEOUT_SECONDS)[0])
    finally:
        os.close(watch)


def test_it_starts_in_time_measured_until_both_ports_answer() -> None:
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        with EmbeddedCxdb() as server:
            Wire(server.binary_addr).sock.close()
            assert http(server.http_base_url, "GET", "/healthz")[1] == b"ok"
            taken.append((time.perf_counter() - began) * 1000)
    assert statistics.median(taken) < MAX_START_MS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_one_line_and_ends_cleanly_when_told(tmp_path: Path, number: int) -> None:
    ready_file = tmp_path / "ready.json"
    with subprocess.Popen(
        [*COMMAND, "--data-dir", str(tmp_path / "data"), "--ready-file", str(ready_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        facts = json.loads(ready_file.read_text())
        assert line == "cxdb binary={binary} http={http} data_dir={data_dir}\n".format(**facts)
        assert (facts["pid"], facts["data_dir"]) == (process.pid, str(tmp_path / "data"))
        with Wire(facts["binary"]) as wire:
            wire.append(wire.create_context(), note("open connection"))
            process.send_signal(number)
            output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, output, errors) == (0, "", "")


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        for option in ("--port", "--http-port"):
            done = run("--data-dir", str(tmp_path), option, str(port))
            assert done.returncode == 1
            assert done.stderr == (
                f"cxdb: cannot listen on 127.0.0.1:{port}: Address already in use; "
                "choose another port, or 0 for any free one\n"
            )
            assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--port", "65536"], 2, "cxdb: --port 65536: a port is a number from 0 to 65535"),
        (["--http-port", "-1"], 2, "cxdb: --http-port -1: a port is"),
        (["--port", "x"], 2, "invalid int value: 'x'"),
        (["--what"], 2, "unrecognized arguments: --what"),
        (["--host", "no.such.host.invalid"], 1, "cxdb: cannot listen on no.such.host.invalid:0:"),
        (["--ready-file", "/nonexistent/file"], 2, "cxdb: --ready-file /nonexistent/file: No such file"),
    ],
)
def test_bad_input_is_explained_without_a_traceback(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = run("--data-dir", str(tmp_path), *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("is_stopped", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize("starter", ["main thread", "other thread"])
def test_it_dies_with_a_parent_that_is_killed(is_stopped: bool, starter: str) -> None:
    if is_stopped and starter == "other thread" and os.getsid(1) == os.getsid(0):
        pytest.skip("no kernel hangs up on a stopped process adopted within its own session")
    start = "t = threading.Thread(target=c.start); t.start(); t.join()" if starter == "other thread" else "c.start()"
    script = (
        "import sys, threading\nfrom harness.cxdb import EmbeddedCxdb\n"
        f"c = EmbeddedCxdb()\n{start}\n"
        + ("c.pause()\n" if is_stopped else "")
        + "print(c.pid, c.data_dir, flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, data_dir = parent.stdout.readline().split()
        parent.kill()
        parent.wait(TIMEOUT_SECONDS)
    assert ends_within_bound(int(pid))
    (Path(data_dir) / "cxdb.log").unlink()
    Path(data_dir).rmdir()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_the_kernel_ends_a_stopped_server_with_its_parent_whatever_its_session(tmp_path: Path) -> None:
    script = (
        "import os, signal, subprocess, sys\n"
        f"p = subprocess.Popen({[*COMMAND, '--die-with-parent', '--data-dir', str(tmp_path)]},"
        " stdout=subprocess.PIPE, start_new_session=True)\n"
        "p.stdout.readline(); os.kill(p.pid, signal.SIGSTOP); print(p.pid, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait(TIMEOUT_SECONDS)
    assert ends_within_bound(pid)


def test_a_server_started_by_a_thread_outlives_that_thread(tmp_path: Path) -> None:
    server = EmbeddedCxdb(tmp_path)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    while Path(f"/proc/self/task/{thread.native_id}").exists():
        os.sched_yield()  # the kernel's side of the thread ends a moment after Python's
    try:
        assert http(server.http_base_url, "GET", "/healthz")[1] == b"ok"
    finally:
        assert server.stop() == 0


def test_a_paused_server_answers_once_it_is_resumed(cxdb: EmbeddedCxdb) -> None:
    with Wire(cxdb.binary_addr) as wire:
        context_id = wire.create_context()
        cxdb.pause()
        wire.send(b"\x08\x00\x00\x00\x04\x00\x00\x00" + (7).to_bytes(8, "little") + context_id.to_bytes(8, "little"))
        assert select.select([wire.sock], [], [], 0)[0] == []
        cxdb.resume()
        assert wire.frame()[:2] == (4, 7)


def test_a_paused_server_can_be_stopped(cxdb: EmbeddedCxdb) -> None:
    cxdb.pause()
    assert cxdb.stop() == 0
    assert not cxdb.is_running


def test_a_start_that_fails_shows_what_the_server_printed(cxdb: EmbeddedCxdb, tmp_path: Path) -> None:
    port = int(cxdb.binary_addr.rpartition(":")[2])
    with pytest.raises(ServerNotReady) as caught:
        EmbeddedCxdb(tmp_path, port=port).start()
    assert caught.value.exit_code_seen == 1
    assert f"cannot listen on 127.0.0.1:{port}" in str(caught.value)


def test_a_start_that_takes_too_long_is_given_up_and_cleaned_away(tmp_path: Path) -> None:
    server = EmbeddedCxdb(tmp_path, start_timeout_seconds=0.0)
    with pytest.raises(ServerNotReady, match="still silent after 0 s"):
        server.start()
    assert not server.is_running
    assert server.stop() is None


def test_the_plain_entry_imports_nothing_heavy() -> None:
    heavy = [
        "click",
        "asyncio",
        "http.client",
        "http.server",
        "subprocess",
        "zstandard",
        "attractor",
    ]
    script = f"import sys, harness.cxdb.command; print(sorted(set({heavy}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    assert done.stdout == "[]\n", done.stderr


def test_the_click_command_has_the_same_options_and_exit_codes(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from harness.cxdb.command import cxdb_command

    names = {name for parameter in cxdb_command.params for name in parameter.opts}
    shown = run("--help").stdout
    assert all(name in shown for name in names)
    result = CliRunner().invoke(cxdb_command, ["--port", "70000", "--data-dir", str(tmp_path)])
    assert result.exit_code == 2
