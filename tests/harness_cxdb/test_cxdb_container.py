"""A CXDB in a container: real containers, looked at with the engine's own eyes. Skipped where there is no engine."""

from __future__ import annotations

import dataclasses
import io
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from cxdb_wire import TIMEOUT_SECONDS, Wire, note

from harness.cxdb import container
from harness.cxdb.container import ContainerCxdb
from harness.cxdb.docker_engine import MACHINE_LABEL, OWNER_LABEL, owner_labels, sweep_containers
from harness.cxdb.errors import ContainerFailed, ContainerNotReady, ImageUnavailable
from harness.cxdb.image import built_image
from harness.cxdb.probe import hello_problem
from harness.cxdb_choice import parse_cxdb
from harness.cxdb_supply import CxdbSupply
from harness.faults import FAULTS, CxdbServer, Scene
from harness.results import FaultRecord, from_json
from harness.scenario import CxdbMode, FaultKind, FaultStep

GONE_SECONDS = 60.0
SERVE = (
    '["/opt/cxdb/venv/bin/python", "-P", "-m", "harness.cxdb", "--host", "0.0.0.0", '
    '"--port", "9009", "--http-port", "9010", "--data-dir", "/data"]'
)
SCENARIO = """
guardrail = "sample"
title = "It uses CXDB"
why = "w"
cxdb = "shared"
timeout_seconds = 90
graph = "digraph g { start -> exit }"
steps = [{ run = { exit = 0 } }]
[[proof]]
event = "run_completed"
"""


@pytest.fixture(scope="module")
def shared(container_image: str) -> Iterator[ContainerCxdb]:
    """Left running, and not paused, by every test."""
    with ContainerCxdb(container_image) as server:
        yield server


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    path = tmp_path / "scenarios" / "sample" / "row.toml"
    path.parent.mkdir(parents=True)
    path.write_text(SCENARIO)
    return tmp_path / "scenarios"


@pytest.fixture
def derived(engine: Any, container_image: str) -> Iterator[Callable[..., str]]:
    """`derived(lines)`: the name of an image with these Dockerfile lines after ours, like no other."""
    names = []

    def build(lines: str = "") -> str:
        mark = uuid.uuid4().hex
        names.append(f"attractor-harness-test:{mark}")
        text = f"FROM {container_image}\nLABEL test={mark}\n{lines}\n"
        engine.images.build(fileobj=io.BytesIO(text.encode()), tag=names[-1], rm=True)
        return names[-1]

    yield build
    for name in names:
        engine.images.remove(name, force=True)
        # what a build that failed on it has left
        engine.images.prune(filters={"dangling": True, "label": f"test={name.rpartition(':')[2]}"})


def harm(server: Any, deed: str) -> FaultRecord:
    @dataclasses.dataclass
    class CxdbScene:
        def cxdb(self) -> CxdbServer:
            return cast(CxdbServer, server)

    return FAULTS[FaultKind.CXDB](FaultStep(kind=FaultKind.CXDB, target=deed), cast(Scene, CxdbScene()))


def containers_of(engine: Any, image: str) -> list[Any]:
    found: list[Any] = engine.containers.list(all=True, ignore_removed=True, filters={"ancestor": image})
    return found


@contextmanager
def events_of(engine: Any, **filters: Any) -> Iterator[Iterator[dict[str, Any]]]:
    """The engine's events from now on; they end by themselves after a bound."""
    stream = engine.events(decode=True, since=int(time.time()), filters={"type": "container", **filters})
    limit = threading.Timer(GONE_SECONDS, stream.close)
    limit.start()
    try:
        yield stream
    finally:
        limit.cancel()
        limit.join()
        stream.close()


def test_it_is_published_on_loopback_only(engine: Any, shared: ContainerCxdb) -> None:
    published = engine.api.inspect_container(shared.container_id)["NetworkSettings"]["Ports"]
    assert {binding["HostIp"] for bindings in published.values() for binding in bindings} == {"127.0.0.1"}
    assert {f"127.0.0.1:{published['9009/tcp'][0]['HostPort']}"} == {shared.binary_addr}
    assert shared.http_base_url == f"http://127.0.0.1:{published['9010/tcp'][0]['HostPort']}"


def test_its_labels_name_the_process_it_belongs_to(engine: Any, shared: ContainerCxdb) -> None:
    labels = engine.api.inspect_container(shared.container_id)["Config"]["Labels"]
    assert owner_labels().items() <= labels.items()


