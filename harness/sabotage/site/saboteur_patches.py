"""What each saboteur changes in the engine: module name -> function that is given the module after its import.

Rules: standard library only, nothing of the harness, the smallest change that brings the old bug back.
Every patch says `placed` once it is in place and `called` when the engine first comes to it; without the
second line nothing has been attacked. Names of the engine's functions stand here and nowhere else in the
harness: when the engine is rearranged, a saboteur that finds nothing to patch breaks loudly at import.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from cxdb_patches import CXDB_PATCHES  # type: ignore[import-not-found]  # lies beside this file
from fan_out_patches import FAN_OUT_PATCHES  # type: ignore[import-not-found]
from human_gate_patches import HUMAN_GATE_PATCHES  # type: ignore[import-not-found]
from manager_patches import MANAGER_PATCHES  # type: ignore[import-not-found]
from patching import Patch, both, mark, replacing  # type: ignore[import-not-found]
from trouble_patches import TROUBLE_PATCHES  # type: ignore[import-not-found]

ENOUGH_BYTES = 1_000_000  # of an agent's output, for one who thinks so
SLOW_DISK_SECONDS = 0.1  # many times what a stage takes, so that a kill between stages lands in it


def _same_session(module: ModuleType) -> None:
    real = vars(module)["subprocess"]

    def popen(*args: Any, **more: Any) -> Any:
        mark("called", "Popen without a new session")
        return real.Popen(*args, **more | {"start_new_session": False})

    names = {name: getattr(real, name) for name in dir(real) if not name.startswith("__")}
    vars(module)["subprocess"] = SimpleNamespace(**names | {"Popen": popen})
    mark("placed", f"{module.__name__}.subprocess")


def _any_class_restarts(module: ModuleType) -> None:
    table = vars(module)["POLICY"]
    vars(module)["POLICY"] = {name: replace(policy, loop_restart=True) for name, policy in table.items()}
    replacing("decide_restart", lambda real: real)(module)


def _no_breaker(real: Any) -> Callable[..., Any]:
    def decide(graph: Any, state: Any, node_id: str, outcome: Any) -> Any:
        decision = real(graph, state, node_id, outcome)
        rulings = type(decision.ruling)
        if decision.ruling is rulings.CIRCUIT_BREAKER:
            spent = state.restart_count >= graph.max_restarts
            return replace(decision, ruling=rulings.MAX_RESTARTS if spent else rulings.ALLOWED)
        return decision

    return decide


def _always_retry(_real: Any) -> Callable[..., Any]:
    return lambda outcome, attempt, max_attempts: not outcome.status.is_success and attempt < max_attempts


def _no_final_after_failure(real: Any) -> Callable[..., Any]:
    return lambda layouts, final: real(layouts, final) if final.status == "success" else None


def _only_the_parent(_real: Any) -> Callable[..., Any]:
    def end_stage(leader_pid: int, _token: str, **_more: Any) -> tuple[int, ...]:
        try:
            os.kill(leader_pid, signal.SIGKILL)
        except ProcessLookupError:
            return ()
        return (leader_pid,)

    return end_stage


def _nothing_ended(_real: Any) -> Callable[..., Any]:
    return lambda token, **_more: ()


def _in_place(_real: Any) -> Callable[..., Any]:
    """Half the bytes, then the other half, with a slow disk between them."""

    def write(path: Any, content: bytes, **_more: Any) -> None:
        with open(path, "wb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            time.sleep(SLOW_DISK_SECONDS)
            file.write(content[len(content) // 2 :])

    return write


def _last_node_again(real: Any) -> Callable[..., Any]:
    def load_state(*args: Any) -> Any:
        state, current = real(*args)
        if state.current_node:
            state.next_node = state.current_node
        return state, current

    return load_state


def _without_prefix(real: Any) -> Callable[..., Any]:
    def read_manifest(layout: Any) -> Any:
        manifest = real(layout)
        from msgspec.structs import replace as replace_struct  # the engine has it

        return replace_struct(manifest, run_branch=manifest.run_id)

    return read_manifest


def _as_given(_real: Any) -> Callable[..., Any]:
    return lambda request, _run_id: request.logs_root


def _no_lock(_real: Any) -> Callable[..., Any]:
    return lambda _layout: SimpleNamespace(release=lambda: None)


def _anything_goes(_real: Any) -> Callable[..., Any]:
    return lambda run_id: run_id


def _path_as_given(_real: Any) -> Callable[..., Any]:
    return lambda name, *_more: Path(name)


def _without_cxdb(real: Any) -> Callable[..., Any]:
    def passing(plan: Any, environment: Any) -> Any:
        try:
            return real(plan, environment)
        except Exception:
            return real(replace(plan, use_cxdb=False), environment)

    return passing


def _exit_code_only(real: Any) -> Callable[..., Any]:
    def judge(profile: Any, ending: Any, *more: Any) -> Any:
        judgement = real(profile, ending, *more)
        well = ending.exit_code == 0 and not ending.timed_out and not ending.stalled
        return replace(judgement, ok=True, kind=None, failure_class=None, reason="") if well else judgement

    return judge


def _signal_is_an_end(real: Any) -> Callable[..., Any]:
    def judge(profile: Any, ending: Any, *more: Any) -> Any:
        judgement = real(profile, ending, *more)
        by_signal = ending.exit_code is not None and not 0 <= ending.exit_code <= 128
        return replace(judgement, ok=True, kind=None, failure_class=None, reason="") if by_signal else judgement

    return judge


def _reset_unheard(real: Any) -> Callable[..., Any]:
    return lambda *args: replace(real(*args), retry_after_seconds=None)


def _classed(name: str, phrase: str = "") -> Callable[[Any], Callable[..., Any]]:
    """Failures whose reason holds the phrase are of that class."""

    def make(real: Any) -> Callable[..., Any]:
        def judge(*args: Any) -> Any:
            judgement = real(*args)
            if judgement.ok or phrase not in judgement.reason:
                return judgement
            return replace(judgement, failure_class=type(judgement.failure_class)(name))

        return judge

    return make


def _model_unseen(real: Any) -> Callable[..., Any]:
    return lambda *args: replace(real(*args), ok=True)


def _first_problem_only(real: Any) -> Callable[..., Any]:
    def run_preflight(*args: Any) -> Any:
        preflight = real(*args)
        told = preflight.problems[:1]
        return replace(preflight, checks=tuple(check for check in preflight.checks if check.ok or check in told))

    return run_preflight


def _never_over(_real: Any) -> Callable[..., Any]:
    return lambda *_args: False


def _no_stronger_model(_real: Any) -> Callable[..., Any]:
    return lambda _node: []


def _retries_whatever_it_costs(real: Any) -> Any:
    class Spendthrift(real):  # type: ignore[misc]
        def settle(self, *arguments: Any) -> Any:
            told = getattr(self, "overspent")  # noqa: B009  (of a class that mypy cannot know)
            self.overspent = lambda: ""
            try:
                return real.settle(self, *arguments)
            finally:
                self.overspent = told

    return Spendthrift


def _summary_for_full(real: Any) -> Callable[..., Any]:
    return lambda stage: "summary:high" if real(stage) == "full" else real(stage)


def _without_limit(_real: Any) -> Callable[..., Any]:
    return lambda _context, _limits: ""


def _in_the_checkout(real: Any) -> Callable[..., Any]:
    """The engine is started in the user's checkout."""
    return lambda **fields: real(**fields | {"worktree": Path.cwd()})


