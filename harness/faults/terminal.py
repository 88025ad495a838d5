"""Hangs up the terminal a launcher runs on, as closing a window or losing a connection does."""

from __future__ import annotations

from harness.faults.scene import Scene, fault_record
from harness.processes import alive, describe_exit
from harness.results import FaultRecord
from harness.scenario import FaultStep

__all__ = ["hang_up"]


def hang_up(step: FaultStep, scene: Scene) -> FaultRecord:
    """Fired when the engine lived, the terminal was closed, and the session's leader felt it."""
    name = f"terminal of {step.run}"
    command, engine = scene.command(step.run), scene.engine(step.run)
    if command is None or command.master is None or command.identity is None:
        return fault_record("hangup", name, False, "the run was not launched on a terminal")
    if engine is None:
        return fault_record("hangup", name, False, "the engine was not alive when the terminal was to be closed")
    leader = command.identity
    if not alive(leader):
        return fault_record("hangup", name, False, f"the terminal's session leader had ended: {leader}")
    command.hang_up()
    ended = scene.wait(lambda: command.process.poll() is not None, 5.0)
    proof = (
        f"terminal closed while the engine lived ({engine}); session leader {leader}: "
        f"{describe_exit(command.process.poll())}"
    )
    return fault_record("hangup", name, ended, proof)
