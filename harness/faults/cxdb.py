"""An outage of CXDB: its server is killed or stopped, and brought back.

Only of a server that the case has to itself. Each deed is proven from outside the engine: by whether a hello is
answered at the server's address, and, for one that stands still, also by the kernel's word for its process or the
container engine's for its container. Whether a connection is taken says less than it seems: a container's port may be
held by a proxy, and a process that stands still is connected by the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.cxdb.errors import CxdbError
from harness.cxdb.probe import hello_problem
from harness.errors import HarnessError
from harness.faults.room import fill_disk, free_disk
from harness.faults.scene import CxdbServer, Scene, fault_record
from harness.processes import until
from harness.results import FaultRecord
from harness.scenario import FaultStep

__all__ = ["harm_cxdb"]

ANSWER_SECONDS = 2.0
SILENCE_SECONDS = 0.2  # a server that goes on answers within one millisecond


def harm_cxdb(step: FaultStep, scene: Scene) -> FaultRecord:
    server = scene.cxdb()
    if server is None:
        return fault_record("cxdb", step.target, False, "the case has no CXDB of its own")
    try:
        if step.target == "free-disk":  # what a full disk has done to the server is its own business
            return fault_record("cxdb", step.target, *free_disk(Path(server.data_dir)))
        starts = step.target.startswith("start")
        if starts:
            until(lambda: not server.is_running, ANSWER_SECONDS)  # one that ends by itself is given the time to
        if server.is_running is starts:
            state = "running already" if server.is_running else "not running"
            return fault_record("cxdb", step.target, False, f"the server at {server.binary_addr} was {state}")
        return fault_record("cxdb", step.target, *_DEEDS[step.target](server))
    except CxdbError as error:
        raise HarnessError(f"CXDB, {step.target}: {error}") from error


def _kill(server: CxdbServer) -> tuple[bool, str]:
    label, before = server.label, _answers(server)
    server.kill()
    runs, after = server.is_running, _answers(server)
    return before and not after and not runs, (
        f"{label} {'answered' if before else 'did not answer'} at {server.binary_addr}, was killed"
        f"{' and still runs' if runs else ''}, and {'somebody still answers' if after else 'nobody answers'} there"
    )


def _start(server: CxdbServer) -> tuple[bool, str]:
    server.start()
    answers = _answers(server)
    return answers, f"{server.label} {'answers' if answers else 'does not answer'} at {server.binary_addr}"


def _start_empty(server: CxdbServer) -> tuple[bool, str]:
    from harness.cxdb.reader import list_contexts  # only where it is asked for

    server.start_empty()
    answers, known = _answers(server), len(list_contexts(server.http_base_url))
    says = "answers" if answers else "does not answer"
    return answers and not known, f"{server.label} {says} at {server.binary_addr} and knows {known} contexts"


def _pause(server: CxdbServer) -> tuple[bool, str]:
    server.pause()
    stopped, answers = server.stands_still(), _answers(server, SILENCE_SECONDS)
    return stopped and not answers, (
        f"{server.label} at {server.binary_addr} {'stands still' if stopped else 'goes on'}"
        f"{' and yet answers' if stopped and answers else ''}"
    )


def _continue(server: CxdbServer) -> tuple[bool, str]:
    before = server.stands_still()
    server.resume()
    answers = _answers(server)
    return before and answers, (
        f"{server.label} at {server.binary_addr} {'stood still' if before else 'never stood still'} and "
        f"{'answers' if answers else 'does not answer'}"
    )


def _fill_disk(server: CxdbServer) -> tuple[bool, str]:
    before = _answers(server)
    full, evidence = fill_disk(Path(server.data_dir))
    return before and full, f"{server.label}: {evidence}"


def _answers(server: CxdbServer, seconds: float = ANSWER_SECONDS) -> bool:
    return not hello_problem(server.binary_addr, seconds)


_DEEDS: Mapping[str, Callable[[CxdbServer], tuple[bool, str]]] = {
    "kill": _kill,
    "start": _start,
    "start-empty": _start_empty,
    "fill-disk": _fill_disk,
    "pause": _pause,
    "continue": _continue,
}
