"""Shipping events to a real server process: complete, never doubled, and never in a stage's way."""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from attractor.contracts import EventName
from attractor.cxdb import CxdbConnection, Journal, RunFacts, publish_bundle, turns_of
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
        self.server, self.layout = server, Layout(folder)
        self.notes: list[str] = []
        self.contexts: list[str] = []
        publish_bundle(server.http_base_url)
        first = self.connect(2.0)
        self.context_id = str(first.create_context().context_id)
        self.log = EventLog(self.layout, "r")
        self.journal = Journal(
            self.connect,
            RunFacts("r", self.context_id, "digraph G {}"),
            self.layout.progress,
            on_outage=lambda reason: self.notes.append(reason),
            on_recovery=lambda seconds, context_id: self.notes.append(f"recovered in {context_id}"),
            publish=self.publish,
            on_context=self.contexts.append,
        )
        self.journal.attach(first, fresh=True)
        self.log.listen(self.journal.take)

    def connect(self, timeout: float) -> CxdbConnection:
        return CxdbConnection(self.server.binary_addr, client_tag="test", timeout_seconds=timeout)

    def publish(self, timeout: float) -> None:
        publish_bundle(self.server.http_base_url, timeout_seconds=timeout)

    def emit(self, count: int) -> None:
        for _ in range(count):
            self.log.emit(EventName.STAGE_RETRY_SLEEP, node_id="a", attempt=1, delay_ms=1)

    def stored(self, context_id: str | None = None) -> list[int]:
        turns = read_turns(self.server.http_base_url, context_id or self.journal.context_id)
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


def flush_until(shipping: Shipping, holds: Callable[[], bool]) -> float:
    """Flush, as a run between stages does, until something holds; the longest flush, in seconds."""
    deadline = time.monotonic() + 30
    longest = 0.0
    while not holds():
        began = time.monotonic()
        assert began < deadline
        shipping.journal.flush()
        longest = max(longest, time.monotonic() - began)
    return longest


def new_life(shipping: Shipping) -> Journal:
    return Journal(
        shipping.connect,
        RunFacts("r", shipping.context_id, "digraph G {}"),
        shipping.layout.progress,
        on_outage=print,
        on_recovery=print,
        publish=shipping.publish,
        on_context=shipping.contexts.append,
    )


def occupy(shipping: Shipping, known: str) -> None:
    """Make the run's context id somebody else's on a server that has forgotten it."""
    if known == "unknown":
        return
    with closing(shipping.connect(2.0)) as other:
        while str(other.create_context().context_id) != shipping.context_id:
            pass
        if known == "another run's":
            event = {"seq": 7, "ts": "2026-01-01T00:00:00Z", "run_id": "other", "event": "stage_retry_sleep"}
            facts = RunFacts("other", shipping.context_id, "")
            for turn in turns_of(event | {"node_id": "z", "attempt": 1, "delay_ms": 1}, facts):
                other.append(int(shipping.context_id), turn.type_id, turn.type_version, turn.payload)
            other.barrier()


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
    flush_until(shipping, lambda: len(shipping.notes) == 2)
    assert shipping.journal.settle()[1] == 0
    assert shipping.stored() == list(range(1, 31))
    assert len(shipping.notes) == 2
    assert "lost with" in shipping.notes[0]
    assert shipping.notes[1] == f"recovered in {shipping.journal.context_id}"


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
    second = new_life(shipping)
    second.attach(shipping.connect(2.0))
    assert second.settle()[1] == 0
    second.close()
    assert shipping.stored() == list(range(1, 11))


@pytest.mark.parametrize("known", ["unknown", "empty", "another run's"])
def test_a_life_that_finds_its_context_gone_ships_everything_into_a_new_one(shipping: Shipping, known: str) -> None:
    shipping.emit(5)
    shipping.journal.settle()
    shipping.journal.close()
    shipping.server.restart(forget=True)
    occupy(shipping, known)
    second = new_life(shipping)
    second.attach(shipping.connect(2.0))
    assert second.settle()[1] == 0
    assert shipping.contexts == [second.context_id]
    assert shipping.stored(second.context_id) == [1, 2, 3, 4, 5]
    if known != "unknown":
        assert second.context_id != shipping.context_id
        assert shipping.stored(shipping.context_id) == ([7] if known == "another run's" else [])
    second.close()


@pytest.mark.parametrize("known", ["unknown", "empty", "another run's"])
def test_a_server_that_comes_back_empty_gets_everything_in_a_context_of_its_own(shipping: Shipping, known: str) -> None:
    shipping.emit(10)
    shipping.journal.settle()
    shipping.server.kill()
    shipping.emit(5)
    shipping.journal.flush()
    shipping.server.restart(forget=True)
    occupy(shipping, known)
    flush_until(shipping, lambda: len(shipping.notes) == 2)
    shipping.emit(5)
    assert shipping.journal.settle()[1] == 0
    new = shipping.journal.context_id
    assert shipping.contexts == [new]
    assert shipping.notes[1] == f"recovered in {new}"
    assert shipping.stored(new) == list(range(1, 21))
    if known == "another run's":
        assert (new != shipping.context_id, shipping.stored(shipping.context_id)) == (True, [7])


