"""What a stage says when it ends: status, failure class, routing hints (spec section 5.2, DESIGN 2.5).

Values only. Nothing here decides anything: retry, routing and restart policy live in `engine`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Stage status, spelled as in `status.json` and in conditions (spec 5.2)."""

    SUCCESS = "success"
    PARTIAL_SUCCESS = "partial_success"
    RETRY = "retry"
    FAIL = "fail"
    SKIPPED = "skipped"

    @property
    def is_success(self) -> bool:
        """True where routing and goal gates count the stage as done."""
        return self in (Status.SUCCESS, Status.PARTIAL_SUCCESS, Status.SKIPPED)


class FailureClass(StrEnum):
    """Why a stage failed; decides retry and loop restart (DESIGN 2.5)."""

    TRANSIENT_INFRA = "transient_infra"
    BUDGET_EXHAUSTED = "budget_exhausted"
    COMPILATION_LOOP = "compilation_loop"
    DETERMINISTIC = "deterministic"
    STRUCTURAL = "structural"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one execution of a node.

    `failure_class` is None on success, and on a failure whose handler had no opinion: the engine then
    classifies by `failure_reason`. `context_updates` values must be JSON values. `retry_after_seconds`: not
    before then has another attempt a chance (a quota's reset).
    """

    status: Status
    preferred_label: str = ""
    suggested_next_ids: tuple[str, ...] = ()
    context_updates: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""
    failure_reason: str = ""
    failure_class: FailureClass | None = None
    retry_after_seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The object written to `status.json` (spec appendix C) and kept in the checkpoint."""
        data: dict[str, Any] = {"outcome": self.status.value}
        if self.preferred_label:
            data["preferred_label"] = self.preferred_label
        if self.suggested_next_ids:
            data["suggested_next_ids"] = list(self.suggested_next_ids)
        if self.context_updates:
            data["context_updates"] = dict(self.context_updates)
        if self.notes:
            data["notes"] = self.notes
        if self.failure_reason:
            data["failure_reason"] = self.failure_reason
        if self.failure_class is not None:
            data["failure_class"] = self.failure_class.value
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """Inverse of `to_json`; raises KeyError or ValueError for what `to_json` never writes."""
        failure_class = data.get("failure_class")
        return cls(
            status=Status(data["outcome"]),
            preferred_label=data.get("preferred_label", ""),
            suggested_next_ids=tuple(data.get("suggested_next_ids", ())),
            context_updates=data.get("context_updates", {}),
            notes=data.get("notes", ""),
            failure_reason=data.get("failure_reason", ""),
            failure_class=FailureClass(failure_class) if failure_class else None,
        )
