"""What a fault may look at and touch while a case runs. The runner provides it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from harness.launchers import Launched
from harness.link import LinkCounts
from harness.processes import ProcessIdentity
from harness.repos import Git
from harness.results import FaultRecord

__all__ = ["CxdbLink", "CxdbServer", "Scene", "fault_record", "now"]


class CxdbServer(Protocol):
    """The case's own CXDB, a process or a container; its addresses stay the same through all of it."""

    binary_addr: str
    http_base_url: str

    @property
    def data_dir(self) -> Path:
        """Only of a process."""

    @property
    def is_running(self) -> bool: ...

    @property
    def label(self) -> str:
        """What it is called by whoever runs it, such as "pid 4711"; only of one that is there."""

    def stands_still(self) -> bool:
        """By the word of whoever runs it."""

    def kill(self) -> None: ...

    def start(self) -> None: ...

    def start_empty(self) -> None:
        """Without anything that it has known before."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class CxdbLink(Protocol):
    """What lies between the engine and CXDB; each deed says how many connections it has met."""

    binary_addr: str
    server_addr: str

    def counts(self) -> LinkCounts: ...

    def delay(self, latency_seconds: float) -> None: ...

    def cut(self) -> int: ...

    def refuse(self) -> int: ...

    def half_open(self) -> int: ...

    def restore(self) -> int: ...


class Scene(Protocol):
    def engine(self, run: str) -> ProcessIdentity | None:
        """The engine process of that run, alive; None when there is none."""

    def agent(self) -> ProcessIdentity | None:
        """The agent program that was started last, alive and with an answer to work on; None before and after."""

    def command(self, run: str) -> Launched | None:
        """The newest command started for that run."""

    def last_event(self, run: str) -> Mapping[str, Any]:
        """The newest whole line of its progress; empty when there is none."""

    def cxdb(self) -> CxdbServer | None:
        """The case's own CXDB server; None where it has none to itself."""

    def link(self) -> CxdbLink | None:
        """The link between the engine and CXDB; None where nothing lies between them."""

    def git(self) -> Git:
        """The git program in the case's repository."""

    def text(self, text: str, run: str) -> str:
        """With its placeholders filled."""

    def in_logs_root(self, run: str, path: str) -> Path:
        """A path with its placeholders filled; relative ones lie in the run's logs root."""

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Looks until it holds, bounded by the case's own time."""


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def fault_record(kind: str, target: str, fired: bool, proof: str) -> FaultRecord:
    return FaultRecord(kind=kind, target=target, fired=fired, proof=proof, at=now() if fired else "")
