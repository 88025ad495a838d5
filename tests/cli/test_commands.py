"""The command line, as real processes: what is printed where, exit codes, and never a traceback (DESIGN 2.1)."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

Git = Callable[..., str]
GRAPH = """\
digraph G {
  start [shape=Mdiamond]
  a [shape=parallelogram, tool_command="%s"]
  exit [shape=Msquare]
  start -> a -> exit
}
"""


class Cli:
    """Calls `attractor` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.argv = [sys.executable, "-P", "-m", "attractor"]

    def __call__(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.argv, *arguments], cwd=cwd or self.folder, capture_output=True, text=True, check=False, timeout=60
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def facts(self, *arguments: str) -> dict[str, str]:
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    def graph(self, command: str) -> str:
        (self.folder.parent / "g.dot").write_text(GRAPH % command)
        return str(self.folder.parent / "g.dot")


@pytest.fixture
def cli(repo: Path) -> Cli:
    return Cli(repo)


@pytest.fixture
def gate(repo: Path) -> Iterator[Path]:
    """A FIFO a stage announces itself on; ends whatever detached engine a test left."""
    os.mkfifo(repo.parent / "ready")
    yield repo.parent / "ready"
    for pid_file in repo.parent.rglob("run.pid"):
        pid = int(pid_file.read_text())
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)


def waiting(gate: Path) -> str:
    return f"echo > {gate}; sleep 300"


def test_run_prints_five_facts_and_nothing_else_on_stdout(cli: Cli, git: Git) -> None:
    done = cli("run", "--graph", cli.graph("true"), "--no-cxdb", "--logs-root", "../logs", "--run-id", "r1")
    root = cli.folder.parent / "logs"
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "run_id=r1",
        f"logs_root={root}",
        f"worktree={root / 'worktree'}",
        "run_branch=attractor/run/r1",
        f"final_commit={git(cli.folder, 'rev-parse', 'attractor/run/r1')}",
    ]
    assert "ok   a" in done.stderr