def _strays_stay(real: Any) -> Callable[..., Any]:
    return lambda *args, **more: real(*args, **more | {"end_strays": False})


def _found_from_the_worktree(real: Any) -> Callable[..., Any]:
    """A workspace that looks for its repository at each commit, as a git program without --git-dir does."""
    library = real.__init__.__globals__["pygit2"]

    class Sabotaged(real):  # type: ignore[misc]  # a class known only at run time
        def _write_tree(self) -> Any:
            self._repo = library.Repository(str(self._worktree))
            return super()._write_tree()

    return Sabotaged


def _only_the_beginning(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def _feed(self, line: bytes) -> None:
            self._fed = getattr(self, "_fed", 0) + len(line)
            if self._fed < ENOUGH_BYTES:
                super()._feed(line)

    return Sabotaged


def _text_only(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def _feed(self, line: bytes) -> None:
            if "\ufffd" in line.decode():
                raise ValueError("a character that cannot be read")
            super()._feed(line)

    return Sabotaged


def _words_anywhere(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def _feed(self, line: bytes) -> None:
            if b"401 Unauthorized" in line:
                raise PermissionError("credentials are not accepted")
            super()._feed(line)

    return Sabotaged


def _relative_state_root(real: Any) -> Callable[..., Any]:
    def make_state_root(*args: Any) -> Any:
        root = real(*args)
        return type(root)(os.path.relpath(root))

    return make_state_root


def _never_stalled(real: Any) -> Callable[..., Any]:
    return lambda *args, **more: real(*args, **more | {"stall_seconds": None})


PATCHES: dict[str, dict[str, Patch]] = {
    "no-new-session": {"attractor.app.detach": _same_session},
    "no-lock": {"attractor.app.resume": replacing("acquire", _no_lock)},
    "restart-on-any-class": {"attractor.engine.restart": _any_class_restarts},
    "deterministic-retried": {"attractor.engine.stage": replacing("may_retry", _always_retry)},
    "no-final-json": {"attractor.rundir.records": replacing("write_final", _no_final_after_failure)},
    "breaker-off": {"attractor.engine.restart": replacing("decide_restart", _no_breaker)},
    "parent-only-killed": {
        "attractor.processes.tree": both(
            replacing("end_stage", _only_the_parent), replacing("end_run", _nothing_ended)
        ),
    },
    "torn-checkpoint": {"attractor.rundir.checkpoint": replacing("write_atomic", _in_place)},
    "last-node-again": {"attractor.app.resume": replacing("load_state", _last_node_again)},
    "leftovers-live-on": {"attractor.app.resume": replacing("end_run", _nothing_ended)},
    "prefix-lost-at-resume": {"attractor.app.resume": replacing("read_manifest", _without_prefix)},
    "cxdb-optional": {"attractor.app.start": replacing("pass_preflight", _without_cxdb)},
    "exit-code-only": {"attractor.handlers.agent_program": replacing("judge", _exit_code_only)},
    "killed-is-done": {"attractor.handlers.agent_program": replacing("judge", _signal_is_an_end)},
    "reset-unheard": {"attractor.handlers.agent_program": replacing("judge", _reset_unheard)},
    "auth-is-transient": {"attractor.handlers.agent_program": replacing("judge", _classed("transient_infra"))},
    "high-demand-missed": {
        "attractor.handlers.agent_program": replacing("judge", _classed("deterministic", "high demand"))
    },
    "no-failover": {"attractor.handlers.codergen": replacing("_goes_over", _never_over)},
    "same-model-again": {"attractor.handlers.codergen": replacing("escalation_models", _no_stronger_model)},
    "every-session-new": {"attractor.handlers.agent_sessions": replacing("fidelity_of", _summary_for_full)},
    "spending-unlimited": {
        "attractor.contracts.agents": replacing("over_limit", _without_limit),
    },
    "spends-on-retries": {"attractor.engine.stage": replacing("StageRunner", _retries_whatever_it_costs)},
    "no-model-check": {"attractor.app.preflight": replacing("_check_model", _model_unseen)},
    "one-mistake-at-a-time": {"attractor.app.preflight": replacing("run_preflight", _first_problem_only)},
    "relative-state-root": {"attractor.handlers.agent_program": replacing("make_state_root", _relative_state_root)},
    "works-in-the-checkout": {"attractor.handlers.codergen": replacing("AgentRequest", _in_the_checkout)},
    "git-by-its-file": {"attractor.workspace.commits": replacing("GitWorkspace", _found_from_the_worktree)},
    "strays-stay": {"attractor.handlers.agent_program": replacing("run_command", _strays_stay)},
    "output-is-progress": {"attractor.handlers.agent_program": replacing("StreamFollower", _never_stalled)},
    "only-the-beginning-read": {"attractor.handlers.agent_program": replacing("StreamFollower", _only_the_beginning)},
    "words-anywhere": {"attractor.handlers.agent_program": replacing("StreamFollower", _words_anywhere)},
    "text-only": {"attractor.handlers.agent_program": replacing("StreamFollower", _text_only)},
    **CXDB_PATCHES,
    **FAN_OUT_PATCHES,
    **HUMAN_GATE_PATCHES,
    **MANAGER_PATCHES,
    **TROUBLE_PATCHES,
    "relative-root": {
        "attractor.cli.run": replacing("absolute", _path_as_given),
        "attractor.app.request": replacing("_logs_root", _as_given),
    },
    "run-id-unchecked": {"attractor.workspace.names": replacing("check_run_id", _anything_goes)},
}
