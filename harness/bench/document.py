"""`bench.json`: everything measured, every sample of it, and the rows as they were judged.

Rules: pure. The format has a version; a reader that finds another one should not guess. It names no user, no host
and no path, so that it can be shown to anyone.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

from harness.bench.outcomes import Outcome
from harness.bench.plan import Sizes
from harness.bench.rows import Row

__all__ = ["FORMAT_VERSION", "bench_json"]

FORMAT_VERSION = 1


def bench_json(
    *,
    started_at: str,
    machine: Mapping[str, str],
    sizes: Sizes,
    repeat: int,
    outcomes: Mapping[str, Outcome],
    rows: Sequence[Row],
) -> str:
    document = {
        "version": FORMAT_VERSION,
        "started_at": started_at,
        "machine": dict(machine),
        "sizes": dataclasses.asdict(sizes),
        "repeat": repeat,
        "rows": [_row(row) for row in rows],
        "jobs": {job_id: _outcome(outcome) for job_id, outcome in outcomes.items()},
    }
    return json.dumps(document, indent=2) + "\n"


def _row(row: Row) -> dict[str, object]:
    figure = dataclasses.asdict(row.figure) if row.figure is not None else None
    return {
        "id": row.row_id,
        "section": row.section,
        "label": row.label.strip(),
        "unit": row.unit,
        "figure": figure,
        "target": row.target,
        "verdict": row.verdict.name.lower(),
        "notes": list(row.notes),
    }


def _outcome(outcome: Outcome) -> dict[str, object]:
    return {
        "samples": [dict(sample) for sample in outcome.samples],
        "absent": outcome.absent,
        "problem": outcome.problem,
    }
