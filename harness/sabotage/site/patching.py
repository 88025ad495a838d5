"""How a patch is put in place: `placed` is noted then, `called` when the engine first comes to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

Patch = Callable[[ModuleType], None]


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
