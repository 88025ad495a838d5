"""`--cxdb`: what it may be, and what is said when it cannot be had. No container engine is needed here."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.cxdb.embedded import EmbeddedCxdb
from harness.cxdb.probe import health_problem, hello_problem, knows_context, new_context
from harness.cxdb_choice import DEFAULT_IMAGE, EMBEDDED, CxdbChoice, CxdbKind, parse_cxdb

libraries_needed = pytest.mark.skipif(
    importlib.util.find_spec("testcontainers") is None, reason="the extra `docker` is not installed"
)
ROOT = Path(__file__).parents[2]
STAND_IN = Path(__file__).with_name("stand_in_engine.py")
SCENARIO = """
guardrail = "sample"
title = "t"
why = "w"
cxdb = "MODE"
graph = "digraph g { start -> exit }"
steps = [{ run = { exit = 0 } }]
[[proof]]
event = "run_completed"
"""


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    folder = tmp_path / "scenarios" / "sample"
    folder.mkdir(parents=True)
    for mode in ("shared", "own"):
        (folder / f"{mode}.toml").write_text(SCENARIO.replace("MODE", mode))
    return tmp_path / "scenarios"


@pytest.fixture
def server() -> Iterator[EmbeddedCxdb]:
    with EmbeddedCxdb() as running:
        yield running


def given(server: EmbeddedCxdb) -> str:
    return f"{server.binary_addr}:{server.http_base_url.rpartition(':')[2]}"


def matrix(scenarios: Path, tmp_path: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-P", "-m", "harness", "matrix", "--plain", "-n", "1", "--scenarios", str(scenarios)]
    argv += ["--engine", f"'{sys.executable}' '{STAND_IN}'", "--report-dir", str(tmp_path / "reports"), *words]
    return subprocess.run(
        argv, cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("words", "choice", "label"),
    [
        ((), EMBEDDED, "embedded"),
        (("embedded",), EMBEDDED, "embedded"),
        (("container",), CxdbChoice(CxdbKind.CONTAINER), f"container {DEFAULT_IMAGE}"),
        (("container", "a/b:1"), CxdbChoice(CxdbKind.CONTAINER, "a/b:1"), "container a/b:1"),
        (
            ("container", "build", "debian:12"),
            CxdbChoice(CxdbKind.CONTAINER, "build", "debian:12"),
            "container, built on debian:12",
        ),
        (("h:1:2",), CxdbChoice(CxdbKind.GIVEN, host="h", port=1, http_port=2), "h:1"),
        (("[::1]:9:10",), CxdbChoice(CxdbKind.GIVEN, host="[::1]", port=9, http_port=10), "[::1]:9"),
    ],
)
def test_a_choice_is_read_named_and_said_again(words: tuple[str, ...], choice: CxdbChoice, label: str) -> None:
    assert parse_cxdb(*words) == choice
    assert choice.label == label
    said = dict(word.split("=", 1) for word in choice.words())
    assert parse_cxdb(said.get("--cxdb"), said.get("--cxdb-image"), said.get("--cxdb-base-image")) == choice


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cxdb", "contaner"], "'contaner': allowed are embedded, container, or HOST:PORT:HTTP_PORT"),
        (["--cxdb", "h:1"], "'h:1': allowed are"),
        (["--cxdb", "::1:9:10"], "an IPv6 host goes into brackets: [::1]:9009:9010"),
        (["--cxdb", "h:0:1"], "0 is no port; ports are numbers from 1 to 65535"),
        (["--cxdb", "h:1:70000"], "70000 is no port"),
        (["--cxdb", "h:9:9"], "two ports, not one"),
        (["--cxdb-image", "a"], "--cxdb-image goes with --cxdb container"),
        (["--cxdb", "h:1:2", "--cxdb-image", "a"], "--cxdb-image goes with --cxdb container"),
        (["--cxdb", "container", "--cxdb-base-image", "a"], "goes with --cxdb container --cxdb-image build"),
        (["--cxdb", "container", "--cxdb-image", "No Image"], "'No Image': not the name of an image"),
    ],
)
@pytest.mark.parametrize("command", [["matrix"], ["run", "sample/shared"], ["prove"], ["crash"]], ids=lambda c: c[0])
def test_a_wrong_choice_is_wrong_usage(command: list[str], words: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, [*command, *words])
    assert (done.exit_code, message in done.output) == (2, True), done.output


@pytest.mark.parametrize(
    ("choice", "message"),
    [("contaner", "--harness-cxdb 'contaner': allowed are"), ("127.0.0.1:1:2", "nobody listens at 127.0.0.1:1")],
)
def test_pytest_says_the_same_as_wrong_usage_of_its_own_option(tmp_path: Path, choice: str, message: str) -> None:
    argv = [sys.executable, "-m", "pytest", "-p", "harness.pytest_plugin", f"--harness-cxdb={choice}", str(tmp_path)]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, message in done.stderr) == (4, True), done.stderr


def test_a_given_server_is_written_to_and_never_harmed(scenarios: Path, tmp_path: Path, server: EmbeddedCxdb) -> None:
    done = matrix(scenarios, tmp_path, "--cxdb", given(server), "-k", "own")
    assert done.returncode == 3
    assert f"the one at {server.binary_addr} is not ours to harm" in " ".join(done.stdout.split())
    done = matrix(scenarios, tmp_path, "--cxdb", given(server), "-k", "shared")
    assert "sample/shared" in done.stdout
    assert server.is_running
    summary = (tmp_path / "reports" / "summary.md").read_text()
    assert server.binary_addr in summary


def test_nobody_at_the_given_address_is_told_before_anything_runs(scenarios: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    done = matrix(scenarios, tmp_path, "--cxdb", f"127.0.0.1:{port}:{port - 1}")
    assert done.returncode == 3
    assert done.stderr.endswith(f": nobody listens at 127.0.0.1:{port}\n")
    assert "Traceback" not in done.stderr


def test_swapped_ports_are_no_cxdb(scenarios: Path, tmp_path: Path, server: EmbeddedCxdb) -> None:
    host, port, http_port = given(server).split(":")
    done = matrix(scenarios, tmp_path, "--cxdb", f"{host}:{http_port}:{port}")
    assert done.returncode == 3
    assert f"what listens at {host}:{http_port}" in done.stderr
    assert "Traceback" not in done.stderr


@libraries_needed
@pytest.mark.parametrize("command", ["matrix", "run sample/shared", "prove", "crash"])
@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("unix:///nonexistent.sock", "at unix:///nonexistent.sock: its socket does not exist; start one"),
        ("tcp://127.0.0.1:1", "at tcp://127.0.0.1:1: nobody listens there; start one"),
    ],
)
def test_no_engine_is_told_by_every_command(
    tmp_path: Path, scenarios: Path, command: str, host: str, message: str
) -> None:
    argv = [sys.executable, "-P", "-m", "harness", *command.split(), "--cxdb", "container"]
    argv += ["--report-dir", str(tmp_path / "reports")]
    argv += ["--scenarios", str(scenarios)] if command != "crash" else []
    done = subprocess.run(
        argv, cwd=tmp_path, env={**os.environ, "DOCKER_HOST": host}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 3
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@libraries_needed
def test_an_engine_that_may_not_be_used_is_told_with_what_to_do(tmp_path: Path) -> None:
    """The libraries are loaded first: somebody who is not root need not be able to read them."""
    script = (
        "import os, docker, requests, testcontainers.core.docker_client\n"
        "from harness.cxdb.docker_engine import connected\n"
        "from harness.cxdb.errors import EngineUnavailable\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n    connected().__enter__()\nexcept EngineUnavailable as error: print(error)\n"
    )
    path = tmp_path / "d"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        environment = {**os.environ, "DOCKER_HOST": f"unix://{path}", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60
        )
    assert f"at unix://{path}: permission denied; become root, or a member of the group" in done.stdout, done.stderr


@libraries_needed
@pytest.mark.parametrize("package", ["docker", "testcontainers"])
def test_a_missing_package_is_named_with_what_to_install(package: str) -> None:
    script = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from harness.__main__ import main\n"
        "sys.argv = ['attractor-harness', 'matrix', '--cxdb', 'container']\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert f"needs the Python package {package}, which is not installed: pip install 'attractor[docker]'" in done.stderr
    assert "Traceback" not in done.stderr


@libraries_needed
def test_an_engine_on_another_machine_is_refused(tmp_path: Path) -> None:
    """Its answer is that of a machine that is here, called by another name of it."""
    script = (
        "import docker.api.client as c\n"
        "c.APIClient._retrieve_server_version = lambda self: '1.41'\n"
        "from harness.cxdb.docker_engine import connected\n"
        "from harness.cxdb.errors import EngineUnavailable\n"
        "try:\n    connected().__enter__()\nexcept EngineUnavailable as error: print(error)\n"
    )
    environment = {**os.environ, "DOCKER_HOST": "tcp://engine.invalid:2375"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert "it runs on another machine, and servers are published on loopback only" in done.stdout, done.stderr


def test_help_and_embedded_sessions_load_no_container_library() -> None:
    script = (
        "import sys, harness.cli, harness.cxdb_supply, harness.pytest_plugin, harness.crash.campaign\n"
        "print(sorted({'docker', 'testcontainers', 'requests'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


def test_the_probe_sees_a_server_and_what_it_knows(server: EmbeddedCxdb) -> None:
    assert (hello_problem(server.binary_addr, 5), health_problem(server.http_base_url, 5)) == ("", "")
    context_id = new_context(server.binary_addr, 5)
    known = [knows_context(server.binary_addr, number, 5) for number in (context_id, context_id + 1)]
    assert known == [True, False]


def test_the_probe_is_not_deceived_by_a_connection_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert hello_problem(address, 0.1).endswith("did not answer a CXDB hello within 0.1 s")
        assert "did not answer" in health_problem(f"http://{address}", 0.1)


def test_the_image_gets_the_versions_that_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dockerfile = (ROOT / "harness" / "cxdb" / "Dockerfile").read_text()
    for name in ("blake3", "msgspec", "zstandard"):
        wanted = next(one for one in project["dependencies"] if one.startswith(name))
        assert f"'{wanted}'" in dockerfile
