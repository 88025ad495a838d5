"""Figures for `/v1/metrics`, in the shape the real server answers.

The counts are true. Figures about the machine come from /proc where there is one and are 0 elsewhere.
Figures about storage files the embedded server does not have (it keeps one log) are 0, the log's size is
given as the turn log's. Rates are averages that decay over one and five minutes, updated when asked.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any

from harness.cxdb.registry import Registry
from harness.cxdb.sessions import Sessions
from harness.cxdb.store import Store

__all__ = ["Metrics"]

_MAX_SAMPLES = 2048  # latencies kept of each kind
_MAX_HISTORY = 30  # rates kept of each kind
_BUDGET_SHARE = 0.70
_HARD_CAP_BYTES = 24 * 1024**3
_PRESSURE = ((0.92, "CRITICAL"), (0.80, "HOT"), (0.60, "WARN"))
_IDLE_MS = 60_000
_RATED = ("append", "get_last", "get_blob", "registry_ingest", "http_req", "http_errors")
_WITHOUT_HISTORY = ("registry_ingest", "http_errors")
_TIMED = ("append", "get_last", "get_blob", "http")


class _Rate:
    """Events a second, smoothed."""

    def __init__(self, now: float) -> None:
        self.total = 0
        self._seen_total = 0
        self._seen_at = now
        self.over_1m = 0.0
        self.over_5m = 0.0
        self.history: deque[float] = deque(maxlen=_MAX_HISTORY)

    def update(self, now: float) -> None:
        elapsed = max(now - self._seen_at, 0.001)
        rate = (self.total - self._seen_total) / elapsed
        self.over_1m += (1 - math.exp(-elapsed / 60)) * (rate - self.over_1m)
        self.over_5m += (1 - math.exp(-elapsed / 300)) * (rate - self.over_5m)
        self._seen_total, self._seen_at = self.total, now
        self.history.append(self.over_1m)


class Metrics:
    """Counters and latencies of one server."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._rates = {name: _Rate(self._started) for name in _RATED}
        self._latencies: dict[str, deque[float]] = {name: deque(maxlen=_MAX_SAMPLES) for name in _TIMED}
        self._errors: Counter[str] = Counter()

    def record(self, operation: str, seconds: float) -> None:
        """One served operation: append, get_last or get_blob."""
        self._rates[operation].total += 1
        self._latencies[operation].append(seconds * 1000)

    def record_http(self, status: int, seconds: float) -> None:
        self._rates["http_req"].total += 1
        self._rates["http_errors"].total += status >= 400
        self._latencies["http"].append(seconds * 1000)

    def record_bundle(self) -> None:
        self._rates["registry_ingest"].total += 1

    def record_error(self, port: str) -> None:
        """`port` is "http" or "binary"."""
        self._errors[port] += 1

    def snapshot(self, store: Store, registry: Registry, sessions: Sessions) -> dict[str, Any]:
        """The whole page."""
        now = time.monotonic()
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        counts = store.counts()
        return {
            "ts": stamp,
            "uptime_seconds": now - self._started,
            "memory": _memory(),
            "sessions": {
                "total": sessions.total,
                "active": sessions.open_count(),
                "idle": sessions.idle_count(_IDLE_MS),
                "last_activity_unix_ms": sessions.last_activity_unix_ms,
            },
            "objects": _objects(counts, registry),
            "storage": _storage(counts, store.data_dir),
            "filesystem": {"snapshots_total": counts["fs_roots"], "index_bytes": 0, "content_bytes": 0},
            "perf": self._perf(now),
            "errors": {"total": self._errors.total(), "by_type": dict(self._errors)},
        }

    def _perf(self, now: float) -> dict[str, Any]:
        perf: dict[str, Any] = {}
        for name, rate in self._rates.items():
            rate.update(now)
            perf[f"{name}_tps_1m"] = rate.over_1m
            perf[f"{name}_tps_5m"] = rate.over_5m
            if name not in _WITHOUT_HISTORY:
                perf[f"{name}_tps_history"] = list(rate.history)
        for name, samples in self._latencies.items():
            perf[f"{name}_latency_ms"] = _summary(sorted(samples))
        return perf


def _summary(ordered: list[float]) -> dict[str, float | int | None]:
    return {
        "p50": _percentile(ordered, 0.50),
        "p95": _percentile(ordered, 0.95),
        "p99": _percentile(ordered, 0.99),
        "max": ordered[-1] if ordered else None,
        "count": len(ordered),
    }


def _percentile(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    rank = (len(ordered) - 1) * share
    low = math.floor(rank)
    high = math.ceil(rank)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def _objects(counts: dict[str, int], registry: Registry) -> dict[str, int]:
    types, bundles = registry.counts()
    return {
        "contexts_total": counts["contexts"],
        "turns_total": counts["turns"],
        "blobs_total": counts["blobs"],
        "registry_types_total": types,
        "registry_bundles_total": bundles,
        "heads_total": counts["contexts"],
    }


def _storage(counts: dict[str, int], data_dir: str) -> dict[str, int]:
    disk = os.statvfs(data_dir)
    return {
        "turns_log_bytes": counts["log_bytes"],
        "turns_index_bytes": 0,
        "turns_meta_bytes": 0,
        "heads_table_bytes": 0,
        "blobs_pack_bytes": counts["blob_bytes"],
        "blobs_index_bytes": 0,
        "data_dir_total_bytes": disk.f_frsize * disk.f_blocks,
        "data_dir_free_bytes": disk.f_frsize * disk.f_bavail,
    }


def _memory() -> dict[str, Any]:
    system = _kilobytes("/proc/meminfo")
    process = _kilobytes("/proc/self/status")
    total, available, free = (system.get(k, 0) for k in ("MemTotal", "MemAvailable", "MemFree"))
    rss = process.get("VmRSS", 0)
    budget = max(min(int(available * _BUDGET_SHARE), _HARD_CAP_BYTES), 1)
    pressure = rss / budget
    return {
        "sys_total_bytes": total,
        "sys_available_bytes": available,
        "sys_free_bytes": free,
        "sys_cached_bytes": max(total - available - free, 0),
        "sys_swap_total_bytes": system.get("SwapTotal", 0),
        "sys_swap_free_bytes": system.get("SwapFree", 0),
        "process_rss_bytes": rss,
        "process_vmem_bytes": process.get("VmSize", 0),
        "process_heap_bytes": None,
        "process_open_fds": None,
        "budget_bytes": budget,
        "budget_pct": _BUDGET_SHARE,
        "hard_cap_bytes": _HARD_CAP_BYTES,
        "pressure_ratio": pressure,
        "pressure_level": next((name for bound, name in _PRESSURE if pressure >= bound), "OK"),
        "spill_threshold_bytes": int(budget * 0.85),
        "spill_critical_bytes": int(budget * 0.95),
    }


def _kilobytes(path: str) -> dict[str, int]:
    """The `Name: 123 kB` lines of a /proc file, in bytes; empty where there is no such file."""
    try:
        with open(path) as lines:
            pairs = [line.split() for line in lines if line.endswith(" kB\n")]
    except OSError:
        return {}
    return {name.rstrip(":"): int(number) * 1024 for name, number, _ in pairs}
