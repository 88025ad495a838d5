"""What the machine can put in the way of a command: a message that says so, never a traceback."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_commands import Cli, cli
from tests.rundir.test_owner import HOLDER

__all__ = ["cli"]
NOBODY = 65534


def as_stranger(cli: Cli, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command without root's power over other users' files and processes. Only root can try that."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv")
    argv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *cli.argv, *arguments]
    done = subprocess.run(argv, cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def given_away(path: Path, mode: int) -> Path:
    """A file or folder that is another user's from now on."""
    path.chmod(mode)
    os.chown(path, NOBODY, NOBODY)
    return path


def finished(cli: Cli, command: str = "true") -> Path:
    cli("run", "--graph", cli.graph(command), "--no-cxdb", "--logs-root", "../logs", "--run-id", "r1")
    return cli.folder.parent / "logs"


def no_git(cli: Cli, root: str) -> tuple[str, ...]:
    graph = cli.graph("true")
    return ("run", "--graph", graph, "--no-cxdb", "--no-git", "--workdir", "/tmp", "--logs-root", root)


def test_a_lock_of_another_user(cli: Cli) -> None:
    root = finished(cli, "false")
    given_away(root / "run.lock", 0o600)
    for command in ("resume", "status"):
        done = as_stranger(cli, command, "--logs-root", str(root))
        assert done.returncode == 1
        assert f"cannot open {root}/run.lock: Permission denied" in done.stderr
    assert as_stranger(cli, "runs", "list").returncode == 0


def test_a_logs_root_that_may_not_be_written(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "readonly").mkdir()
    done = as_stranger(cli, *no_git(cli, str(given_away(tmp_path / "readonly", 0o755))))
    assert done.returncode == 1
    assert "readonly" in done.stderr
    assert "not permitted" in done.stderr


@pytest.mark.parametrize("command", ["run", "resume", "status", "stop"])
def test_a_logs_root_in_a_folder_that_may_not_be_read(cli: Cli, tmp_path: Path, command: str) -> None:
    (tmp_path / "private").mkdir()
    root = str(given_away(tmp_path / "private", 0o700) / "logs")
    done = as_stranger(cli, *(no_git(cli, root) if command == "run" else (command, "--logs-root", root)))
    assert done.returncode in (1, 2)
    assert "Permission denied" in done.stderr


@pytest.mark.parametrize("command", ["run", "resume", "status", "stop"])
@pytest.mark.parametrize("kind", ["long", "loop"])
def test_paths_no_file_system_can_have(cli: Cli, command: str, kind: str) -> None:
    (cli.folder.parent / "loop").symlink_to(cli.folder.parent / "loop")
    path = "../" + "x" * 300 if kind == "long" else "../loop"
    arguments = ["--graph", cli.graph("true"), "--no-cxdb"] if command == "run" else []
    done = cli(command, *arguments, "--logs-root", path)
    assert done.returncode in (1, 2)
    assert ("File name too long" if kind == "long" else "symbolic link") in done.stderr


def test_a_looping_link_in_the_home_of_runs_hides_no_other_run(cli: Cli) -> None:
    cli("run", "--graph", cli.graph("true"), "--no-cxdb", "--run-id", "good")
    home = Path(os.environ["HOME"]) / ".local/state/attractor/runs"
    (home / "loop").symlink_to(home / "loop")
    (home / "dangling").symlink_to(home / "gone")
    assert [view["run_id"] for view in json.loads(cli("runs", "list", "--json").stdout)] == ["good"]


@pytest.mark.parametrize("line", [b"garbage\n", b"\xff\xfe\n", b"[1]\n", b"{}\n", b'{"seq": "x"}\n', b"\n"])
def test_a_last_line_that_is_no_event_is_named_and_hides_no_other_run(cli: Cli, line: bytes) -> None:
    root = finished(cli)
    cli("run", "--graph", cli.graph("true"), "--no-cxdb", "--run-id", "good")
    with (root / "progress.ndjson").open("ab") as stream:
        stream.write(line)
    done = cli("status", "--logs-root", str(root))
    assert (done.returncode, "progress.ndjson" in done.stderr) == (1, True)
    assert "good" in cli("runs", "list").stdout


def unknown_status(final: Path) -> None:
    final.write_text(final.read_text().replace('"success"', '"splendid"'))


def a_folder(final: Path) -> None:
    final.unlink()
    final.mkdir()


@pytest.mark.parametrize("damage", [unknown_status, a_folder])
def test_a_final_json_that_is_none_is_named(cli: Cli, damage: Callable[[Path], None]) -> None:
    root = finished(cli)
    damage(root / "final.json")
    for command in ("status", "stop", "resume"):
        done = cli(command, "--logs-root", str(root))
        assert (done.returncode, "final.json" in done.stderr) == (1, True), done.stderr
    assert cli("runs", "list").returncode == 0


