"""Starts one engine command and watches over it: directly, under a shell that stays, on a terminal, or as a container
would.

The shells imitate what launches engines in real life: a tool call whose whole process group is torn
down, a terminal that is closed. They run the command, note its exit code in a file, and stay until they
are killed, hung up or the case ends. Every direct child dies with the harness. Output goes to files, so
that nothing blocks on a full pipe and a detached engine cannot keep a pipe open.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.processes import ProcessIdentity, alive, children, dying_with_parent, identify
from harness.processes import unprivileged as without_privileges
from harness.results import CommandRecord
from harness.scenario import Launcher

__all__ = ["NEW_PID_NAMESPACE", "Launched", "launch"]

# The namespace's first process is the engine; the kernel ends all of it when unshare or the engine ends.
NEW_PID_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "--")

TAIL_CHARACTERS = 4000

# $1 is the file for the exit code, $2 a FIFO to stay at, the rest the command. The harness holds the
# FIFO's other end, so the shell ends with the harness, and no helper process is left when it is killed.
_STAYING_SHELL = """\
note=$1; stay=$2; shift 2
"$@"
echo $? > "$note.part" && mv "$note.part" "$note"
read -r _ < "$stay"
:
"""

# As shells and cron jobs do that must not run twice: descriptor 9 has the lock, and whoever inherits it keeps it.
_HOLDING_LOCK = 'exec 9> "$2.lock"; flock 9 || exit 1\n'
_CLOSED = 'exec "$@" <&- >&- 2>&-'


@dataclasses.dataclass(slots=True)
class Launched:
    """One started command. `identity` is our direct child: the engine itself, or the shell around it."""

    step: int
    name: str
    run: str
    argv: tuple[str, ...]
    cwd: str
    launcher: Launcher
    process: subprocess.Popen[bytes]
    identity: ProcessIdentity | None
    files: Path  # common beginning of its output files' names
    detach: bool
    started: float
    ended: float | None = None
    master: int | None = None
    stay: int | None = None  # our end of the FIFO that keeps a launcher's shell

    def engine(self) -> ProcessIdentity | None:
        """The engine of a command that is attached and directly ours, while it lives."""
        identity = self.identity
        if self.launcher.stays or identity is None:
            return None
        if self.launcher is Launcher.PID_1:
            child = next(iter(children(identity)), None)
            return child if child is not None and alive(child) else None
        return identity if alive(identity) else None

    def tick(self) -> None:
        """Empties the terminal, and notes when the command has ended."""
        if self.master is not None:
            with contextlib.suppress(BlockingIOError, OSError):  # EIO: nobody has the terminal open
                while data := os.read(self.master, 65536):
                    with self.files.with_suffix(".out").open("ab") as file:
                        file.write(data)
        if self.ended is None and self.exit_code() is not None:
            self.ended = time.monotonic()

    def exit_code(self) -> int | None:
        """Of the engine's command, not of the shell around it; None while it runs, or when never known."""
        if not self.launcher.stays:
            return self.process.poll()
        self.process.poll()
        try:
            return int(self.files.with_suffix(".exit").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def hang_up(self) -> None:
        """Closes our side of the terminal; the kernel tells the session."""
        if self.master is not None:
            os.close(self.master)
            self.master = None

    def close(self) -> None:
        """Ends our direct child if it still runs; what it started is not touched here."""
        self.hang_up()
        if self.stay is not None:
            os.close(self.stay)
            self.stay = None
        if self.process.poll() is None:
            self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)

    def output(self) -> tuple[str, str]:
        self.tick()
        return _read(self.files.with_suffix(".out")), _read(self.files.with_suffix(".err"))

    def record(self) -> CommandRecord:
        stdout, stderr = self.output()
        return CommandRecord(
            step=self.step,
            name=self.name,
            argv=self.argv,
            cwd=self.cwd,
            exit_code=self.exit_code(),
            duration_seconds=round((self.ended or time.monotonic()) - self.started, 4),
            stdout_tail=stdout[-TAIL_CHARACTERS:],
            stderr_tail=stderr[-TAIL_CHARACTERS:],
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def launch(
    *,
    step: int,
    name: str,
    run: str,
    argv: tuple[str, ...],
    cwd: Path,
    launcher: Launcher,
    environment: Mapping[str, str],
    directory: Path,
    detach: bool = False,
    unprivileged: bool = False,
) -> Launched:
    """Starts it; raises OSError when that is not possible."""
    files = directory / f"step-{step}-{name}"
    command = tuple(without_privileges(argv)) if unprivileged else argv
    stay = None
    if launcher is Launcher.CLOSED:
        command = ("/bin/sh", "-c", _CLOSED, "launcher", *command)
    elif launcher is Launcher.PID_1:
        command = (*NEW_PID_NAMESPACE, *command)
    elif launcher.stays:
        fifo = files.with_suffix(".stay")
        os.mkfifo(fifo)
        stay = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        command = (
            "/bin/sh",
            "-c",
            (_HOLDING_LOCK if launcher is Launcher.LOCK_HOLDER else "") + _STAYING_SHELL,
            "launcher",
            str(files.with_suffix(".exit")),
            str(fifo),
            *command,
        )
    start = _start_on_terminal if launcher is Launcher.PTY else _start_plain
    started = time.monotonic()
    process, master = start(command, cwd, environment, files)
    return Launched(
        step=step,
        name=name,
        run=run,
        argv=argv,
        cwd=str(cwd),
        launcher=launcher,
        process=process,
        identity=identify(process.pid),
        files=files,
        detach=detach,
        started=started,
        master=master,
        stay=stay,
    )


def _start_plain(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], files: Path
) -> tuple[subprocess.Popen[bytes], int | None]:
    with files.with_suffix(".out").open("wb") as out, files.with_suffix(".err").open("wb") as err:
        process = subprocess.Popen(
            dying_with_parent(command),
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    return process, None


def _start_on_terminal(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], files: Path
) -> tuple[subprocess.Popen[bytes], int | None]:
    """A session leader's first terminal, opened by itself, becomes the one that controls its session."""
    master, slave = os.openpty()
    os.set_blocking(master, False)
    files.with_suffix(".out").touch()
    opening = ("/bin/sh", "-c", 'exec <"$1" >"$1" 2>&1; shift; exec "$@"', "terminal", os.ttyname(slave))
    try:
        process = subprocess.Popen(
            dying_with_parent([*opening, *command]),
            cwd=cwd,
            env={**environment, "TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    finally:
        os.close(slave)
    return process, master
