"""Lets crash_patches.py into this process. Found by PYTHONPATH, in engines under test only.

The finder is the saboteurs': their directory comes behind this one on the path, and their own sitecustomize.py is
read from its file, as the interpreter imports only the first of that name.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path


def _enter() -> None:
    if "HARNESS_CRASH_NOTES" not in os.environ:
        return
    from crash_patches import crash_patches  # type: ignore[import-not-found]  # lies beside this file

    saboteurs = Path(os.environ["HARNESS_SABOTAGE_SITE"]) / "sitecustomize.py"
    spec = importlib.util.spec_from_file_location("harness_saboteurs_site", saboteurs)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.meta_path.insert(0, module._PatchAfterImport(crash_patches()))


_enter()
