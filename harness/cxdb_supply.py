"""Gives cases a CXDB server: one shared by all that only write to it, one alone for those that harm it.

Which kind is the session's choice (cxdb_choice.py). Servers of ours are started when first needed and stopped with the
supply; a given one is only ever shared, since nobody but its owner may harm it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.cxdb_choice import EMBEDDED, CxdbChoice, CxdbKind
from harness.disks import small_disk
from harness.errors import HarnessError
from harness.scenario import CxdbMode, FaultKind, FaultStep, Scenario

__all__ = ["CxdbSupply", "LentCxdb", "prepare_cxdb"]

PROBE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class LentCxdb:
    """What a case has of CXDB. `addresses` is for the run configuration; None when the case does without.

    `own` is the server, where the case has one to itself and may harm it. `log` is what the server has printed since
    it was lent.
    """

    addresses: Mapping[str, str] | None = None
    own: Any = None
    log: Callable[[], str] = dataclasses.field(default=lambda: "", compare=False)

    def bring_back(self) -> None:
        """What a case has done to its server is undone, so that what the server has can be read."""
        with _harness_errors("the case's CXDB cannot be brought back"):
            if self.own is not None and self.own.is_running:
                self.own.resume()
            elif self.own is not None:
                self.own.restart()


class CxdbSupply:
    """Use as a context manager around a session."""

    def __init__(self, choice: CxdbChoice = EMBEDDED) -> None:
        self.choice = choice
        self._stack = contextlib.ExitStack()
        self._shared: Any = None
        self._image = ""
        self._remembers: bool | None = None  # not known yet

    def __enter__(self) -> CxdbSupply:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._shared = None
        self._stack.close()

    def refusal(self, scenario: Scenario) -> str:
        """Why a case cannot have the server that it wants; empty when it can."""
        if scenario.cxdb is not CxdbMode.OWN:
            return ""
        if self.choice.kind is CxdbKind.GIVEN:
            return f"needs a CXDB of its own to harm; the one at {self.choice.binary_addr} is not ours to harm"
        if scenario.cxdb_disk and self.choice.kind is not CxdbKind.EMBEDDED:
            return "needs a CXDB whose data can be on a small disk; only the embedded one's can"
        starts_again = any(
            isinstance(step, FaultStep) and step.kind is FaultKind.CXDB and step.target == "start"
            for step in scenario.steps
        )
        if starts_again and not self._keeps_data():
            return f"needs a CXDB that keeps its data when it is killed; the one in {self.choice.image} forgets"
        return ""

    def _keeps_data(self) -> bool:
        """Ours do; any other is asked once, by killing one."""
        if self.choice.kind is CxdbKind.EMBEDDED or self.choice.is_built:
            return True
        if self._remembers is None:
            with self._server() as server, _harness_errors("the CXDB cannot be tried"):
                self._remembers = server.remembers()
        return self._remembers

    @contextlib.contextmanager
    def lend(self, mode: CxdbMode, disk: str = "") -> Iterator[LentCxdb]:
        """`disk`: how large the disk is that its data are on. HarnessError where there is none to lend."""
        if mode is CxdbMode.NONE:
            yield LentCxdb()
        elif self.choice.kind is CxdbKind.GIVEN:
            if mode is CxdbMode.OWN:
                raise HarnessError(f"the CXDB at {self.choice.binary_addr} is not ours to harm")
            yield LentCxdb(_addresses(self.choice))
        elif mode is CxdbMode.SHARED:
            if self._shared is None:
                self._shared = self._stack.enter_context(self._server())
            yield LentCxdb(_addresses(self._shared), None, _log_from_now(self._shared))
        else:
            with self._server(disk) as own:
                yield LentCxdb(_addresses(own), own, lambda: str(own.log()))

    @contextlib.contextmanager
    def _server(self, disk: str = "") -> Iterator[Any]:
        with contextlib.ExitStack() as stack:
            with _harness_errors(f"the {self.choice.kind} CXDB did not start"):
                server = self._made(stack.enter_context(_directory_of(disk)) if disk else None)
                started = server.__enter__()
            try:
                yield started
            finally:
                with _harness_errors(f"the {self.choice.kind} CXDB did not end"):
                    server.__exit__(None, None, None)

    def _made(self, data_dir: Path | None = None) -> Any:
        if self.choice.kind is CxdbKind.EMBEDDED:
            from harness.cxdb.embedded import EmbeddedCxdb  # costs time, and many cases need none

            return EmbeddedCxdb(data_dir)
        from harness.cxdb.container import ContainerCxdb
        from harness.cxdb.docker_engine import connected

        if not self._image:
            with connected() as client:
                self._image = _image(client, self.choice, lambda text: None)
        return ContainerCxdb(self._image)


def prepare_cxdb(choice: CxdbChoice) -> None:
    """Before a session: what was left by one that was killed is removed, an image is pulled or built, a given server
    answers. HarnessError, with what to do, where there can be no such CXDB.
    """
    if choice.kind is CxdbKind.CONTAINER:
        with _harness_errors("no CXDB in a container"):
            from harness.cxdb.docker_engine import connected, sweep_containers

            with connected() as client:
                sweep_containers(client)
                _image(client, choice, _tell)
    elif choice.kind is CxdbKind.GIVEN:
        from harness.cxdb.probe import health_problem, hello_problem

        problem = hello_problem(choice.binary_addr, PROBE_SECONDS)
        problem = problem or health_problem(choice.http_base_url, PROBE_SECONDS)
        if problem:
            raise HarnessError(f"no CXDB at {choice.host}:{choice.port}:{choice.http_port}: {problem}")


def _image(client: Any, choice: CxdbChoice, tell: Callable[[str], None]) -> str:
    from harness.cxdb.image import built_image, pulled_image

    if choice.is_built:
        return built_image(client, choice.base_image, tell)
    pulled_image(client, choice.image, tell, "name another with --cxdb-image, or have one built: --cxdb-image build")
    return choice.image


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - it takes a while, and nothing else is shown yet


@contextlib.contextmanager
def _directory_of(size: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cxdb-") as directory, small_disk(Path(directory), size):
        yield Path(directory)


@contextlib.contextmanager
def _harness_errors(what: str) -> Iterator[None]:
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:
        raise HarnessError(f"{what}: {error}") from error


def _log_from_now(server: Any) -> Callable[[], str]:
    since = time.time()
    return lambda: str(server.log(since))


def _addresses(server: Any) -> dict[str, str]:
    return {"binary_addr": server.binary_addr, "http_base_url": server.http_base_url}
