"""Reads `[link]` of a scenario: what lies between the engine and CXDB, see docs/scenarios.md."""

from __future__ import annotations

import re

from harness.link import Cut, LinkSpec, Unit, Way
from harness.toml_table import Table

__all__ = ["read_link"]

_PLACE = re.compile(r"(?P<way>request|reply)(?P<byte> byte)? (?P<count>[1-9]\d*)")


def read_link(table: Table) -> LinkSpec:
    """The link; what is wrong with it is complained about."""
    link = LinkSpec(
        latency_seconds=_seconds(table, "latency_ms"),
        request_latency_seconds=_seconds(table, "request_latency_ms"),
        jitter_seconds=_seconds(table, "jitter_ms"),
        seed=table.get("seed", (int,), 1),
        bytes_per_second=_positive(table, "bytes_per_second", 0),
        cut=_cut(table),
    )
    if table.has("seed") and not table.has("jitter_ms"):
        table.complain("seed", "of which `jitter_ms`?")
    table.finish()
    return link


def _seconds(table: Table, key: str) -> float:
    milliseconds = table.number(key, 1.0)
    return milliseconds / 1000 if table.has(key) else 0.0


def _positive(table: Table, key: str, default: int) -> int:
    value: int = table.get(key, (int,), default)
    if table.has(key) and value < 1:
        table.complain(key, f"must be at least 1, found {value}")
    return value


def _cut(table: Table) -> Cut | None:
    times, first, text = _positive(table, "times", 1), _positive(table, "connection", 1), table.text("cut_after")
    if not table.has("cut_after"):
        for key in filter(table.has, ("times", "connection")):
            table.complain(key, "of what? `cut_after` is missing")
        return None
    place = _PLACE.fullmatch(text)
    if place is None:
        table.complain("cut_after", f"expected 'request 3', 'reply 3' or 'reply byte 100', found {text!r}")
        return None
    return Cut(Way(place["way"]), int(place["count"]), Unit.BYTES if place["byte"] else Unit.FRAMES, times, first)