def test_quiet_and_json(cli: Cli) -> None:
    done = cli("run", "--graph", cli.graph("true"), "--no-cxdb", "--logs-root", "../logs", "--quiet", "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout)["status"] == "success"


def test_a_failed_run_exits_1_and_says_why_and_how_to_go_on(cli: Cli) -> None:
    done = cli("run", "--graph", cli.graph("exit 4"), "--no-cxdb", "--logs-root", "../logs", "--run-id", "r1")
    assert done.returncode == 1
    assert "run r1 failed: a: tool_command ended with exit status 4 (deterministic)" in done.stderr
    assert f"attractor resume --logs-root {cli.folder.parent / 'logs'}" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_cancels_with_its_exit_code(cli: Cli, gate: Path, number: signal.Signals, code: int) -> None:
    argv = [*cli.argv, "run", "--graph", cli.graph(waiting(gate)), "--no-cxdb", "--logs-root", "../logs"]
    # A session of its own with a terminal is not needed: an attached run listens to SIGHUP when it leads none.
    with subprocess.Popen(argv, cwd=cli.folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as engine:
        gate.read_text()
        engine.send_signal(number)
        assert engine.wait(timeout=30) == code
    final = json.loads((cli.folder.parent / "logs" / "final.json").read_text())
    assert (final["status"], final["failure_reason"]) == ("canceled", f"canceled by {number.name}")


def test_detach_returns_once_the_run_is_owned_and_the_run_goes_on_alone(cli: Cli, gate: Path) -> None:
    facts = cli.facts(
        "run", "--detach", "--graph", cli.graph(waiting(gate)), "--no-cxdb", "--logs-root", "../logs", "--run-id", "r1"
    )
    root = cli.folder.parent / "logs"
    assert facts == {
        "detached": "true",
        "run_id": "r1",
        "logs_root": str(root),
        "pid_file": str(root / "run.pid"),
    }
    pid = int((root / "run.pid").read_text())
    gate.read_text()
    assert os.getsid(pid) == pid
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    assert os.readlink(f"/proc/{pid}/fd/1") == str(root / "run.out")
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    stopped = cli("stop", "--logs-root", str(root))
    assert stopped.stdout.splitlines() == ["stopped=true", "status=canceled"]
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_detach_reports_a_child_that_does_not_begin_and_leaves_nothing(cli: Cli) -> None:
    done = cli("run", "--detach", "--graph", cli.graph("true"), "--logs-root", "../logs")
    assert done.returncode == 1
    assert "the detached run did not begin (exit status 1): no CXDB at 127.0.0.1:9009" in done.stderr
    assert not (cli.folder.parent / "logs").exists()


def test_status_tells_running_from_crashed_and_how_to_resume(cli: Cli, gate: Path) -> None:
    root = cli.folder.parent / "logs"
    cli("run", "--detach", "--graph", cli.graph(waiting(gate)), "--no-cxdb", "--logs-root", str(root))
    gate.read_text()
    running = json.loads(cli("status", "--logs-root", str(root), "--json").stdout)
    assert running["status"] == "running"
    pid = int((root / "run.pid").read_text())
    assert running["pid"] == pid
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    crashed = cli("status", "--logs-root", str(root)).stdout
    assert "status=crashed" in crashed
    assert f"go on with: attractor resume --logs-root {root}" in crashed
    (root / "graph.dot").write_text(GRAPH % "true")
    assert cli("resume", "--logs-root", str(root)).returncode == 0
    assert "status=success" in cli("status", "--logs-root", str(root)).stdout


def test_stop_with_force_ends_an_engine_that_does_not_end(cli: Cli, gate: Path) -> None:
    root = cli.folder.parent / "logs"
    cli("run", "--detach", "--graph", cli.graph(waiting(gate)), "--no-cxdb", "--logs-root", str(root))
    gate.read_text()
    pid = int((root / "run.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    refused = cli("stop", "--logs-root", str(root), "--grace-ms", "50")
    assert refused.returncode == 1
    assert f"process {pid} is still ending its stage" in refused.stderr
    killed = cli("stop", "--logs-root", str(root), "--grace-ms", "50", "--force")
    assert killed.stdout.splitlines() == ["killed=true", "status=canceled"]
    assert json.loads((root / "final.json").read_text())["failure_reason"] == "killed by attractor stop --force"
    assert "not running" in cli("stop", "--logs-root", str(root)).stdout


def test_runs_are_listed_shown_waited_for_and_pruned(cli: Cli, git: Git) -> None:
    cli("run", "--graph", cli.graph("true"), "--no-cxdb", "--run-id", "at-home")
    cli("run", "--graph", cli.graph("false"), "--no-cxdb", "--run-id", "elsewhere", "--logs-root", "../logs")
    listed = json.loads(cli("runs", "list", "--json").stdout)
    assert [(view["run_id"], view["status"]) for view in listed] == [("at-home", "success"), ("elsewhere", "fail")]
    assert "failure_class=deterministic" in cli("runs", "show", "elsewhere").stdout
    assert [cli("runs", "wait", name).returncode for name in ("at-home", "elsewhere")] == [0, 1]
    assert "run_id=elsewhere" in cli("status", "--latest").stdout
    assert cli("runs", "prune", "--finished").stdout == "pruned at-home\n"
    assert cli("runs", "prune", "elsewhere").stdout == "pruned elsewhere\n"
    assert git(cli.folder, "for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert len(git(cli.folder, "worktree", "list").splitlines()) == 1
    assert cli("runs", "list").stderr == "no runs\n"
    assert not (cli.folder.parent / "logs").exists()


def test_preflight_runs_nothing(cli: Cli, git: Git) -> None:
    done = cli("run", "--preflight", "--graph", cli.graph("touch ran"), "--no-cxdb", "--logs-root", "../logs")
    assert done.returncode == 0
    assert [path.name for path in (cli.folder.parent / "logs").iterdir()] == ["preflight_report.json"]
    assert git(cli.folder, "branch", "--list", "attractor/*") == ""


def test_validate_shows_places_for_people_and_editors(cli: Cli) -> None:
    bad = cli.folder.parent / "bad.dot"
    bad.write_text("digraph G {\n  start [shape=Mdiamond]\n  start -> exti\n  exit [shape=Msquare]\n}\n")
    done = cli("validate", str(bad))
    assert done.returncode == 1
    assert f"{bad}:3:12: error[edge_target_exists]" in done.stdout
    assert "  3 |   start -> exti" in done.stdout
    findings = json.loads(cli("validate", "--json", str(bad)).stdout)
    assert {"rule", "severity", "message", "file", "line", "column"} <= set(findings[0])
    assert cli("validate", cli.graph("true")).returncode == 0


def test_graph_draws(cli: Cli) -> None:
    pytest.importorskip("pydot")
    drawn = cli("graph", cli.graph("true"), "-o", "g.svg")
    if drawn.returncode:
        assert "Graphviz is not installed" in drawn.stderr
        return
    assert "<svg" in (cli.folder / "g.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run"], 2, "Missing option '--graph'"),
        (["run", "--graph", "gone.dot"], 2, "cannot read the graph"),
        (["run", "--graph", "g.dot", "--run-id", ".."], 2, "run id '..' cannot be used"),
        (["run", "--graph", "g.dot", "--run-id", ""], 2, "it is empty"),
        (["run", "--graph", "g.dot"], 1, "no CXDB at 127.0.0.1:9009"),
        (["run", "--graph", "g.dot", "--workdir", "."], 2, "--workdir goes with --no-git"),
        (["run", "--graph", "g.dot", "--label", "x"], 2, "is not KEY=VALUE"),
        (["run", "--graph", "g.dot", "--config", "gone.yaml"], 2, "cannot be read"),
        (["run", "--graph", "."], 2, "Is a directory"),
        (["run", "--graph", "g.dot", "--no-cxdb", "--logs-root", "/proc/x"], 1, "cannot make /proc/x"),
        (["resume", "--logs-root", "gone"], 1, "is not a run's directory"),
        (["resume", "--logs-root", "g.dot"], 1, "is not a directory"),
        (["status", "--logs-root", "gone"], 1, "is not a run's directory"),
        (["status"], 2, "name a run with --logs-root"),
        (["stop", "--logs-root", "gone"], 1, "is not a run's directory"),
        (["runs", "show", "nobody"], 1, "no run 'nobody' is known"),
        (["runs", "prune"], 2, "name the runs to remove"),
        (["validate", "gone.dot"], 2, "cannot read gone.dot"),
        (["graph", "g.dot", "-o", "x.gif"], 2, "its ending is not .svg, .png or .pdf"),
        (["nonsense"], 2, "No such command 'nonsense'"),
    ],
)
def test_mistakes_get_a_message_and_their_exit_code(cli: Cli, arguments: list[str], code: int, words: str) -> None:
    (cli.folder / "g.dot").write_text(GRAPH % "true")
    done = cli(*arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert done.stdout == ""


def test_a_removed_working_directory_is_said(cli: Cli, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'rmdir "{gone}"; exec "$@"'
    argv = ["sh", "-c", script, "sh", *cli.argv, "run", "--graph", "g.dot", "--no-cxdb"]
    done = subprocess.run(argv, cwd=gone, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the current directory no longer exists" in done.stderr


def test_a_read_only_home_only_costs_the_list_of_runs(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/proc")
    done = cli("run", "--graph", cli.graph("true"), "--no-cxdb", "--logs-root", "../logs")
    assert done.returncode == 0
    refused = cli("run", "--graph", cli.graph("true"), "--no-cxdb")
    assert refused.returncode == 1
    assert "name a folder you may write to with --logs-root" in refused.stderr


def test_version_imports_nothing_of_ours() -> None:
    script = (
        "import sys; sys.argv = ['attractor', '--version']; from attractor.__main__ import main; main(); "
        "print(*[name for name in sys.modules if name.split('.')[0] in ('click', 'msgspec', 'attractor')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    version, modules = done.stdout.splitlines()
    assert version.startswith("attractor ")
    assert modules.split() == ["attractor", "attractor.__main__"]


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["runs", "--help"], ["--version"]])
def test_help_and_version_answer(cli: Cli, command: list[str]) -> None:
    assert cli(*command).returncode == 0


def test_validate_does_not_load_git_or_the_network(cli: Cli) -> None:
    script = (
        f"import sys; from attractor.cli import run_cli; run_cli(['validate', {cli.graph('true')!r}]); "
        "print(*[name for name in ('pygit2', 'psutil', 'yaml', 'pydot', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
