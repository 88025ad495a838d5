"""What a run's `progress.ndjson` says about time, and whether the run did all it was given.

Rules: lines in, values out. A run whose log does not show every node saved and a successful end was not measured:
`TimelineError`, never a figure. Lines are searched as bytes and only the few that matter are parsed, because the
log of a large run is large.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

__all__ = ["TimelineError", "check_branches", "event_lines", "moment", "run_seconds"]

_SAVED = b'"event":"checkpoint_saved"'
_DEGRADED = b'"event":"cxdb_degraded"'


class TimelineError(Exception):
    """The log does not show what was to be measured; the message says what is missing."""


def event_lines(lines: Iterable[bytes], event: str) -> list[dict[str, Any]]:
    """The events of that name, parsed."""
    needle = f'"event":"{event}"'.encode()
    return [json.loads(line) for line in lines if needle in line]


def moment(event: dict[str, Any]) -> float:
    """Its time stamp, in seconds since 1970."""
    return datetime.fromisoformat(event["ts"]).timestamp()


def check_branches(lines: Iterable[bytes], *, branches: int) -> None:
    """TimelineError unless the run's one fan-out had exactly that many branches, and all succeeded."""
    ends = event_lines(lines, "parallel_completed")
    found = [[end.get(key) for key in ("succeeded", "failed", "canceled")] for end in ends]
    if found != [[branches, 0, 0]]:
        raise TimelineError(f"expected one fan-out with {branches} branches succeeded, found {found}")


def run_seconds(lines: Iterable[bytes], *, nodes_saved: int) -> float:
    """From `run_started` to `run_completed`, of a run that saved exactly that many nodes and never lost its CXDB."""
    first = last = b""
    saved = 0
    for line in lines:
        first, last = first or line, line
        saved += _SAVED in line
        if _DEGRADED in line:
            raise TimelineError("the run lost its CXDB (cxdb_degraded in progress.ndjson)")
    began, ended = (json.loads(line) if line else {} for line in (first, last))
    names = (began.get("event"), ended.get("event"))
    if names != ("run_started", "run_completed"):
        raise TimelineError(f"expected run_started ... run_completed, found {names[0]} ... {names[1]}")
    if saved != nodes_saved:
        raise TimelineError(f"expected {nodes_saved} nodes saved, found {saved}")
    return moment(ended) - moment(began)
