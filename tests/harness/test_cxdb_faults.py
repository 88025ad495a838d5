"""Outages of CXDB: done to a real server, proven, and undone before anything is read."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from harness.cxdb.embedded import EmbeddedCxdb
from harness.cxdb.errors import CxdbError
from harness.cxdb.probe import knows_context, new_context
from harness.cxdb_choice import CxdbChoice, CxdbKind
from harness.cxdb_supply import CxdbSupply, LentCxdb
from harness.faults import FAULTS, CxdbServer, Scene
from harness.matrix import find_cases
from harness.needs import lacking
from harness.processes import is_stopped
from harness.results import FaultRecord
from harness.scenario import CxdbMode, FaultKind, FaultStep, Need

SCENARIOS = Path(__file__).parents[2] / "scenarios"
NEEDS_A_DISK = pytest.mark.skipif(bool(lacking((Need.MOUNT,))), reason=lacking((Need.MOUNT,)))


@dataclasses.dataclass
class CxdbScene:
    """As much of a case as a fault of CXDB looks at."""

    server: CxdbServer | None

    def cxdb(self) -> CxdbServer | None:
        return self.server


@pytest.fixture
def server() -> Iterator[EmbeddedCxdb]:
    with EmbeddedCxdb() as running:
        yield running


def harm(server: CxdbServer | None, deed: str) -> FaultRecord:
    return FAULTS[FaultKind.CXDB](FaultStep(kind=FaultKind.CXDB, target=deed), cast(Scene, CxdbScene(server)))


def takes_connections(server: EmbeddedCxdb) -> bool:
    host, _, port = server.binary_addr.rpartition(":")
    with socket.socket() as sock:
        sock.settimeout(2)
        return sock.connect_ex((host, int(port))) == 0


def test_a_killed_server_is_gone_and_comes_back_at_the_same_address(server: EmbeddedCxdb) -> None:
    address = server.binary_addr
    killed = harm(server, "kill")
    assert (killed.fired, takes_connections(server)) == (True, False)
    assert "nobody answers there" in killed.proof
    started = harm(server, "start")
    assert (started.fired, takes_connections(server), server.binary_addr) == (True, True, address)


def test_a_server_that_starts_empty_knows_no_context_at_the_same_address(server: EmbeddedCxdb) -> None:
    address, context_id = server.binary_addr, new_context(server.binary_addr, 2.0)
    harm(server, "kill")
    started = harm(server, "start-empty")
    assert (started.fired, server.binary_addr) == (True, address)
    assert started.proof.endswith("knows 0 contexts")
    assert not knows_context(address, context_id, 2.0)


def test_a_paused_server_stands_still_until_it_is_told_to_go_on(server: EmbeddedCxdb) -> None:
    assert harm(server, "pause").fired
    assert is_stopped(server.pid)
    assert takes_connections(server), "the kernel does, which is why a connection proves nothing"
    assert harm(server, "continue").fired


@pytest.mark.parametrize("deed", ["start", "continue"])
def test_a_deed_that_changes_nothing_has_not_fired(server: EmbeddedCxdb, deed: str) -> None:
    assert not harm(server, deed).fired


@pytest.mark.parametrize("deed", ["kill", "pause", "continue"])
def test_a_server_that_is_gone_cannot_be_harmed(server: EmbeddedCxdb, deed: str) -> None:
    server.kill()
    assert not harm(server, deed).fired


def test_a_case_without_a_server_of_its_own_can_harm_none() -> None:
    assert harm(None, "kill").proof == "the case has no CXDB of its own"


def test_only_a_server_of_ones_own_is_lent_as_a_whole() -> None:
    with CxdbSupply() as supply, supply.lend(CxdbMode.SHARED) as shared, supply.lend(CxdbMode.OWN) as own:
        assert (shared.own, own.own.is_running) == (None, True)
        assert shared.addresses != own.addresses
        with supply.lend(CxdbMode.NONE) as none:
            assert none == LentCxdb()


@pytest.mark.parametrize("deed", ["kill", "pause"])
def test_what_a_case_has_done_to_its_server_is_undone(deed: str) -> None:
    with CxdbSupply() as supply, supply.lend(CxdbMode.OWN) as lent:
        assert harm(lent.own, deed).fired
        lent.bring_back()
        assert takes_connections(lent.own)
        assert not is_stopped(lent.own.pid)


def answers(binary_addr: str) -> bool:
    try:
        new_context(binary_addr, 2.0)
    except (CxdbError, OSError):
        return False
    return True


@NEEDS_A_DISK
def test_a_server_whose_disk_is_full_ends_and_begins_again_with_room() -> None:
    with CxdbSupply() as supply, supply.lend(CxdbMode.OWN, "1m") as lent:
        place = Path(lent.own.data_dir)
        assert place.is_mount()
        context_id = new_context(lent.own.binary_addr, 2.0)
        filled = harm(lent.own, "fill-disk")
        assert filled.fired
        assert filled.proof.endswith("bytes written, then ENOSPC; 0 blocks free")
        assert not all(answers(lent.own.binary_addr) for _ in range(1000))  # the log's last page takes some more
        freed, started = harm(lent.own, "free-disk"), harm(lent.own, "start")
        assert (freed.fired, started.fired) == (True, True), (freed.proof, started.proof)
        assert knows_context(lent.own.binary_addr, context_id, 2.0)
    assert not place.exists()


def test_a_small_disk_is_for_an_embedded_server_only() -> None:
    scenario = dataclasses.replace(next(iter(find_cases(SCENARIOS))).scenario, cxdb=CxdbMode.OWN, cxdb_disk="1m")
    with CxdbSupply(CxdbChoice(CxdbKind.CONTAINER, image="any")) as supply:
        assert "only the embedded one's" in supply.refusal(scenario)
