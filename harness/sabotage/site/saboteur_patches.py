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

Patch = Callable[[ModuleType], None]
SLOW_DISK_SECONDS = 0.1  # many times what a stage takes, so that a kill between stages lands in it


def mark(word: str, what: str) -> None:
    line = f"{word} {what} pid {os.getpid()}\n".encode()
    descriptor = os.open(os.environ["HARNESS_SABOTEUR_MARK"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, line)
    os.close(descriptor)


def replacing(name: str, make: Callable[[Any], Callable[..., Any]]) -> Patch:
    """Replaces one function of a module by what `make` makes of it."""

    def patch(module: ModuleType) -> None:
        what = f"{module.__name__}.{name}"
        instead = make(getattr(module, name))
        first = [True]

        def sabotaged(*args: Any, **more: Any) -> Any:
            if first:
                first.clear()
                mark("called", what)
            return instead(*args, **more)

        setattr(module, name, sabotaged)
        mark("placed", what)

    return patch


def both(one: Patch, other: Patch) -> Patch:
    def patch(module: ModuleType) -> None:
        one(module)
        other(module)

    return patch


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
    def end_stage(leader_pid: int, token: str, *, grace_seconds: float) -> tuple[int, ...]:
        try:
            os.kill(leader_pid, signal.SIGKILL)
        except ProcessLookupError:
            return ()
        return (leader_pid,)

    return end_stage


def _nothing_ended(_real: Any) -> Callable[..., Any]:
    return lambda token, *, grace_seconds: ()


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
    "exit-code-only": {"attractor.handlers.codergen": replacing("judge", _exit_code_only)},
    "no-model-check": {"attractor.app.preflight": replacing("_check_model", _model_unseen)},
    "relative-state-root": {"attractor.handlers.codergen": replacing("make_state_root", _relative_state_root)},
    "auth-is-transient": {"attractor.handlers.codergen": replacing("judge", _classed("transient_infra"))},
    "high-demand-missed": {"attractor.handlers.codergen": replacing("judge", _classed("deterministic", "high demand"))},
    "output-is-progress": {"attractor.handlers.codergen": replacing("StreamFollower", _never_stalled)},
    "relative-root": {
        "attractor.cli.run": replacing("absolute", _path_as_given),
        "attractor.app.request": replacing("_logs_root", _as_given),
    },
    "run-id-unchecked": {"attractor.workspace.names": replacing("check_run_id", _anything_goes)},
}
