"""Shipping over a link that is cut or narrow: see `harness.link`."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from attractor.contracts import EventName
from attractor.cxdb import CxdbConnection, Journal, RunFacts, publish_bundle
from attractor.rundir import EventLog, Layout
from harness.cxdb.embedded import EmbeddedCxdb
from harness.cxdb.reader import read_turns
from harness.link import Cut, LinkSpec, Unit, Way
from harness.link.proxy import LinkProxy


class Shipping:
    def __init__(self, link: LinkProxy, folder: Path) -> None:
        self.notes: list[str] = []
        self.log = EventLog(Layout(folder), "r")
        self.link = link
        first = self.connect(2.0)
        self.journal = Journal(
            self.connect,
            RunFacts("r", str(first.create_context().context_id), "digraph G {}"),
            Layout(folder).progress,
            on_outage=self.notes.append,
            on_recovery=lambda seconds, context_id: self.notes.append("recovered"),
            publish=lambda timeout: None,
            on_context=lambda context_id: None,
        )
        self.journal.attach(first, fresh=True)
        self.log.listen(self.journal.take)

    def connect(self, timeout: float) -> CxdbConnection:
        return CxdbConnection(self.link.binary_addr, client_tag="test", timeout_seconds=timeout)

    def emit(self, count: int) -> None:
        for _ in range(count):
            self.log.emit(EventName.STAGE_RETRY_SLEEP, node_id="a", attempt=1, delay_ms=1)

    def close(self) -> None:
        self.journal.close()
        self.log.close()


@pytest.fixture
def shipping(tmp_path: Path) -> Iterator[Callable[[LinkSpec], Shipping]]:
    (tmp_path / "run").mkdir()
    with EmbeddedCxdb(tmp_path / "cxdb") as server, ExitStack() as stack:

        def make(spec: LinkSpec) -> Shipping:
            link = stack.enter_context(LinkProxy(server.binary_addr, server.http_base_url, spec))
            made = Shipping(link, tmp_path / "run")
            stack.callback(made.close)
            return made

        yield make


def test_nothing_is_told_of_an_outage_before_the_first_flush(shipping: Callable[[LinkSpec], Shipping]) -> None:
    """A life's first event is its own beginning: the hello, the context and what it holds were answered, no more."""
    broken = shipping(LinkSpec(cut=Cut(Way.REPLY, 3)))
    assert broken.notes == []
    broken.emit(2)
    deadline = time.monotonic() + 30
    while broken.notes[-1:] != ["recovered"]:
        assert time.monotonic() < deadline
        broken.journal.flush()
    assert broken.journal.settle(5.0)[1] == 0


def test_a_server_that_goes_on_answering_is_not_given_up(shipping: Callable[[LinkSpec], Shipping]) -> None:
    narrow = shipping(LinkSpec(bytes_per_second=20_000))
    narrow.emit(100)
    narrow.journal.flush()
    began = time.monotonic()
    _, pending = narrow.journal.settle(0.3)
    assert (pending, narrow.journal.outage) == (0, "")
    assert time.monotonic() - began > 0.3


HELLO, EMPTY, ACK = 26, 20, 68  # bytes of the replies: to hello, to what is stored, to each turn


@pytest.mark.parametrize(
    ("way", "counts"),
    [(Way.REPLY, range(1, HELLO + EMPTY + ACK + 1)), (Way.REQUEST, range(1, 400, 3))],
    ids=["each byte of replies", "each third byte of requests"],
)
def test_a_connection_closed_at_any_byte_costs_no_turn_and_makes_none_twice(
    way: Way, counts: range, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attractor.cxdb.journal.RECONNECT_FIRST_SECONDS", 0.001)
    with EmbeddedCxdb(tmp_path / "cxdb") as server:
        publish_bundle(server.http_base_url)
        for count in counts:
            folder = tmp_path / f"run{count}"
            folder.mkdir()
            with LinkProxy(server.binary_addr, server.http_base_url, LinkSpec(cut=Cut(way, count, Unit.BYTES))) as link:
                assert shipped_through(link, server, folder) == [1, 2, 3, 4, 5], count
                assert link.counts().cuts == 1


def shipped_through(link: LinkProxy, server: EmbeddedCxdb, folder: Path) -> list[int]:
    """The events that a journal has made turns of, which finds its server only behind the link."""
    with closing(CxdbConnection(server.binary_addr, client_tag="test")) as direct:
        context_id = str(direct.create_context().context_id)
    log = EventLog(Layout(folder), "r")
    journal = Journal(
        lambda timeout: CxdbConnection(link.binary_addr, client_tag="test", timeout_seconds=timeout),
        RunFacts("r", context_id, "digraph G {}"),
        Layout(folder).progress,
        on_outage=lambda reason: None,
        on_recovery=lambda seconds, context_id: None,
        publish=lambda timeout: None,
        on_context=lambda context_id: None,
    )
    with closing(journal), closing(log):
        log.listen(journal.take)
        for _ in range(5):
            log.emit(EventName.STAGE_RETRY_SLEEP, node_id="a", attempt=1, delay_ms=1)
            journal.flush()
        assert journal.settle(10.0)[1] == 0
        turns = read_turns(server.http_base_url, int(journal.context_id))
    return [int(turn.data["event_seq"]) for turn in turns]
