"""An outage of CXDB: its server is killed or stopped, and brought back.

Only of a server that the case has to itself. Each deed is proven from outside the engine: by whether the server's
address takes a connection, and, for one that stands still, by the kernel's word for its process.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from harness.faults.scene import CxdbServer, Scene, fault_record
from harness.processes import is_stopped
from harness.results import FaultRecord
from harness.scenario import FaultStep

__all__ = ["harm_cxdb"]

CONNECT_SECONDS = 2.0


def harm_cxdb(step: FaultStep, scene: Scene) -> FaultRecord:
    server = scene.cxdb()
    if server is None:
        return fault_record("cxdb", step.target, False, "the case has no CXDB of its own")
    if server.is_running is (step.target == "start"):
        state = "running already" if server.is_running else "not running"
        return fault_record("cxdb", step.target, False, f"the server at {server.binary_addr} was {state}")
    return fault_record("cxdb", step.target, *_DEEDS[step.target](server))


def _kill(server: CxdbServer) -> tuple[bool, str]:
    pid, before = server.pid, _answers(server)
    server.kill()
    after = _answers(server)
    return before and not after, (
        f"pid {pid} {'took' if before else 'did not take'} connections at {server.binary_addr}, was killed, and "
        f"{'somebody still takes' if after else 'nobody takes'} them there"
    )


def _start(server: CxdbServer) -> tuple[bool, str]:
    server.start()
    answers = _answers(server)
    return answers, f"pid {server.pid} {'takes' if answers else 'does not take'} connections at {server.binary_addr}"


def _pause(server: CxdbServer) -> tuple[bool, str]:
    server.pause()
    stopped = is_stopped(server.pid)
    return stopped, f"pid {server.pid} at {server.binary_addr} {'stands still' if stopped else 'goes on'}"


def _continue(server: CxdbServer) -> tuple[bool, str]:
    before = is_stopped(server.pid)
    server.resume()
    return before, f"pid {server.pid} at {server.binary_addr} {'stood still' if before else 'never stood still'}"


def _answers(server: CxdbServer) -> bool:
    host, _, port = server.binary_addr.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), CONNECT_SECONDS):
            return True
    except OSError:
        return False


_DEEDS: Mapping[str, Callable[[CxdbServer], tuple[bool, str]]] = {
    "kill": _kill,
    "start": _start,
    "pause": _pause,
    "continue": _continue,
}