def test_stopping_another_users_run_says_whose_it_is(cli: Cli) -> None:
    root = finished(cli)
    holding = HOLDER.replace('print("held"', f'import os; os.setuid({NOBODY}); print("held"')
    argv = [sys.executable, "-c", holding, str(root)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        said = engine.stdout.readline()
        done = as_stranger(cli, "stop", "--logs-root", str(root))
        engine.kill()
    assert (said, done.returncode) == ("held\n", 1)
    assert f"process {engine.pid}" in done.stderr
    assert "belongs to another user" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--label", b"k=\xff"], "is not UTF-8"),
        (["--logs-root", b"../\xff"], "is not UTF-8"),
        (["--logs-root", ""], "--logs-root '' is not a usable path"),
        (["--repo", b"../\xff"], "is not UTF-8"),
        (["--run-id", b"\xff"], "is not UTF-8"),
    ],
)
def test_words_that_cannot_be_recorded_are_refused_at_the_door(
    cli: Cli, arguments: list[str | bytes], words: str
) -> None:
    argv = [*cli.argv, "run", "--graph", cli.graph("true"), "--no-cxdb", *arguments]
    done = subprocess.run(argv, cwd=cli.folder, capture_output=True, check=False, timeout=60)
    stderr = done.stderr.decode(errors="replace")
    assert (done.returncode, words in stderr, "Traceback" in stderr) == (2, True, False), stderr


@pytest.mark.parametrize("command", ["resume", "status", "stop"])
def test_an_empty_logs_root_is_refused_everywhere(cli: Cli, command: str) -> None:
    done = cli(command, "--logs-root", "")
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("repo: {path: '~nosuchuser/x'}", "repo.path"),
        ('setup: {commands: ["true\\0false"]}', "setup.commands"),
        ("cxdb: {http_base_url: 'http://[::1'}", "cxdb.http_base_url"),
        ("cxdb: {http_base_url: 'http://h:notaport'}", "cxdb.http_base_url"),
        (f"cxdb: {{binary_addr: '{'x' * 70}.org:9009'}}", "cxdb.binary_addr"),
    ],
)
def test_configuration_that_makes_no_sense_is_named(cli: Cli, config: str, words: str) -> None:
    (cli.folder.parent / "run.yaml").write_text(config)
    done = cli("run", "--graph", cli.graph("true"), "--config", "../run.yaml", "--logs-root", "../logs")
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_secrets_in_the_configuration_are_not_kept(cli: Cli) -> None:
    (cli.folder.parent / "run.yaml").write_text(
        "cxdb: {http_base_url: 'http://127.0.0.1:1', autostart: {enabled: true, command: "
        "[start, --token=pw2, --api-key, pw3, API_TOKEN=pw4, 'https://me:pw5@host/x', --port, '9009']}}"
    )
    arguments = ("--config", "../run.yaml", "--logs-root", "../logs")
    assert cli("run", "--graph", cli.graph("true"), "--no-cxdb", *arguments).returncode == 0
    kept = (cli.folder.parent / "logs" / "run_config.json").read_text()
    assert "pw" not in kept
    assert "--token=(removed)" in kept
    assert "https://host/x" in kept
    assert "9009" in kept


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("cxdb.http_base_url", "cxdb: {http_base_url: 'http://u:hidden@127.0.0.1:1'}"),
        (
            "llm.providers.openai.api.base_url",
            "llm: {providers: {openai: {api: {base_url: 'https://u:hidden@example.invalid'}}}}",
        ),
    ],
)
def test_an_address_with_credentials_is_refused_without_repeating_them(cli: Cli, place: str, text: str) -> None:
    (cli.folder.parent / "run.yaml").write_text(text)
    done = cli("run", "--graph", cli.graph("true"), "--config", "../run.yaml", "--logs-root", "../logs")
    assert done.returncode == 2
    assert place in done.stderr
    assert "run.yaml" in done.stderr
    assert "hidden" not in done.stderr
    assert not (cli.folder.parent / "logs").exists()


def test_without_home_the_users_own_is_taken(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # nothing of this test may reach the user's
    assert cli("run", "--graph", cli.graph("true"), "--no-cxdb").returncode == 0


def test_a_logs_root_that_was_there_is_made_private(cli: Cli) -> None:
    root = cli.folder.parent / "logs"
    root.mkdir(mode=0o755)
    finished(cli)
    assert root.stat().st_mode & 0o777 == 0o700


def test_a_removed_current_directory_does_not_matter_where_paths_are_absolute(cli: Cli, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    graph = cli.graph("true")
    root = tmp_path / "logs"
    run = ["run", "--graph", graph, "--no-cxdb", "--repo", str(cli.folder), "--logs-root", str(root)]
    for arguments in (run, ["status", "--logs-root", str(root)], ["resume", "--logs-root", str(root)]):
        argv = ["sh", "-c", f'rmdir "{gone}"; exec "$@"', "sh", *cli.argv, *arguments]
        done = subprocess.run(argv, cwd=gone, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        gone.mkdir()


def test_many_findings_are_cut_with_a_count(cli: Cli) -> None:
    graph = cli.folder.parent / "bad.dot"
    edges = "\n".join(f"  start -> gone{number}" for number in range(80))
    graph.write_text(f"digraph G {{\n  start [shape=Mdiamond]\n  exit [shape=Msquare]\n  start -> exit\n{edges}\n}}\n")
    checked = cli("validate", str(graph))
    assert checked.stdout.count("error[edge_target_exists]") == 50
    assert "30 more" in checked.stdout
    refused = cli("run", "--graph", str(graph), "--no-cxdb")
    assert refused.stderr.count("error[edge_target_exists]") == 50
    assert "30 more" in refused.stderr
