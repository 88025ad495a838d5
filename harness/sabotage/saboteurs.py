"""The saboteurs of `saboteurs.toml`, and how one is let into an engine's processes.

A directory put in front of PYTHONPATH holds a sitecustomize.py, which every Python process of the case
imports at its start, detached children included. It patches the named function when the engine imports
the module. Each patch that is in place, and each call of it, leaves a line in a mark file: a saboteur
that never came to work has proven nothing.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.toml_table import did_you_mean

__all__ = ["SABOTEURS", "Saboteur", "named_saboteur", "read_mark", "sabotage_environment"]

SITE = Path(__file__).parent / "site"
MARK_FILE = "saboteur.mark"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Saboteur:
    name: str
    guardrail: str  # whose cases must turn red
    bug: str  # what once went wrong, in one line
    killer: str  # the one scenario, or one case of it by its axes, that must catch it; the short form runs only this


def _read_table() -> tuple[Saboteur, ...]:
    table = tomllib.loads((Path(__file__).parent / "saboteurs.toml").read_text(encoding="utf-8"))
    return tuple(
        Saboteur(name=name, guardrail=guardrail, **facts)
        for guardrail, saboteurs in table.items()
        for name, facts in saboteurs.items()
    )


SABOTEURS: Final = _read_table()


def named_saboteur(name: str) -> Saboteur:
    """Raises KeyError with a suggestion."""
    known = {saboteur.name: saboteur for saboteur in SABOTEURS}
    if name not in known:
        raise KeyError(f"no saboteur {name!r}; {did_you_mean(name, known)}")
    return known[name]


def sabotage_environment(name: str, case_dir: Path, base: Mapping[str, str]) -> dict[str, str]:
    """What the engine's environment needs for the saboteur to work; `base` is what it has so far."""
    saboteur = named_saboteur(name)
    mark = case_dir / MARK_FILE
    mark.unlink(missing_ok=True)
    paths = [str(SITE), *filter(None, [base.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "HARNESS_SABOTEUR": saboteur.name,
        "HARNESS_SABOTEUR_MARK": str(mark),
    }


def read_mark(case_dir: Path) -> tuple[str, ...]:
    """What the saboteur noted: one line for each patch put in place, and for each first call of one."""
    try:
        return tuple((case_dir / MARK_FILE).read_text(encoding="utf-8").split("\n")[:-1])
    except FileNotFoundError:
        return ()