def test_a_kill_and_a_start_keep_addresses_and_data(engine: Any, shared: ContainerCxdb) -> None:
    with Wire(shared.binary_addr) as wire:
        context_id = wire.create_context()
        wire.append(context_id, note("before"))
        before = wire.head(context_id)
    where = shared.binary_addr, shared.http_base_url
    killed = harm(shared, "kill")
    assert engine.api.inspect_container(shared.container_id)["State"]["ExitCode"] == 128 + signal.SIGKILL
    started = harm(shared, "start")
    assert (killed.fired, started.fired) == (True, True), (killed.proof, started.proof)
    assert (shared.binary_addr, shared.http_base_url) == where
    with Wire(shared.binary_addr) as wire:
        assert wire.head(context_id) == before


def test_a_pause_is_proven_by_silence_where_connections_are_still_taken(engine: Any, shared: ContainerCxdb) -> None:
    paused = harm(shared, "pause")
    try:
        assert engine.api.inspect_container(shared.container_id)["State"]["Paused"]
        with Wire(shared.binary_addr):
            assert hello_problem(shared.binary_addr, 0.1).endswith("did not answer a CXDB hello within 0.1 s")
    finally:
        went_on = harm(shared, "continue")
    assert (paused.fired, went_on.fired) == (True, True), (paused.proof, went_on.proof)
    assert hello_problem(shared.binary_addr, TIMEOUT_SECONDS) == ""


@pytest.mark.parametrize("deed", ["start", "continue"])
def test_a_deed_that_changes_nothing_has_not_fired(shared: ContainerCxdb, deed: str) -> None:
    assert not harm(shared, deed).fired


@pytest.mark.parametrize("deed", ["kill", "pause"])
def test_what_a_case_has_done_is_undone_and_the_container_removed(engine: Any, container_image: str, deed: str) -> None:
    choice = parse_cxdb("container", container_image)
    with CxdbSupply(choice) as supply, supply.lend(CxdbMode.OWN) as lent:
        name = lent.own.container_id
        assert harm(lent.own, deed).fired
        lent.bring_back()
        assert hello_problem(lent.own.binary_addr, TIMEOUT_SECONDS) == ""
        assert "cxdb binary=" in lent.log()
    assert name not in {container.id for container in engine.containers.list(all=True, ignore_removed=True)}


def test_a_paused_container_can_be_removed(engine: Any, derived: Callable[..., str]) -> None:
    image = derived()
    with ContainerCxdb(image) as server:
        server.pause()
    assert containers_of(engine, image) == []


def test_only_a_server_that_keeps_its_data_is_taken_for_one(derived: Callable[..., str]) -> None:
    for more, remembers in (("", True), (', "--forget"', False)):
        image = derived(f"CMD {SERVE[:-1]}{more}]")
        with ContainerCxdb(image) as server:
            assert server.remembers() is remembers


def test_a_case_that_wants_its_data_back_is_skipped_where_they_are_forgotten(
    derived: Callable[..., str], scenarios: Path, tmp_path: Path
) -> None:
    harmed = SCENARIO.replace('"shared"', '"own"').replace("{ exit = 0 } }", '{} }, { fault = { cxdb = "start" } }')
    (scenarios / "sample" / "row.toml").write_text(harmed)
    image = derived(f'CMD {SERVE[:-1]}, "--forget"]')
    argv = [sys.executable, "-P", "-m", "harness", "run", "sample/row", "--scenarios", str(scenarios)]
    argv += ["--report-dir", str(tmp_path / "reports"), "--cxdb", "container", "--cxdb-image", image]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    reason = f"needs a CXDB that keeps its data when it is killed; the one in {image} forgets"
    assert f"SKIPPED sample/row: It uses CXDB\n  {reason}" in done.stdout, done.stdout + done.stderr


def test_a_container_that_dies_at_start_is_shown_with_the_end_of_its_log(
    engine: Any, derived: Callable[..., str]
) -> None:
    image = derived('CMD ["sh", "-c", "echo the disk is made of cheese >&2; exit 7"]')
    with pytest.raises(ContainerNotReady) as caught, ContainerCxdb(image):
        pass
    assert "it ended with exit code 7; its log ends:\nthe disk is made of cheese" in str(caught.value)
    assert containers_of(engine, image) == []


def test_a_container_that_never_answers_is_given_up(engine: Any, derived: Callable[..., str]) -> None:
    image = derived('CMD ["sleep", "1000"]')
    with (
        pytest.raises(ContainerNotReady, match=r"after 0\.2 s .*healthz"),
        ContainerCxdb(image, start_timeout_seconds=0.2),
    ):
        pass
    assert containers_of(engine, image) == []


