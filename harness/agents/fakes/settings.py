"""Fills in a settings file of a real program: what stands there stays, what it lacks is added."""

from __future__ import annotations

import json
import os
from typing import Any

__all__ = ["fill_in"]


def fill_in(target: str, source: str) -> None:
    """An engine's own settings are to be tried as they are; only what keeps the case to itself is added."""
    with open(source, encoding="utf-8") as file:
        wanted = json.load(file)
    try:
        with open(target, encoding="utf-8") as file:
            wanted = _over(wanted, json.load(file))
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w", encoding="utf-8") as file:
        json.dump(wanted, file, indent=2)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {**below, **above}
    for key in below.keys() & above.keys():
        if isinstance(below[key], dict) and isinstance(above[key], dict):
            both[key] = _over(below[key], above[key])
    return both
