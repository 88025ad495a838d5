"""The status file a stage's own program may write (spec appendix C): outcome, routing hints, context updates.

Strict: a file that is not what the contract says fails the stage and names the file and the place. A stage whose
wishes cannot be read must not pass as a success.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from attractor.contracts import FailureClass, Outcome, Status

MAX_BYTES = 1 << 20
_LEGACY_STATUS = {"ok": "success", "failure": "fail", "failed": "fail", "partial": "partial_success"}


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
        if path.stat().st_size > MAX_BYTES:
            return _invalid(path, f"it is larger than {MAX_BYTES} bytes")
        data = msgspec.json.decode(path.read_bytes(), type=_StatusFile)
        status = Status(_LEGACY_STATUS.get(data.outcome, data.outcome))
        failure_class = FailureClass(data.failure_class) if data.failure_class else None
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, ValueError) as error:
        return _invalid(path, str(error))
    return Outcome(
        status,
        preferred_label=data.preferred_label,
        suggested_next_ids=tuple(data.suggested_next_ids),
        context_updates=data.context_updates,
        notes=data.notes,
        failure_reason=data.failure_reason,
        failure_class=failure_class,
    )


def _invalid(path: Path, why: str) -> Outcome:
    return Outcome(
        Status.FAIL,
        failure_reason=f"the stage's status file {path} cannot be used: {why}",
        failure_class=FailureClass.DETERMINISTIC,
    )
