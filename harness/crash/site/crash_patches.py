"""Lets the harness hear an engine's durable steps, and kill it at one of them. Runs inside the engine.

Rules: standard library only, nothing of the harness. What happens here is written to HARNESS_CRASH_NOTES, one line at
a time, by one `write` on a file opened for appending: `placed`, `step NAME pid`, `fired NAME#N pid`. The last comes
just before the SIGKILL; a kill without it has not happened.

HARNESS_CRASH_AT names the step and its occurrence (`committed#2`); without it nothing is killed. HARNESS_CRASH_DEFECT
names a defect of the table at the end, put in for the sake of showing that the comparison sees it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

Patch = Callable[[ModuleType], None]


def note(line: str) -> None:
    descriptor = os.open(os.environ["HARNESS_CRASH_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{line} {os.getpid()}\n".encode())
    os.close(descriptor)


class _Observer:
    """Called by the engine at each durable step, from the threads of its branches too."""

    def __init__(self) -> None:
        self._seen = Counter[str]()
        self._one_at_a_time = threading.Lock()
        self._at = os.environ.get("HARNESS_CRASH_AT", "")

    def __call__(self, step: str) -> None:
        with self._one_at_a_time:
            self._seen[step] += 1
            here = f"{step}#{self._seen[step]}"
            note(f"step {step}")
            if here == self._at:
                note(f"fired {here}")
                os.kill(os.getpid(), signal.SIGKILL)


_observe = _Observer()


def _observed(name: str) -> Patch:
    """Hands our observer to the engine, where it takes one."""

    def patch(module: ModuleType) -> None:
        real = getattr(module, name)

        def with_observer(*args: Any, **more: Any) -> Any:
            return real(*args, **{**more, "observe": _observe})

        setattr(module, name, with_observer)
        note("placed")

    return patch


def _announcing(module: ModuleType) -> None:
    """Two more instants, of a detached start: the child exists; it owns the run, and has said so."""
    spawn, announce = vars(module)["_spawn"], vars(module)["announce_ownership"]

    def spawned(*args: Any, **more: Any) -> Any:
        process = spawn(*args, **more)
        _observe("child_spawned")
        return process

    def announced(*args: Any, **more: Any) -> Any:
        announce(*args, **more)
        _observe("ownership_announced")

    vars(module)["_spawn"], vars(module)["announce_ownership"] = spawned, announced


def _checkpoint_before_commit(module: ModuleType) -> None:
    """The commit point in the wrong order: what the checkpoint calls finished is not yet in git."""
    finished, changes = vars(module)["Finished"], vars(module)["context_changes"]
    info, names, fields = (vars(module)[name] for name in ("CommitInfo", "EventName", "checkpoint_fields"))

    def commit_point(self: Any, node: Any, settled: Any) -> None:
        outcome, state, retries = settled.outcome, self.state, settled.attempts - 1
        self.observe("status_written")
        step = finished(
            sequence=state.sequence + 1,
            node_id=node.id,
            outcome=replace(outcome, context_updates={}),
            context_changes=changes(node, outcome, retries),
            retries=retries,
            commit_sha=state.commit_sha,
            tree_sha="",
            timestamp=self.timestamp(),
        )
        state.apply(step)
        self.store.save(state, step)
        self.observe("checkpoint_saved")
        told = info(state.run_id, node.id, outcome.status.value, settled.attempts, state.sequence)
        state.commit_sha = self.workspace.commit(told).sha
        self.store.save(state, None)  # undisturbed, nobody sees the difference
        self.observe("committed")
        self.events.emit(names.CHECKPOINT_SAVED, **fields(state, self.layout))
        self.turns.flush()
        self.observe("turns_sent")

    vars(module)["RunLoop"]._commit_point = commit_point


def _history_not_mended(module: ModuleType) -> None:
    """A resume that does not look whether the last checkpoint's event was written."""
    vars(module)["reconcile"] = lambda *_args: None


# module -> patch
OBSERVING: Mapping[str, Patch] = {
    "attractor.app.start": _observed("start_run"),
    "attractor.app.resume": _observed("resume_run"),
    "attractor.app.detach": _announcing,
}
DEFECTS: Mapping[str, Mapping[str, Patch]] = {
    "checkpoint-before-commit": {"attractor.engine.loop": _checkpoint_before_commit},
    "history-not-mended": {"attractor.app.history": _history_not_mended},
}


def crash_patches() -> dict[str, Patch]:
    """For this process. A defect comes first: it is part of the engine that is then observed."""
    defects = DEFECTS.get(os.environ.get("HARNESS_CRASH_DEFECT", ""), {})
    return {name: _all(defects.get(name), OBSERVING.get(name)) for name in {*defects, *OBSERVING}}


def _all(*patches: Patch | None) -> Patch:
    def patch(module: ModuleType) -> None:
        for one in patches:
            if one is not None:
                one(module)

    return patch
