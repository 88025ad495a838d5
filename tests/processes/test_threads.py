"""A worker's end is always seen, and a thread that cannot begin is an error, not a wait without end."""

import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from attractor.processes import Worker, threads


def test_join_waits_for_the_work() -> None:
    go, done = threading.Event(), threading.Event()
    worker = Worker(lambda: (go.wait(10), done.set(), None)[-1])
    worker.start()
    assert not done.is_set()
    go.set()
    worker.join()
    assert done.is_set()


def test_a_machine_without_threads_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_thread", SimpleNamespace(start_new_thread=refused))
    worker = Worker(lambda: None)
    with pytest.raises(MemoryError, match="can't start new thread"):
        worker.start()
    worker.join()


def test_a_thread_that_begins_too_late_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[Callable[[], None]] = []

    def kept(work: Callable[[], None], _arguments: tuple[()]) -> int:
        late.append(work)
        return 1

    monkeypatch.setattr(threads, "_thread", SimpleNamespace(start_new_thread=kept))
    called: list[bool] = []
    worker = Worker(lambda: called.append(True))
    with pytest.raises(MemoryError, match="did not begin"):
        worker.start(0.01)
    late[0]()
    assert called == []
    worker.join()
