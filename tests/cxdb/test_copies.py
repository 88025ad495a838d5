"""The thread that copies what turns name, at a server that is well, away, forgetful, narrow or broken."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3

from attractor.contracts import EventName
from attractor.cxdb import Copies, CxdbConnection, RunFacts, Turn, is_complete, turns_of
from attractor.cxdb.tree_upload import NOTICE
from attractor.errors import CxdbError
from attractor.workspace import GitTrees
from harness.cxdb.embedded import EmbeddedCxdb
from harness.cxdb.errors import CxdbRefused
from harness.cxdb.reader import can_be_asked_for, read_folder, read_shown_file
from harness.link import Cut, LinkSpec, Unit, Way
from harness.link.proxy import LinkProxy
from tests.cxdb.committed import commit, git


class Counting(CxdbConnection):
    """Counts the blobs that are put."""

    put = 0

    def put_blob(self, *args: object) -> None:
        type(self).put += 1
        super().put_blob(*args)  # type: ignore[arg-type]


class Copying:
    """Copies of commits of one repository, told to a real server turn by turn."""

    def __init__(self, server: EmbeddedCxdb, repo: Path, place: Path, max_bytes: int = 1 << 20) -> None:
        self.server, self.repo, self.place = server, repo, place
        self.connection_type = type("Counted", (Counting,), {"put": 0})
        self.writer = CxdbConnection(server.binary_addr, client_tag="test")
        self.context_id = str(self.writer.create_context().context_id)
        self.events = 0
        self.max_bytes = max_bytes
        self.through = ""  # a link's address
        self.begin()

    def begin(self) -> None:
        self.copies = Copies(self.connect, GitTrees(self.repo), self.max_bytes)
        self.watch = self.copies.watch("r", self.context_id, self.place)

    def connect(self) -> CxdbConnection:
        address = self.through or self.server.binary_addr
        return self.connection_type(address, client_tag="copies", timeout_seconds=2.0)

    @property
    def put(self) -> int:
        return self.connection_type.put

    def turn(self, commit_sha: str) -> Turn:
        self.events += 1
        event = {"seq": self.events, "ts": "2026-01-01T00:00:00Z", "run_id": "r", "event": EventName.CHECKPOINT_SAVED}
        told = event | {"node_id": "a", "status": "success", "git_commit_sha": commit_sha, "checkpoint_path": "c"}
        return turns_of(told, RunFacts("r", self.context_id, ""))[0]

    def store(self, *commits: str) -> list[int]:
        """The ids of the turns that tell of them."""
        for sha in commits:
            turn = self.turn(sha)
            self.writer.append(int(self.context_id), turn.type_id, turn.type_version, turn.payload)
        self.writer.barrier()
        self.watch.look()
        newest = self.writer.last_turns(int(self.context_id), len(commits))
        return [turn.turn_id for turn in newest]

    def shown(self, turn_id: int) -> dict[str, bytes]:
        found: dict[str, bytes] = {}

        def collect(folder: str) -> None:
            for entry in read_folder(self.server.http_base_url, turn_id, folder)[1]:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.kind == "dir":
                    collect(path)
                elif can_be_asked_for(path):
                    found[path] = read_shown_file(self.server.http_base_url, turn_id, path)
                else:
                    assert entry.hash == blake3((self.repo / path).read_bytes()).hexdigest()
                    found[path] = (self.repo / path).read_bytes()

        collect("")
        return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedCxdb]:
    with EmbeddedCxdb(tmp_path / "cxdb") as running:
        yield running


@pytest.fixture
def copying(server: EmbeddedCxdb, files: Path, tmp_path: Path) -> Iterator[Callable[..., Copying]]:
    made: list[Copying] = []

    def make(**options: int) -> Copying:
        made.append(Copying(server, files, tmp_path / "files.json", **options))
        return made[-1]

    yield make
    for one in made:
        one.copies.close()
        one.writer.close()


def test_each_commit_shows_its_own_files(copying: Callable[..., Copying], files: Path) -> None:
    first = commit(files)
    (files / "a" / "deep" / "deeper" / "x.txt").write_text("changed")
    (files / "run").unlink()
    second = commit(files)
    same = commit(files)
    one = copying()
    turns = one.store(first, second, same)
    assert one.copies.settle(10.0) == ""
    shown = [one.shown(turn) for turn in turns]
    assert shown[0] == {
        "a/deep/deeper/x.txt": b"x",
        "a.b": b"before a/, and behind a",
        "run": b"#!/bin/sh\n",
        "link": b"nowhere/at all",
        "empty": b"",
        "ünï code": bytes(range(256)),
    }
    assert shown[1] == {path: data for path, data in shown[0].items() if path != "run"} | {
        "a/deep/deeper/x.txt": b"changed"
    }
    assert shown[2] == shown[1]


def test_what_the_server_has_is_not_sent_again(copying: Callable[..., Copying], files: Path) -> None:
    for number in range(40):
        (files / "a" / f"f{number}").write_text(str(number))
    first = commit(files)
    one = copying()
    one.store(first)
    assert one.copies.settle(10.0) == ""
    assert one.put >= 40
    (files / "a" / "deep" / "new").write_text("new")
    other = copying()
    (turn,) = other.store(commit(files))
    assert other.copies.settle(10.0) == ""
    # The new file, its three folders, and what stands beside it in the two of them that are too small to ask for.
    assert 0 < other.put < 60
    assert other.shown(turn)["a/f7"] == b"7"
    third = copying()
    third.store(first)
    assert third.copies.settle(10.0) == ""
    assert third.put == 0


def test_nobody_is_asked_where_there_is_little_to_send(copying: Callable[..., Copying], files: Path) -> None:
    """A question in vain costs a connection, and far away that is more than what it could have spared."""
    for number in range(40):
        (files / f"f{number}").write_text(str(number))
    one = copying()
    made: list[CxdbConnection] = []
    real = one.connect

    def connect() -> CxdbConnection:
        made.append(real())
        return made[-1]

    one.connect = connect  # type: ignore[method-assign]
    one.copies = Copies(connect, GitTrees(files), 1 << 20)
    one.watch = one.copies.watch("r", one.context_id, one.place)
    one.store(commit(files))
    assert one.copies.settle(10.0) == ""
    before = len(made)
    (files / "new").write_text("new")
    (turn,) = one.store(commit(files))
    assert one.copies.settle(10.0) == ""
    assert len(made) == before
    assert one.shown(turn)["new"] == b"new"


def test_a_server_that_has_forgotten_is_told_all_of_it_again(copying: Callable[..., Copying], files: Path) -> None:
    sha = commit(files)
    one = copying()
    one.store(sha)
    assert one.copies.settle(10.0) == ""
    one.server.restart(forget=True)
    one.writer.close()
    one.writer = CxdbConnection(one.server.binary_addr, client_tag="test")
    one.context_id = str(one.writer.create_context().context_id)
    one.watch.move(one.context_id)
    (turn,) = one.store(sha)
    assert one.copies.settle(10.0) == ""
    assert one.shown(turn)["run"] == b"#!/bin/sh\n"


def test_another_life_goes_on_behind_the_last(copying: Callable[..., Copying], files: Path) -> None:
    first = commit(files)
    one = copying()
    one.store(first)
    one.copies.settle(10.0)
    one.copies.close()
    assert is_complete(one.place, one.context_id)
    attached: list[object] = []

    class Reading(one.connection_type):  # type: ignore[name-defined, misc]
        def attach_fs(self, turn_id: int, root_hash: bytes) -> None:
            attached.append(turn_id)
            super().attach_fs(turn_id, root_hash)

    one.connection_type = Reading
    one.begin()
    (files / "run").unlink()
    (turn,) = one.store(commit(files))
    assert one.copies.settle(10.0) == ""
    assert "run" not in one.shown(turn)
    assert attached == [turn]


def test_turns_stored_between_two_questions_are_not_passed_over(copying: Callable[..., Copying], files: Path) -> None:
    first = commit(files)
    (files / "run").unlink()
    second = commit(files)
    (files / "a.b").unlink()
    third = commit(files)
    one = copying()
    ids: list[int] = []

    class Late(one.connection_type):  # type: ignore[name-defined, misc]
        def last_turn_facts(self, *args: float) -> object:
            found = super().last_turn_facts(*args)
            if not ids:
                ids.extend(one.store(*[second] * 40, third))
            return found

    one.connection_type = Late
    (turn,) = one.store(first)
    assert one.copies.settle(10.0) == ""
    assert ["run" in one.shown(turn) for turn in (turn, *ids)] == [True, *[False] * 41]
    assert ["a.b" in one.shown(turn) for turn in (turn, *ids)] == [*[True] * 41, False]


def test_what_is_too_large_is_left_out_and_says_so_in_its_place(copying: Callable[..., Copying], files: Path) -> None:
    small = commit(files)
    (files / "large").write_bytes(bytes(2 << 20))
    large = commit(files)
    one = copying()
    before, turn = one.store(small, large)
    missing = one.copies.settle(10.0)
    assert missing == f"commit {large[:12]}: its files have over 1 MiB, which is cxdb.snapshots.max_mib"
    assert one.shown(turn) == {NOTICE: f"left out: {missing}\n".encode()}
    assert "run" in one.shown(before)
    one.copies.close()
    assert not is_complete(one.place, one.context_id)
    one.max_bytes = 4 << 20
    one.begin()
    assert one.copies.settle(10.0) == ""
    assert one.shown(turn)["large"] == bytes(2 << 20)


def test_a_commit_that_is_gone_is_left_out_and_the_next_one_is_shown(
    copying: Callable[..., Copying], files: Path
) -> None:
    one = copying()
    gone, there = one.store("ab" * 20, commit(files))
    assert "object abab" in one.copies.settle(10.0)
    assert list(one.shown(gone)) == [NOTICE]
    assert one.shown(there)["empty"] == b""


def test_an_outage_is_waited_out_and_told_at_the_end_where_it_lasts(
    copying: Callable[..., Copying], files: Path
) -> None:
    sha = commit(files)
    one = copying()
    one.server.kill()
    one.watch.look()
    began = time.monotonic()
    assert f"no CXDB at {one.server.binary_addr}" in one.copies.settle(0.3)
    assert time.monotonic() - began < 2
    one.server.restart()
    one.writer.close()
    one.writer = CxdbConnection(one.server.binary_addr, client_tag="test")
    (turn,) = one.store(sha)
    assert one.copies.settle(10.0) == ""
    assert one.shown(turn)["empty"] == b""


def test_a_server_that_is_silent_holds_up_neither_the_end_nor_the_close(
    copying: Callable[..., Copying], files: Path
) -> None:
    sha = commit(files)
    one = copying()
    one.store(sha)
    assert one.copies.settle(10.0) == ""
    one.server.pause()
    began = time.monotonic()
    one.watch.look()
    assert one.copies.settle(0.2) != ""
    one.copies.close()
    assert time.monotonic() - began < 10
    one.server.resume()


def test_a_connection_closed_at_any_byte_costs_no_file(
    copying: Callable[..., Copying], files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attractor.cxdb.copies.RETRY_FIRST_SECONDS", 0.001)
    sha = commit(files)
    one = copying()
    (turn,) = one.store(sha)
    one.copies.settle(10.0)
    whole = one.shown(turn)
    for way, counts in ((Way.REPLY, range(1, 700, 9)), (Way.REQUEST, range(1, 1500, 19))):
        for count in counts:
            if count == 1:
                one.server.restart(forget=True)
            one.writer.close()
            one.writer = CxdbConnection(one.server.binary_addr, client_tag="test")
            one.context_id = str(one.writer.create_context().context_id)
            cut = LinkSpec(cut=Cut(way, count, Unit.BYTES))
            with LinkProxy(one.server.binary_addr, one.server.http_base_url, cut) as link:
                one.through = link.binary_addr
                one.copies.close()
                one.place.unlink()
                one.begin()
                (turn,) = one.store(sha)
                assert one.copies.settle(10.0) == "", (way, count)
                assert one.shown(turn) == whole, (way, count)


def until_shown(one: Copying, turn_id: int) -> None:
    pause, deadline = threading.Event(), time.monotonic() + 30
    while True:
        try:
            read_folder(one.server.http_base_url, turn_id, "")
        except CxdbRefused:
            assert time.monotonic() < deadline
            pause.wait(0.02)
        else:
            return


def test_new_turns_are_followed_without_being_settled(copying: Callable[..., Copying], files: Path) -> None:
    one = copying()
    until_shown(one, one.store(commit(files))[0])
    one.context_id = str(one.writer.create_context().context_id)
    one.watch = one.copies.watch("r", one.context_id, files.parent / "another.json")
    until_shown(one, one.store(commit(files))[0])
    one.context_id = str(one.writer.create_context().context_id)
    one.watch.move(one.context_id)
    until_shown(one, one.store(commit(files))[0])


def test_another_run_s_turns_are_let_alone(copying: Callable[..., Copying], files: Path) -> None:
    """A server that has forgotten a context gives its number to whoever comes first."""
    one = copying()
    (turn,) = one.store(commit(files))
    assert one.copies.settle(10.0) == ""
    before = one.shown(turn)
    elsewhere = files.parent / "elsewhere"
    elsewhere.mkdir()
    git(elsewhere, "init", "-q")
    strangers = Copies(one.connect, GitTrees(elsewhere), 1 << 20)
    strangers.watch("another run", one.context_id, files.parent / "stranger.json").look()
    assert strangers.settle(10.0) == ""
    strangers.close()
    assert one.shown(turn) == before


def test_a_context_that_is_gone_is_told_and_not_waited_for(copying: Callable[..., Copying], files: Path) -> None:
    one = copying()
    one.copies.watch("r", "999", files.parent / "gone.json").look()
    began = time.monotonic()
    assert one.copies.settle(5.0) == "CXDB does not know context 999 any more"
    assert time.monotonic() - began < 5
    (turn,) = one.store(commit(files))
    one.copies.settle(5.0)
    assert "run" in one.shown(turn)
    one.copies.close()
    assert not is_complete(files.parent / "gone.json", "999")
    assert is_complete(one.place, one.context_id)


@pytest.mark.parametrize("trouble", ["it is stuck", "it breaks"])
def test_what_was_not_done_is_not_noted_as_done(
    copying: Callable[..., Copying], files: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr("attractor.cxdb.copies.CLOSE_SECONDS", 0.05)
    one = copying()
    go_on = threading.Event()

    def connect() -> CxdbConnection:
        if trouble == "it breaks":
            raise RuntimeError("a bug")
        go_on.wait(30.0)
        return CxdbConnection(one.server.binary_addr, client_tag="test")

    monkeypatch.setattr(one, "connect", connect)
    one.begin()
    one.store(commit(files))
    assert one.copies.settle(0.1) == (
        "internal error: RuntimeError('a bug')" if trouble == "it breaks" else "there was no time for all of them"
    )
    one.copies.close()
    assert not is_complete(one.place, one.context_id)
    go_on.set()
    monkeypatch.undo()
    one.begin()
    assert one.copies.settle(10.0) == ""


def test_somebody_in_a_hurry_is_not_kept(copying: Callable[..., Copying], files: Path) -> None:
    one = copying()
    one.store(commit(files))
    one.server.pause()
    began = time.monotonic()
    assert one.copies.settle(30.0, hurried=lambda: True) != ""
    assert time.monotonic() - began < 5
    one.server.resume()


def test_many_contexts_far_away_are_all_looked_at(copying: Callable[..., Copying], files: Path) -> None:
    one = copying()
    with LinkProxy(one.server.binary_addr, one.server.http_base_url, LinkSpec(latency_seconds=0.03)) as link:
        one.through = link.binary_addr
        one.store(commit(files))
        for number in range(120):
            context_id = str(one.writer.create_context().context_id)
            one.copies.watch("r", context_id, files.parent / f"{number}.json")
        assert one.copies.settle(2.0) == ""  # for each to come forward, not for all of them


def test_a_large_file_comes_through_a_narrow_link(copying: Callable[..., Copying], files: Path) -> None:
    (files / "large").write_bytes(os.urandom(600_000))
    sha = commit(files)
    one = copying()
    with LinkProxy(one.server.binary_addr, one.server.http_base_url, LinkSpec(bytes_per_second=100_000)) as link:
        one.copies = Copies(
            lambda: CxdbConnection(link.binary_addr, client_tag="test", timeout_seconds=0.5, patient=True),
            GitTrees(files),
            1 << 20,
        )
        one.watch = one.copies.watch("r", one.context_id, one.place)
        (turn,) = one.store(sha)
        assert one.copies.settle(5.0) == ""
        one.copies.close()
    assert len(one.shown(turn)["large"]) == 600_000


def test_a_context_that_has_ended_is_noted_and_not_looked_at_again(
    copying: Callable[..., Copying], files: Path
) -> None:
    one = copying()
    one.store(commit(files))
    one.copies.end(one.place)
    until_complete = threading.Event()
    for _ in range(1500):
        if is_complete(one.place, one.context_id):
            break
        until_complete.wait(0.02)
    assert is_complete(one.place, one.context_id)
    assert not one.copies.is_watched(one.place)
    # Another life of it has more to come.
    one.watch = one.copies.watch("r", one.context_id, one.place)
    assert not is_complete(one.place, one.context_id)


def test_a_turn_without_files_and_nobody_to_ask_are_told_apart(server: EmbeddedCxdb) -> None:
    with closing(CxdbConnection(server.binary_addr, client_tag="test")) as connection:
        context = connection.create_context().context_id
        connection.append(context, b"t", 1, msgspec.msgpack.encode({1: "x"}))
        connection.barrier()
        (turn,) = connection.last_turns(context, 1)
        with pytest.raises(CxdbRefused, match="no fs snapshot"):
            read_folder(server.http_base_url, turn.turn_id, "")
        connection.attach_fs(turn.turn_id, bytes(32))
        with pytest.raises(CxdbError):
            connection.barrier()
