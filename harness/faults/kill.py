"""Ends processes: the engine, an agent, the engine's launcher, or the launcher's whole process group.

A kill that must land at a place in the run (`between-stages`, `in-stage`) stops the engine first, reads
its newest event while it cannot move, and only then kills or lets it go on and tries again. So the
place is a fact, not a guess about timing.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping

from harness.faults.scene import Scene, fault_record
from harness.launchers import Launched
from harness.processes import ProcessIdentity, alive, describe_exit, is_stopped, send
from harness.results import FaultRecord
from harness.scenario import FaultStep

__all__ = ["kill"]

LANDING_SECONDS = 8.0
AGENT_SECONDS = 60.0  # at most the case's own time: a real program may take long to start on a busy machine
# What was waited for has just happened: without a head start every kill would hit right behind it.
HEAD_START_SECONDS = 0.03
# With a fan-out as the newest event's node, some of its branches are on their way or have just ended.
IN_FAN_OUT_EVENTS = frozenset({"parallel_started", "parallel_branch_started", "parallel_branch_completed"})
IN_GATE_EVENTS = frozenset({"interview_started", "interview_timeout", "interview_completed"})
IN_MANAGER_EVENTS = frozenset({"child_started", "child_observed", "child_steered", "child_completed"})
IN_STAGE_EVENTS = (
    frozenset({"stage_attempt_start", "stage_heartbeat"}) | IN_FAN_OUT_EVENTS | IN_GATE_EVENTS | IN_MANAGER_EVENTS
)
# Not a place between two stages either: before the first one, between attempts of one, after the last.
NOT_BETWEEN = IN_STAGE_EVENTS | {"", "run_started", "run_resumed", "stage_retry_sleep"}


def kill(step: FaultStep, scene: Scene) -> FaultRecord:
    if step.target == "engine":
        return _kill_engine(step, scene)
    return _kill_agent(step, scene) if step.target == "agent" else _kill_launcher(step, scene)


def _kill_engine(step: FaultStep, scene: Scene) -> FaultRecord:
    name = f"engine of {step.run}"
    engine = scene.engine(step.run)
    if engine is None:
        return fault_record("kill", name, False, "no engine process was alive")
    number = signal.Signals[f"SIG{step.signal}"]
    if step.landing is None:
        landed, where = send(engine, number), ""
    else:
        landed, where = _land(engine, number, step, scene)
    if not landed:
        return fault_record("kill", name, False, where or f"{engine} was gone before the signal")
    if number != signal.SIGKILL:
        return fault_record("kill", name, True, f"{engine} was alive and took {number.name}{where}")
    gone = scene.wait(lambda: not alive(engine), 5.0)
    return fault_record(
        "kill", name, gone, f"{engine} was alive, took SIGKILL{where}, then {_how(engine, scene, step.run)}"
    )


def _kill_agent(step: FaultStep, scene: Scene) -> FaultRecord:
    """In the middle of its work: it has asked its provider, and what it was answered is on its way.

    SIGKILL hits the program alone, as the out-of-memory killer does; any other signal its whole group: gemini is
    two processes, of which the first passes nothing on.
    """
    number = signal.Signals[f"SIG{step.signal}"]
    scene.wait(lambda: scene.agent() is not None or scene.engine(step.run) is None, AGENT_SECONDS)
    agent = scene.agent()
    if agent is None:
        return fault_record("kill", "agent", False, "no agent was alive that had been given an answer")
    if not (send(agent, number) if number == signal.SIGKILL else _send_to_group(agent, number)):
        return fault_record("kill", "agent", False, f"{agent} was gone before the signal, or leads no group")
    gone = scene.wait(lambda: not alive(agent), 5.0)
    after = "it is gone from the process table" if gone else "it is still there"
    return fault_record("kill", "agent", gone, f"{agent} was at work, took {number.name}, then {after}")


def _send_to_group(leader: ProcessIdentity, number: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        if alive(leader) and os.getpgid(leader.pid) == leader.pid:
            os.killpg(leader.pid, number)
            return True
    return False


def _how(engine: ProcessIdentity, scene: Scene, run: str) -> str:
    command = scene.command(run)
    if command is not None and command.process.pid == engine.pid:
        # Its first thread is gone, which is what was looked at; the kernel may yet be at the others.
        scene.wait(lambda: command.process.poll() is not None, 1.0)
        return f"waitpid says: {describe_exit(command.process.poll())}"
    return "it is gone from the process table" if not alive(engine) else "it is still there"


def _land(engine: ProcessIdentity, number: int, step: FaultStep, scene: Scene) -> tuple[bool, str]:
    """Whether the signal hit with the engine at the place asked for, and the event that shows it."""
    seen: list[str] = []
    places: Mapping[str, Callable[[str], bool]] = {
        "in-stage": lambda name: name in IN_STAGE_EVENTS,
        "between-stages": lambda name: name not in NOT_BETWEEN and not name.startswith("run_"),
    }
    at_place = places[step.landing or ""]

    def attempt() -> bool:
        if not send(engine, signal.SIGSTOP):
            return True  # it ended by itself: no use in trying again
        scene.wait(lambda: is_stopped(engine.pid) or not alive(engine), 1.0)
        event = scene.last_event(step.run)
        if at_place(str(event.get("event", ""))):
            seen.append(f", stopped with event {event.get('seq')} {event.get('event')} as its newest")
            return send(engine, number)
        send(engine, signal.SIGCONT)
        return False

    scene.wait(lambda: False, HEAD_START_SECONDS)
    scene.wait(attempt, LANDING_SECONDS)
    return bool(seen), seen[0] if seen else f"{engine} was never caught {step.landing}"


def _kill_launcher(step: FaultStep, scene: Scene) -> FaultRecord:
    """SIGKILLs the launcher, alone or with its group, while the engine it started lives."""
    name = f"{step.target} of {step.run}"
    command, engine = scene.command(step.run), scene.engine(step.run)
    if command is None or command.identity is None or not alive(command.identity):
        return fault_record("kill", name, False, "the launcher was not alive")
    if engine is None:
        return fault_record("kill", name, False, "the engine was not alive when the launcher was to be killed")
    number = signal.Signals[f"SIG{step.signal}"]
    members = _signal_launcher(step.target, command, number)
    ended = scene.wait(lambda: command.process.poll() is not None, 5.0)
    proof = (
        f"{command.identity} {members}; waitpid says: {describe_exit(command.process.poll())}; "
        f"just before, the engine was alive: {engine}"
    )
    return fault_record("kill", name, ended and command.process.returncode == -number, proof)


def _signal_launcher(target: str, command: Launched, number: int) -> str:
    pid = command.process.pid
    if target == "launcher":
        os.kill(pid, number)  # our own child, not yet reaped: the pid cannot be anyone else's
        return f"alone took {signal.Signals(number).name}"
    os.killpg(pid, number)
    return f"and its whole process group took {signal.Signals(number).name}"