def test_a_taken_port_is_the_engines_word_for_it(engine: Any, container_image: str, shared: ContainerCxdb) -> None:
    with ContainerCxdb(container_image) as server:
        server.kill()
        port = int(server.binary_addr.rpartition(":")[2])
        with (
            socket.create_server(("127.0.0.1", port)),
            pytest.raises(ContainerFailed, match=r"cannot be started again: .*in use"),
        ):
            server.start()
        server.start()
        assert server.is_running


def test_ports_that_are_taken_meanwhile_are_replaced(
    container_image: str, shared: ContainerCxdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = int(shared.binary_addr.rpartition(":")[2])
    free = container._free_ports()
    offered = iter([(taken, free[0]), free])
    monkeypatch.setattr(container, "_free_ports", lambda: next(offered))
    with ContainerCxdb(container_image) as server:
        assert server.binary_addr == f"127.0.0.1:{free[0]}"


def test_the_same_tree_is_not_built_twice(engine: Any, container_image: str, base_image: str) -> None:
    told: list[str] = []
    assert built_image(engine, base_image, told.append) == container_image
    assert told == []


def test_a_base_that_is_not_there_is_named(engine: Any) -> None:
    with pytest.raises(ImageUnavailable, match=r"image localhost:1/none:1 is not here and cannot be pulled: .*refused"):
        built_image(engine, "localhost:1/none:1", lambda text: None)


def test_a_build_that_fails_is_shown_with_its_end(engine: Any, derived: Callable[..., str]) -> None:
    image = derived("RUN ln -sf /bin/false /usr/bin/python3 && ln -sf /bin/false /usr/local/bin/python3")
    with pytest.raises(ImageUnavailable, match=r"cannot be built on .*; the build ended:\n") as caught:
        built_image(engine, image, lambda text: None)
    assert "returned a non-zero code" in str(caught.value)


def test_the_sweep_takes_only_what_a_dead_process_of_this_machine_left(engine: Any, container_image: str) -> None:
    mine = owner_labels()
    dead = {**mine, OWNER_LABEL: "1:1"}
    elsewhere = {**dead, MACHINE_LABEL: "another machine"}
    made = [engine.containers.create(container_image, labels=labels) for labels in (mine, dead, elsewhere)]
    try:
        sweep_containers(engine)
        left = {container.id for container in engine.containers.list(all=True, ignore_removed=True)}
        assert [container.id in left for container in made] == [True, False, True]
    finally:
        for container in (made[0], made[2]):
            container.remove(force=True)


@pytest.mark.parametrize("command", ["run", "matrix"])
def test_a_runner_that_is_killed_leaves_no_container(
    engine: Any, derived: Callable[..., str], scenarios: Path, tmp_path: Path, command: str
) -> None:
    image = derived()
    words = ["run", "sample/row"] if command == "run" else ["matrix", "-n", "1", "--plain"]
    argv = [sys.executable, "-P", "-m", "harness", *words, "--scenarios", str(scenarios)]
    argv += ["--engine", "sh -c 'exec sleep 80'", "--report-dir", str(tmp_path / "reports")]
    argv += ["--cxdb", "container", "--cxdb-image", image]
    with events_of(engine, image=image, event=["start", "destroy"]) as events:
        with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as runner:
            started = next(events)
            runner.kill()
        destroyed = next(events)
    assert (started["Action"], destroyed["Action"]) == ("start", "destroy")
    assert started["id"] == destroyed["id"]
    assert containers_of(engine, image) == []


def test_the_log_is_kept_for_a_case_that_is_not_green(container_image: str, scenarios: Path, tmp_path: Path) -> None:
    path = scenarios / "sample" / "row.toml"
    path.write_text(SCENARIO.replace('"shared"', '"own"'))
    argv = [sys.executable, "-P", "-m", "harness", "run", "sample/row", "--scenarios", str(scenarios)]
    argv += ["--engine", "sh -c 'exit 9'", "--report-dir", str(tmp_path / "reports")]
    argv += ["--cxdb", "container", "--cxdb-image", container_image]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    case_dir = tmp_path / "reports" / "cases" / "sample--row"
    result = from_json((case_dir / "result.json").read_bytes())
    assert result.artifact("cxdb_log") == "cxdb.log", done.stdout + done.stderr
    assert "cxdb binary=" in (case_dir / "cxdb.log").read_text()
    assert f"--cxdb=container --cxdb-image={container_image}" in result.reproduce
