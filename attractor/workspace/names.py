"""Names a run makes in git, each built in one place (DESIGN 2.3). Pure.

A branch that drifts (a prefix lost at resume, a leading slash) loses a run's history, so nothing else in the
engine puts a branch name together.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from attractor.errors import ConfigError, UsageError

DEFAULT_PREFIX: Final = "attractor/run"
RUN_ID_LENGTH: Final = 100
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# What git-check-ref-format refuses in a component, and what a shell or file system would stumble over.
_PREFIX_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


def check_run_id(run_id: str) -> str:
    """`run_id` itself, or UsageError saying what is wrong with it.

    It becomes a folder, the last part of a branch, and text in shell variables.
    """
    reason = _run_id_problem(run_id)
    if reason:
        shown = run_id if len(run_id) <= 60 else f"{run_id[:57]}..."
        raise UsageError(
            f"run id {shown!r} cannot be used: {reason}",
            hint="use letters, digits, '.', '_' and '-', beginning with a letter or digit, "
            f"at most {RUN_ID_LENGTH} characters",
        )
    return run_id


def _run_id_problem(run_id: str) -> str:
    if not run_id:
        return "it is empty"
    if len(run_id) > RUN_ID_LENGTH:
        return f"it has {len(run_id)} characters"
    if not _RUN_ID.fullmatch(run_id):
        bad = next((c for c in run_id if not re.match(r"[A-Za-z0-9._-]", c)), run_id[0])
        return f"it contains {bad!r}" if bad != run_id[0] else f"it begins with {bad!r}"
    if ".." in run_id or run_id.endswith((".", ".lock")):
        return "git refuses '..', a '.' at the end and the ending '.lock' in a branch name"
    if run_id.lower() == "parallel":
        return "'parallel' is where the branches of parallel stages live"
    return ""


def new_run_id(now: datetime, random_hex: str) -> str:
    """A run id that sorts by time, such as `20260401T120000Z-1f3a`."""
    return f"{now:%Y%m%dT%H%M%SZ}-{random_hex}"


def check_prefix(prefix: str, place: str) -> str:
    """A branch prefix without slashes at its ends, or ConfigError."""
    cleaned = prefix.strip().rstrip("/")
    parts = cleaned.split("/")
    usable = all(_PREFIX_COMPONENT.fullmatch(p) and ".." not in p and not p.endswith((".", ".lock")) for p in parts)
    if not usable or parts[0] == "parallel":
        raise ConfigError(
            f"branch prefix {prefix!r} cannot be used",
            place=place,
            hint=f"use names joined by '/', such as {DEFAULT_PREFIX!r}; the first may not be 'parallel'",
        )
    return cleaned


def parallel_branch(prefix: str, run_id: str, fan: str, pass_name: str, child: str) -> str:
    """`<prefix>/parallel/<run_id>/<fan>/<pass>/<child>`: a branch of a fan-out."""
    return f"{parallel_branches(prefix, run_id)}/{fan}/{pass_name}/{child}"


def parallel_branches(prefix: str, run_id: str) -> str:
    """What the names of all branches of a run's fan-outs begin with, without the slash behind it."""
    return f"{prefix}/parallel/{run_id}"


def prefix_of(run_branch: str, run_id: str) -> str:
    """The prefix a run branch was made with: inverse of `run_branch`."""
    return run_branch.removesuffix(f"/{run_id}")


# Joins the parts of a nested fan-out's name: no node id has it, and git takes it anywhere.
NESTING: Final = "+"


def run_branch(prefix: str, run_id: str) -> str:
    """`<prefix>/<run_id>`; both have been checked."""
    return f"{prefix}/{run_id}"
