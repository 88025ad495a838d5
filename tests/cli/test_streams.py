"""Standard output and error that are closed, full or gone: the run goes on, and its own exit code counts."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.test_commands import Cli, cli

__all__ = ["cli"]


def command(cli: Cli, stage: str) -> list[str]:
    graph = cli.graph(stage)
    return [*cli.argv, "run", "--graph", graph, "--no-cxdb", "--logs-root", "../logs", "--run-id", "r1"]


def final(cli: Cli) -> dict[str, str]:
    found: dict[str, str] = json.loads((cli.folder.parent / "logs" / "final.json").read_text())
    return found


def dead_pipe() -> int:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    return write_fd


def dead_terminal() -> int:
    master, slave = os.openpty()
    os.close(master)
    return slave


def full_device() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize("broken", [dead_pipe, dead_terminal, full_device])
def test_a_dead_standard_error_does_not_end_the_run(cli: Cli, broken: object) -> None:
    fd = broken()  # type: ignore[operator]
    done = subprocess.run(
        command(cli, "true"), cwd=cli.folder, stdout=subprocess.PIPE, stderr=fd, check=False, timeout=60
    )
    os.close(fd)
    assert final(cli)["status"] == "success"
    assert done.returncode == 0
    assert done.stdout.startswith(b"run_id=r1\n")


@pytest.mark.parametrize("broken", [dead_pipe, dead_terminal, full_device])
def test_a_dead_standard_error_does_not_change_how_a_failed_run_ends(cli: Cli, broken: object) -> None:
    fd = broken()  # type: ignore[operator]
    done = subprocess.run(
        command(cli, "exit 3"), cwd=cli.folder, stdout=subprocess.PIPE, stderr=fd, check=False, timeout=60
    )
    os.close(fd)
    assert (final(cli)["status"], done.returncode) == ("fail", 1)


def test_a_reader_that_leaves_after_one_line_does_not_end_the_run(cli: Cli) -> None:
    shell = '"$@" 2>&1 | head -1'
    subprocess.run(
        ["sh", "-c", shell, "sh", *command(cli, "true")], cwd=cli.folder, capture_output=True, check=True, timeout=60
    )
    assert final(cli)["status"] == "success"


@pytest.mark.parametrize(
    ("redirection", "words"),
    [(">&-", "standard output is closed"), (">/dev/full", "cannot write to standard output: No space left")],
)
@pytest.mark.parametrize(("stage", "code"), [("true", 0), ("exit 3", 1)])
def test_a_result_that_cannot_be_shown_is_said_and_the_runs_own_exit_code_counts(
    cli: Cli, redirection: str, words: str, stage: str, code: int
) -> None:
    argv = ["sh", "-c", f'exec "$@" {redirection}', "sh", *command(cli, stage), "--quiet"]
    done = subprocess.run(argv, cwd=cli.folder, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == code
    assert done.stderr.count(words) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
@pytest.mark.parametrize("arguments", [["runs", "list", "--json"], ["validate", "../g.dot"], ["--help"]])
def test_other_commands_say_so_too(cli: Cli, redirection: str, arguments: list[str]) -> None:
    cli.graph("true")
    argv = ["sh", "-c", f'exec "$@" {redirection}', "sh", *cli.argv, *arguments]
    done = subprocess.run(argv, cwd=cli.folder, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("attractor: ")
    assert "standard output" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_nothing_at_all_is_open(cli: Cli, tmp_path: Path) -> None:
    argv = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command(cli, "echo out; echo err >&2")]
    done = subprocess.run(argv, cwd=cli.folder, check=False, timeout=60)
    assert done.returncode == 0
    events = [json.loads(line) for line in (cli.folder.parent / "logs" / "progress.ndjson").read_text().splitlines()]
    assert events[-1]["event"] == "run_completed"
