"""Saboteurs of what happens to a run from outside: signals, memory, git, others who want the same run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

from patching import Patch, mark, replacing  # type: ignore[import-not-found]  # lies beside this file


def _never_in_a_hurry(real: Any) -> Callable[..., Any]:
    return lambda *args, **more: real(*args, **more | {"hurry": lambda: False})


def _nothing_lost(real: Any) -> Callable[..., Any]:
    return lambda *args, **more: real(*args, **more | {"unwritten": ()})


def _waits_for_ever(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]  # a class known only at run time
        def start(self) -> None:
            super().start(seconds=3600.0)

    return Sabotaged


def _foreign_work_dropped(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def _keep_foreign(self) -> str:
            return ""

    return Sabotaged


def _with_the_users_hooks(real: Any) -> Callable[..., Any]:
    """Each commit is made by git as the user would make it, then by the engine as ever."""

    class Sabotaged(real):  # type: ignore[misc]
        def _write_tree(self) -> Any:
            git = ["git", "commit", "--quiet", "--allow-empty", "-m", "as the user would"]
            subprocess.run(git, cwd=self._worktree, check=True, capture_output=True)
            return super()._write_tree()

    return Sabotaged


def _locks_stay(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def _persistently(self, act: Callable[[], Any]) -> Any:
            return act()

    return Sabotaged


def _pid_is_enough(_real: Any) -> Callable[..., Any]:
    def is_held(layout: Any) -> bool:
        try:
            os.kill(int(layout.pid.read_text()), 0)
        except (OSError, ValueError):
            return False
        return True

    return is_held


def _asks_the_host(real: Any) -> Callable[..., Any]:
    """A lock of another host, or one that cannot be read, is left alone: who knows whether its holder lives."""

    def acquire(layout: Any) -> Any:
        text = layout.lock.read_text() if layout.lock.exists() else socket.gethostname()
        if socket.gethostname() not in text:
            raise OSError(f"{layout.lock} belongs to another host")
        return real(layout)

    return acquire


def _descriptors_inherited(module: ModuleType) -> None:
    real = vars(module)["subprocess"]

    def popen(*args: Any, **more: Any) -> Any:
        mark("called", "Popen with every descriptor")
        more.pop("pass_fds", None)
        os.set_inheritable(int(more["env"]["ATTRACTOR_READY_FD"]), True)
        return real.Popen(*args, **more | {"close_fds": False})

    names = {name: getattr(real, name) for name in dir(real) if not name.startswith("__")}
    vars(module)["subprocess"] = SimpleNamespace(**names | {"Popen": popen})
    mark("placed", f"{module.__name__}.subprocess")


def _as_the_kernel_likes(_real: Any) -> Callable[..., Any]:
    def listen(_stop: Any) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)

    return listen


def _whatever_is_there(_real: Any) -> Callable[..., Any]:
    return lambda stage_dir: stage_dir.mkdir(exist_ok=True)


def _without_context(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        @classmethod
        def from_json(cls, data: Any) -> Any:
            return real.from_json(dict(data) | {"context": {}})

    return Sabotaged


def _always_held(_real: Any) -> Callable[..., Any]:
    return lambda layout: not layout.final.exists()


def _as_configured(_real: Any) -> Callable[..., Any]:
    def plain(value: Any) -> Any:
        return {key: plain(inner) for key, inner in value.items()} if hasattr(value, "items") else _text(value)

    return plain


def _text(value: Any) -> Any:
    return str(value) if hasattr(value, "__fspath__") else value


def _as_it_came(real: Any) -> Callable[..., Any]:
    class Sabotaged(real):  # type: ignore[misc]
        def __init__(self, _environment: Any) -> None:
            super().__init__({})

    return Sabotaged


def _in_class(name: str, make: Callable[[Any], Any]) -> Patch:
    """For a class whose class methods are called, where `replacing` would put a function."""

    def patch(module: ModuleType) -> None:
        sabotaged = make(getattr(module, name))
        real = sabotaged.from_json

        def from_json(data: Any) -> Any:
            mark("called", f"{module.__name__}.{name}")
            return real(data)

        sabotaged.from_json = staticmethod(from_json)
        setattr(module, name, sabotaged)
        mark("placed", f"{module.__name__}.{name}")

    return patch


_WORKSPACE = "attractor.workspace.commits"

TROUBLE_PATCHES: dict[str, dict[str, Patch]] = {
    "second-signal-unheard": {"attractor.processes.command": replacing("end_stage", _never_in_a_hurry)},
    "losses-untold": {"attractor.app.life": replacing("RunResult", _nothing_lost)},
    "thread-waited-for": {"attractor.handlers.branch_threads": replacing("Worker", _waits_for_ever)},
    "foreign-work-dropped": {_WORKSPACE: replacing("GitWorkspace", _foreign_work_dropped)},
    "users-hooks-run": {_WORKSPACE: replacing("GitWorkspace", _with_the_users_hooks)},
    "locks-stay": {_WORKSPACE: replacing("GitWorkspace", _locks_stay)},
    "pid-is-enough": {
        "attractor.app.inspect": replacing("is_held", _pid_is_enough),
        "attractor.app.stop": replacing("is_held", _pid_is_enough),
    },
    "lock-names-a-host": {"attractor.app.resume": replacing("acquire", _asks_the_host)},
    "lock-inherited": {"attractor.app.detach": _descriptors_inherited},
    "first-process-deaf": {"attractor.cli.run": replacing("_listen", _as_the_kernel_likes)},
    "prints-as-it-came": {
        "attractor.app.assembly": replacing("Redactor", _as_it_came),
        "attractor.app.start": replacing("Redactor", _as_it_came),
        "attractor.handlers.tool": replacing("Redactor", _as_it_came),
    },
    "configuration-kept-whole": {"attractor.config.run_config": replacing("_plain", _as_configured)},
    "links-followed": {"attractor.engine.stage": replacing("prepare_stage_dir", _whatever_is_there)},
    "context-not-recorded": {"attractor.app.restore": _in_class("Finished", _without_context)},
    "crash-unseen": {"attractor.app.inspect": replacing("is_held", _always_held)},
}
