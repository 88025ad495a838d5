"""Lets the saboteur named in HARNESS_SABOTEUR into this process. Found by PYTHONPATH, in engines under test only.

Rules: standard library only, and nothing of the harness: this runs inside the engine. A patch is applied
right after the engine's module has been executed, before anyone can have taken the function from it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType


class _PatchAfterImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for the loader of the modules to be patched."""

    def __init__(self, patches: Mapping[str, Callable[[ModuleType], None]]) -> None:
        self._patches = patches
        self._loaders: dict[str, importlib.abc.Loader] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._patches or fullname in self._loaders:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.loader is None:
            return None
        self._loaders[fullname] = spec.loader
        spec.loader = self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loaders[spec.name].create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loaders[module.__name__].exec_module(module)
        self._patches[module.__name__](module)


def _enter() -> None:
    name = os.environ.get("HARNESS_SABOTEUR")
    if not name:
        return
    from saboteur_patches import PATCHES  # type: ignore[import-not-found]  # lies beside this file

    sys.meta_path.insert(0, _PatchAfterImport(PATCHES[name]))


_enter()
