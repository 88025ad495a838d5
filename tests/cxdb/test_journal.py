"""Shipping events to a real server process: complete, never doubled, and never in a stage's way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from attractor.contracts import EventName
from attractor.cxdb import CxdbConnection, Journal, RunFacts, publish_bundle
from attractor.errors import ConfigError, CxdbOutcomeUnknown, CxdbUnreachable
from attractor.rundir import EventLog, Layout
from harness.cxdb.embedded import EmbeddedCxdb
from harness.cxdb.reader import read_turns


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedCxdb]:
    with EmbeddedCxdb(tmp_path / "cxdb") as running:
        yield running


class Shipping:
    """A journal on a real log and a real server, as a run has it."""

    def __init__(self, server: EmbeddedCxdb, folder: Path) -> None:
        self.server, self.layout, self.notes = server, Layout(folder), []  # type: ignore[var-annotated]
        publish_bundle(server.http_base_url)
        first = self.connect(2.0)
        self.context_id = str(first.create_context().context_id)
        self.log = EventLog(self.layout, "r")
        self.journal = Journal(
            self.connect,
            RunFacts(self.context_id, "digraph G {}"),
            self.layout.progress,
            on_outage=lambda reason: self.notes.append(reason),
            on_recovery=lambda seconds: self.notes.append("recovered"),
        )
        self.journal.attach(first)
        self.log.listen(self.journal.take)

    def connect(self, timeout: float) -> CxdbConnection:
        return CxdbConnection(self.server.binary_addr, client_tag="test", timeout_seconds=timeout)

    def emit(self, count: int) -> None:
        for _ in range(count):
            self.log.emit(EventName.STAGE_RETRY_SLEEP, node_id="a", attempt=1, delay_ms=1)

    def stored(self) -> list[int]:
        turns = read_turns(self.server.http_base_url, self.context_id)
        return [int(turn.data["event_seq"]) for turn in turns]

    def close(self) -> None:
        self.journal.close()
        self.log.close()


@pytest.fixture
def shipping(server: EmbeddedCxdb, tmp_path: Path) -> Iterator[Shipping]:
    (tmp_path / "run").mkdir()
    made = Shipping(server, tmp_path / "run")
    yield made
    made.close()


def test_every_event_is_stored_once_and_in_order(shipping: Shipping) -> None:
    shipping.emit(500)
    shipping.journal.flush()
    head, pending = shipping.journal.settle()
    assert (pending, shipping.stored()) == (0, list(range(1, 501)))
    assert int(head) > 0


def test_a_killed_server_is_noted_once_and_what_it_missed_follows(shipping: Shipping) -> None:
    shipping.emit(10)
    shipping.journal.flush()
    shipping.server.kill()
    shipping.emit(10)
    for _ in range(3):
        shipping.journal.flush()
    shipping.emit(10)
    shipping.server.restart()
    assert shipping.journal.settle()[1] == 0
    assert shipping.stored() == list(range(1, 31))
    assert len(shipping.notes) == 2
    assert "lost with" in shipping.notes[0]
    assert shipping.notes[1] == "recovered"


def test_answers_lost_on_the_way_do_not_make_doubles(shipping: Shipping) -> None:
    # Sent and stored, but the answers are never read: the connection is cut under the journal's feet.
    shipping.emit(50)
    connection = shipping.journal._connection
    assert connection is not None
    connection.push()
    witness = shipping.connect(2.0)
    witness.head(int(shipping.context_id))  # by now the server has taken in what was pushed before
    witness.close()
    connection.close()
    shipping.emit(5)
    shipping.journal.flush()
    assert shipping.journal.settle()[1] == 0
    assert shipping.stored() == list(range(1, 56))


def test_a_server_that_stays_away_costs_a_bounded_wait_and_a_count(shipping: Shipping) -> None:
    shipping.emit(4)
    shipping.journal.settle()
    shipping.server.kill()
    shipping.emit(3)
    shipping.journal.flush()
    assert shipping.journal.settle(wait_seconds=0.2) == ("", 3)


def test_a_stuck_server_does_not_stop_the_run(shipping: Shipping) -> None:
    shipping.server.pause()
    shipping.emit(20_000)
    for _ in range(3):
        shipping.journal.flush()
    shipping.server.resume()
    assert shipping.journal.settle(wait_seconds=60)[1] == 0
    assert shipping.stored() == list(range(1, 20_001))


def test_a_new_life_ships_what_the_last_one_left(shipping: Shipping) -> None:
    shipping.emit(5)
    shipping.journal.settle()
    shipping.journal.close()
    shipping.emit(5)
    facts = RunFacts(shipping.context_id, "digraph G {}")
    second = Journal(shipping.connect, facts, shipping.layout.progress, on_outage=print, on_recovery=print)
    second.attach(shipping.connect(2.0))
    assert second.settle()[1] == 0
    second.close()
    assert shipping.stored() == list(range(1, 11))


def test_a_context_the_server_does_not_know_is_unreachable(server: EmbeddedCxdb, tmp_path: Path) -> None:
    connection = CxdbConnection(server.binary_addr, client_tag="test")
    journal = Journal(
        lambda timeout: connection, RunFacts("99", ""), tmp_path / "none", on_outage=print, on_recovery=print
    )
    with pytest.raises(CxdbUnreachable, match="context 99 cannot be read"):
        journal.attach(connection)
    connection.close()


def test_nobody_listening_is_unreachable_with_the_address() -> None:
    with pytest.raises(CxdbUnreachable, match=r"no CXDB at 127\.0\.0\.1:1: "):
        CxdbConnection("127.0.0.1:1", client_tag="test")


def test_the_http_port_given_as_the_binary_port_is_noticed(server: EmbeddedCxdb) -> None:
    with pytest.raises(CxdbUnreachable, match="does not answer as CXDB does"):
        CxdbConnection(server.http_base_url.removeprefix("http://"), client_tag="test")


def test_a_request_refused_by_closing_has_an_unknown_outcome(server: EmbeddedCxdb) -> None:
    connection = CxdbConnection(server.binary_addr, client_tag="test")
    with pytest.raises(CxdbOutcomeUnknown, match="closed the connection"):
        connection.head(12345)
    connection.close()


@pytest.mark.parametrize("address", ["", "host", ":9009", "host:", "host:port", "host:70000", "9009"])
def test_a_bad_address_is_a_configuration_error(address: str) -> None:
    with pytest.raises(ConfigError, match="is not an address"):
        CxdbConnection(address, client_tag="test")