def test_a_context_that_has_lost_acknowledged_turns_is_left(shipping: Shipping) -> None:
    shipping.emit(3)
    shipping.journal.settle()
    shipping.server.stop()
    saved = shipping.server.data_dir.with_name("saved")
    shutil.copytree(shipping.server.data_dir, saved)
    shipping.server.start()
    shipping.emit(3)
    shipping.journal.flush()
    shipping.journal.settle()
    shipping.server.kill()
    shutil.rmtree(shipping.server.data_dir)
    saved.rename(shipping.server.data_dir)
    shipping.emit(1)
    shipping.journal.flush()
    shipping.server.restart()
    assert shipping.journal.settle()[1] == 0
    assert shipping.journal.context_id != shipping.context_id
    assert shipping.stored(shipping.journal.context_id) == list(range(1, 8))


def test_nothing_is_told_while_settling(shipping: Shipping) -> None:
    shipping.journal.settle()
    shipping.server.kill()
    shipping.emit(3)
    assert shipping.journal.settle(wait_seconds=0.2)[1] == 3
    assert shipping.notes == []
    assert "no CXDB at" in shipping.journal.outage
    shipping.server.restart()
    assert shipping.journal.settle()[1] == 0
    assert (shipping.notes, shipping.journal.outage) == ([], "")


def test_a_server_that_accepts_and_is_silent_costs_a_flush_a_short_deadline_for_everything(shipping: Shipping) -> None:
    shipping.emit(3)
    shipping.journal.settle()
    shipping.server.kill()
    host, port = shipping.server.binary_addr.split(":")
    with socket.create_server((host, int(port))):  # the kernel accepts; nobody answers
        shipping.emit(3)
        shipping.journal.flush()
        flush_until(shipping, lambda: shipping.journal.attempts == 1)
        began = time.monotonic()
        flush_until(shipping, lambda: shipping.journal.attempts == 2)
        taken = time.monotonic() - began
    # The pause before the second attempt (0.1 s) and the attempt itself (0.25 s).
    assert taken < 1.0
    shipping.server.restart()
    assert shipping.journal.settle()[1] == 0
    assert shipping.stored() == [1, 2, 3, 4, 5, 6]


def test_a_long_history_is_shipped_behind_the_stages_back(shipping: Shipping) -> None:
    shipping.emit(100)
    shipping.journal.settle()
    shipping.server.kill()
    shipping.emit(30_000)
    shipping.journal.flush()
    shipping.server.restart(forget=True)
    longest = flush_until(shipping, lambda: bool(shipping.contexts))
    shipping.emit(10)  # these must not overtake the ones before
    assert shipping.journal.settle(wait_seconds=30)[1] == 0
    assert shipping.stored(shipping.journal.context_id) == list(range(1, 30_111))
    assert longest < 2.0


def test_turns_given_up_and_stored_after_all_do_not_make_doubles(shipping: Shipping) -> None:
    shipping.emit(5)
    shipping.journal.settle()
    shipping.server.pause()
    shipping.emit(5)
    shipping.journal.settle(wait_seconds=0.1)
    shipping.server.resume()
    assert shipping.journal.settle(wait_seconds=30)[1] == 0
    assert shipping.stored() == list(range(1, 11))


def test_what_did_not_fit_the_window_is_not_forgotten_at_the_end(shipping: Shipping) -> None:
    shipping.server.pause()
    shipping.emit(20_000)
    shipping.server.resume()
    assert shipping.journal.settle(wait_seconds=60)[1] == 0
    assert shipping.stored() == list(range(1, 20_001))


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


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        ":9009",
        "host:",
        "host:port",
        "host:70000",
        "9009",
        "host:²",
        f"{'x' * 70}.org:9009",
        "a..b:9009",
        "\ud800:9",
    ],
)
def test_a_bad_address_is_a_configuration_error(address: str) -> None:
    with pytest.raises(ConfigError, match="is not an address"):
        CxdbConnection(address, client_tag="test")


def test_connecting_and_being_greeted_share_one_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(CxdbUnreachable, match="does not answer as CXDB does"):
            CxdbConnection(address, client_tag="test", timeout_seconds=0.2)
        assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://h:notaport", "http://h:99999", "ftp://h", "http://", "", f"http://{'x' * 70}.org"]
)
def test_a_bad_base_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match="is not a base URL"):
        publish_bundle(url)


def test_an_http_port_that_drips_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
                while not stop.wait(0.02):
                    connection.sendall(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            with pytest.raises(CxdbUnreachable, match=r"no complete answer within 0\.3 s"):
                publish_bundle(f"http://127.0.0.1:{server.getsockname()[1]}", timeout_seconds=0.3)
        finally:
            stop.set()
            dripping.join(10)
