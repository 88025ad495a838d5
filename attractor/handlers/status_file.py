"""The status file a stage's own program may write (spec appendix C): outcome, routing hints, context updates.

Strict: a file that is not what the contract says fails the stage and names the file and the place. A stage whose
wishes cannot be read must not pass as a success. What stands there is a stranger's: it may be a FIFO, a link, a
folder, or a gigabyte.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from attractor.contracts import FailureClass, Outcome, Status, read_json
from attractor.rundir import read_regular

MAX_BYTES = 1 << 20
# Sums and results that the engine keeps in the context: a stage that set them could lift a limit.
ENGINE_KEYS = ("usage.", "internal.", "parallel.results", "stack.child.")
LEGACY_STATUS = {
    "ok": "success",
    "pass": "success",
    "failure": "fail",
    "failed": "fail",
    "error": "fail",
    "partial": "partial_success",
    "skip": "skipped",
}


class _StatusFile(msgspec.Struct, forbid_unknown_fields=True):
    outcome: str
    preferred_label: str = ""
    suggested_next_ids: list[str] = []
    context_updates: dict[str, Any] = {}
    notes: str = ""
    failure_reason: str = ""
    failure_class: str = ""


def read_status_file(path: Path) -> Outcome | None:
    """The outcome a program wrote, a failure that names what is wrong with the file, or None without a file."""
    try:
        content = read_regular(path, MAX_BYTES, follow=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _invalid(path, error.strerror or str(error))
    return parse_status(content, path)


def parse_status(content: bytes, path: Path) -> Outcome:
    """The outcome in a status file's content; `path` is for messages."""
    try:
        data = read_json(content, _StatusFile)
        status = Status(LEGACY_STATUS.get(data.outcome, data.outcome))
        failure_class = FailureClass(data.failure_class) if data.failure_class else None
    except ValueError as error:
        return _invalid(path, str(error) if content.strip() else "it is empty")
    if status.is_success and failure_class is not None:
        return _invalid(path, f"it contradicts itself: outcome {data.outcome} with failure_class {data.failure_class}")
    notes = data.notes
    if data.outcome in LEGACY_STATUS:
        notes = f"{notes} (outcome {data.outcome!r} was read as {status.value!r})".strip()
    updates = {key: value for key, value in data.context_updates.items() if not key.startswith(ENGINE_KEYS)}
    if ignored := sorted(data.context_updates.keys() - updates.keys()):
        notes = f"{notes} (ignored, as the engine's own: {', '.join(ignored)})".strip()
    return Outcome(
        status,
        preferred_label=data.preferred_label,
        suggested_next_ids=tuple(data.suggested_next_ids),
        context_updates=updates,
        notes=notes,
        failure_reason=data.failure_reason,
        failure_class=failure_class,
    )


def _invalid(path: Path, why: str) -> Outcome:
    return Outcome(
        Status.FAIL,
        failure_reason=f"the stage's status file {path} cannot be used: {why}",
        failure_class=FailureClass.DETERMINISTIC,
    )
