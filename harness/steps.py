"""Carries out the steps of one case, in order, and notes how each went. Judges nothing.

Rules: every wait is bounded by its own limit and by the case's; a wait that fails ends the list, since
what follows would build on something that is not so. If a fault was still to come, then missing it is
a matter of the premise (the case becomes invalid), otherwise of the engine (red).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.engines import Engine, LaunchRequest
from harness.errors import HarnessError, StepAbandoned
from harness.evidence import StepOutcome
from harness.faults import FAULTS, CxdbLink, CxdbServer, fault_record
from harness.launchers import Launched, launch
from harness.matching import Matcher
from harness.placeholders import fill
from harness.processes import ProcessIdentity, carries, describe_exit, identify, until
from harness.repos import Git
from harness.results import FaultRecord
from harness.sandbox import Sandbox
from harness.scenario import (
    DEFAULT_RUN,
    CommandStep,
    CommandVerb,
    CxdbMode,
    FaultStep,
    Launcher,
    ReleaseStep,
    Scenario,
    Step,
    WaitKind,
    WaitStep,
)

__all__ = ["RunHandle", "StepRunner"]

BEGIN_SECONDS = 5.0  # for one of many runs to have its first event; the next begins then, or all the same
BACKGROUND_SECONDS = 2.0  # for a command in the background to end once all steps are done
HOPELESS_SECONDS = 1.0  # longer than an engine that detaches may be without any process to be seen


class RunHandle:
    """A run by its name in the scenario: where it is, and what was started for it."""

    def __init__(self, name: str, run_id: str, logs_root: Path) -> None:
        self.name = name
        self.run_id = run_id
        self.logs_root = logs_root
        self.commands: list[Launched] = []


class StepRunner:
    """The running case. It is the `Scene` that faults act on."""

    def __init__(
        self,
        scenario: Scenario,
        engine: Engine,
        sandbox: Sandbox,
        own_cxdb: CxdbServer | None = None,
        link: CxdbLink | None = None,
    ) -> None:
        self.scenario = scenario
        self._own_cxdb = own_cxdb
        self._link = link
        self._engine = engine
        self.sandbox = sandbox
        self.runs: dict[str, RunHandle] = {}
        self.commands: list[Launched] = []
        self.outcomes: list[StepOutcome] = []
        self.faults: list[FaultRecord] = []
        self._deadline = time.monotonic() + scenario.timeout_seconds
        self._number = 0
        self._unjudged: list[tuple[int, CommandStep, Launched]] = []  # in the background
        self._premise = False

    # The list of steps

    def carry_out(self) -> None:
        self._carry_out_all()
        for number, step, started in self._unjudged:
            if step.exit is not None or step.stdout or step.stderr:
                self._judge_background(number, step, started)

    def _judge_background(self, number: int, step: CommandStep, started: Launched) -> None:
        self._number, name = number, f"step {number}: {step.verb}"
        if self.wait(lambda: started.exit_code() is not None, BACKGROUND_SECONDS):
            self._judge_exit(step, started, name)
        else:
            self._note(f"{name} ends", "still running when all steps were done", "an exit")

    def _carry_out_all(self) -> None:
        steps = self.scenario.steps
        for index, step in enumerate(steps):
            self._number = index + 1
            self._premise = any(isinstance(later, FaultStep) for later in steps[index + 1 :])
            try:
                self._carry_out_one(step)
            except StepAbandoned as reason:
                if self.outcomes and not self.outcomes[-1].premise:
                    return  # the engine's own failing: it is red, whatever faults were still to come
                self._give_up(steps[index + 1 :], str(reason))
                return

    def _carry_out_one(self, step: Step) -> None:
        match step:
            case CommandStep():
                self._command(step)
            case WaitStep():
                self._wait(step)
            case FaultStep():
                self.faults.append(FAULTS[step.kind](step, self))
            case ReleaseStep():
                if step.gate not in self.sandbox.gates:
                    raise HarnessError(
                        f"step {self._number} releases gate {step.gate!r}, which the graph does not have"
                    )
                self.sandbox.gates[step.gate].release()

    def _give_up(self, rest: tuple[Step, ...], reason: str) -> None:
        """Faults that were never reached are on record as such."""
        for step in rest:
            if isinstance(step, FaultStep):
                self.faults.append(fault_record(str(step.kind), step.target, False, f"never reached: {reason}"))

    # Commands

    def _command(self, step: CommandStep) -> None:
        handle = self._handle(step)
        if step.behind:
            progress = self.runs[step.behind].logs_root / self._engine.files.progress
            self.wait(progress.exists, BEGIN_SECONDS)
        cwd = Path(self.text(step.cwd, step.run))
        cwd.mkdir(parents=True, exist_ok=True)
        started = launch(
            step=self._number,
            name=str(step.verb),
            run=step.run,
            argv=self._argv(step, handle, cwd),
            cwd=cwd,
            launcher=step.launcher,
            environment={**self.sandbox.environment, **self._texts(step.environment, step.run)},
            directory=self.sandbox.launch,
            detach=step.detach,
            unprivileged=step.unprivileged,
        )
        self.commands.append(started)
        if step.verb in (CommandVerb.RUN, CommandVerb.RESUME):
            handle.commands.append(started)
        if step.background:
            self._unjudged.append((self._number, step, started))
        else:
            self._see_it_end(step, started)

    def _handle(self, step: CommandStep) -> RunHandle:
        handle = self.runs.get(step.run)
        if handle is None:
            base = self.scenario.name.replace("_", "-")
            default_id = base if step.run == DEFAULT_RUN else f"{base}-{step.run}"
            run_id = default_id if step.run_id is None else self.text(step.run_id, step.run)
            logs_root = self.sandbox.logs / step.run
            if step.logs_root is not None:
                logs_root = Path(os.path.normpath(self.sandbox.repo / self.text(step.logs_root, step.run)))
            handle = self.runs[step.run] = RunHandle(step.run, run_id, logs_root)
        return handle

    def _argv(self, step: CommandStep, handle: RunHandle, cwd: Path) -> tuple[str, ...]:
        def path(target: Path) -> str:
            return os.path.relpath(target, cwd) if step.relative else str(target)

        extra = tuple(self.text(arg, step.run) for arg in step.args)
        if step.verb is CommandVerb.SHELL:
            return ("/bin/sh", "-c", self.text(step.command, step.run), "shell", *extra)
        if step.verb is CommandVerb.ENGINE:
            return self._engine.any_argv(extra)
        if step.verb is not CommandVerb.RUN:
            return self._engine.at_logs_root_argv(str(step.verb), path(handle.logs_root), extra)
        request = LaunchRequest(
            graph=path(self.sandbox.graph),
            config=path(self.sandbox.config),
            run_id=handle.run_id,
            logs_root=path(handle.logs_root),
            detach=step.detach,
            cxdb=self.scenario.cxdb is not CxdbMode.NONE,
            extra=(*self.sandbox.agents.run_args, *extra),
        )
        return self._engine.run_argv(request)

    def _see_it_end(self, step: CommandStep, started: Launched) -> None:
        name = f"step {self._number}: {step.verb}"
        if not self.wait(lambda: started.exit_code() is not None, self.scenario.timeout_seconds):
            problem = f"still running when the case's {self.scenario.timeout_seconds:g} s were over"
            self._note(f"{name} ends", problem, "an exit", premise=self._premise)
            raise StepAbandoned(f"{name} did not end")
        self._judge_exit(step, started, name)

    def _judge_exit(self, step: CommandStep, started: Launched, name: str) -> None:
        code = started.exit_code()
        stdout, stderr = started.output()
        if step.proves:
            proof = f"{step.command}: {describe_exit(code)}: {(stderr or stdout)[-200:].strip()}"
            self.faults.append(fault_record("proof", step.proves, code in (step.exit or ()), proof))
            return
        if step.exit is not None:
            wrong = "" if code in step.exit else f"{describe_exit(code)}\n{(stderr or stdout)[-600:].strip()}"
            self._note(f"{name} exit code", wrong, "exit " + " or ".join(map(str, step.exit)))
        if started.launcher is Launcher.PTY:  # one stream for both
            stdout = stderr = (stdout + stderr).replace("\r\n", "\n")
        for stream, text, matchers in (("stdout", stdout, step.stdout), ("stderr", stderr, step.stderr)):
            for pattern in matchers:
                matcher = self._filled(pattern, step.run)
                wrong = "" if matcher.holds(text) else text[-600:].strip() or "(nothing)"
                self._note(f"{name} {stream} {matcher}", wrong, str(matcher))

    def _filled(self, matcher: Matcher, run: str) -> Matcher:
        operand = matcher.operand
        return Matcher(matcher.kind, self.text(operand, run) if isinstance(operand, str) else operand)

    def _note(self, name: str, problem: str, expected: str, premise: bool = False) -> None:
        self.outcomes.append(StepOutcome(self._number, name, problem, expected, premise))

    # Waits

    def _wait(self, step: WaitStep) -> None:
        what, condition = self._condition(step)
        premise = self._premise if step.premise is None else step.premise
        began = time.monotonic()
        hopeless = self._hopeless(step)
        self.wait(lambda: condition() or hopeless(), step.seconds)
        if condition():
            self._note(f"step {self._number}: {what}", "", what, premise)
            return
        problem = f"not seen within {time.monotonic() - began:.1f} s; {self._state(step.run)}"
        self._note(f"step {self._number}: {what}", problem, what, premise)
        raise StepAbandoned(f"step {self._number} waited in vain for {what}")

    def _hopeless(self, step: WaitStep) -> Callable[[], bool]:
        """True once nothing of that run has been alive for a while: then nothing more will come of it."""
        last_alive = time.monotonic()

        def hopeless() -> bool:
            nonlocal last_alive
            if not self._ended(step.run) or self.engine(step.run) is not None:
                last_alive = time.monotonic()
            return time.monotonic() - last_alive > HOPELESS_SECONDS

        return hopeless

    def _condition(self, step: WaitStep) -> tuple[str, Callable[[], bool]]:
        times = f", {step.count} times" if step.count > 1 else ""
        match step.kind:
            case WaitKind.EVENT:
                pattern = step.pattern
                assert pattern is not None, "the loader gives every event wait its pattern"
                return (
                    f"event {pattern}{times}",
                    lambda: pattern.matching(self.events(step.run)) >= step.count,
                )
            case WaitKind.FILE:
                path = self.in_logs_root(step.run, step.target)
                return f"file {step.target}", path.exists
            case WaitKind.GATE:
                gate = self.sandbox.gates[step.target]
                return f"gate {step.target} reached{times}", lambda: gate.arrivals() >= step.count
            case WaitKind.EXIT:
                if step.count > 1:
                    return (
                        f"end of {step.count} commands of {step.run}",
                        lambda: self._how_many_ended(step) >= step.count,
                    )
                return f"end of the command of {step.run}", lambda: self._ended(step.run)
            case WaitKind.GONE:
                return f"no engine of {step.run} left", lambda: self.engine(step.run) is None
            case WaitKind.FINAL:
                path = self.in_logs_root(step.run, self._engine.files.final)
                return f"{path.name} of {step.run}", path.exists

    def _ended(self, run: str) -> bool:
        command = self.command(run)
        return command is not None and command.exit_code() is not None

    def _how_many_ended(self, step: WaitStep) -> int:
        handle = self.runs.get(step.run)
        return sum(command.exit_code() is not None for command in handle.commands) if handle is not None else 0

    def _state(self, run: str) -> str:
        event = self.last_event(run)
        engine = self.engine(run)
        newest = (
            f"newest event {event.get('seq')} {event.get('event')} {event.get('node_id', '')}" if event else "no event"
        )
        return f"{newest.strip()}; engine {'alive: ' + str(engine) if engine else 'not alive'}"

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        return until(condition, min(seconds, self._deadline - time.monotonic()), self._tick)

    def _tick(self) -> None:
        for command in self.commands:
            command.tick()

    # What faults and waits look at

    def text(self, text: str, run: str) -> str:
        values = dict(self.sandbox.values)
        for name, handle in self.runs.items():
            values |= {f"logs_root:{name}": str(handle.logs_root), f"run_id:{name}": handle.run_id}
        own = self.runs.get(run)
        values["logs_root"] = str(own.logs_root if own is not None else self.sandbox.logs / run)
        if own is not None:
            values["run_id"] = own.run_id
        return fill(text, values)

    def _texts(self, texts: Mapping[str, str], run: str) -> dict[str, str]:
        return {name: self.text(text, run) for name, text in texts.items()}

    def git(self) -> Git:
        return self.sandbox.git

    def in_logs_root(self, run: str, path: str) -> Path:
        handle = self.runs.get(run)
        root = handle.logs_root if handle else self.sandbox.logs / run
        return root / self.text(path, run)

    def command(self, run: str) -> Launched | None:
        handle = self.runs.get(run)
        return handle.commands[-1] if handle and handle.commands else None

    def engine(self, run: str) -> ProcessIdentity | None:
        """By the pid file; before there is one, an attached engine is the child we started."""
        handle = self.runs.get(run)
        if handle is None:
            return None
        identity = self._noted_engine(handle)
        if identity is None and handle.commands:
            newest = handle.commands[-1]
            identity = newest.engine() if not newest.detach else None
        return identity

    def _noted_engine(self, handle: RunHandle) -> ProcessIdentity | None:
        """The pid file may be stale, and its pid in use by a stranger: the case's marker tells."""
        try:
            pid = int((handle.logs_root / self._engine.files.pid).read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return identify(pid) if carries(pid, self.sandbox.marker) else None

    def agent(self) -> ProcessIdentity | None:
        pid = self.sandbox.agents.at_work()
        return identify(pid) if pid is not None and carries(pid, self.sandbox.marker) else None

    def cxdb(self) -> CxdbServer | None:
        return self._own_cxdb

    def link(self) -> CxdbLink | None:
        return self._link

    def events(self, run: str) -> list[Mapping[str, Any]]:
        """Whole lines only; the last may still be on its way."""
        try:
            data = self.in_logs_root(run, self._engine.files.progress).read_bytes()
        except OSError:
            return []
        found: list[Mapping[str, Any]] = []
        for line in data.splitlines(keepends=True):
            if line.endswith(b"\n"):
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # judged by the audit, not here
                if isinstance(event, dict):
                    found.append(event)
        return found

    def last_event(self, run: str) -> Mapping[str, Any]:
        events = self.events(run)
        return events[-1] if events else {}
