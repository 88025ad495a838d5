"""From samples to rows, table, JSON and exit code."""

from __future__ import annotations

import json

import pytest

from harness.bench.document import bench_json
from harness.bench.figures import Figure, Verdict
from harness.bench.outcomes import Metric, Outcome
from harness.bench.plan import FULL, Group, Job, Kind, plan
from harness.bench.rows import Row, build_rows
from harness.bench.session import exit_code
from harness.bench.table import WIDTH, render
from tests.harness_bench.bench_samples import node_times, outcome, runs

MACHINE = {"python": "CPython 3.12.0", "cores": "2", "filesystem": "ext4"}
ABSENT = "not installed (pip install 'attractor[bench]')"


def by_id(rows: list[Row]) -> dict[str, Row]:
    return {row.row_id: row for row in rows}


def test_a_large_run_is_compared_with_the_100_node_run() -> None:
    outcomes = {"nodes/100": node_times(2.0, 4.0), "nodes/10000": node_times(3.0, 6.0)}
    rows = by_id(build_rows(runs(10, 100, 10_000), outcomes))
    assert rows["growth/nodes/10000"].figure == Figure(1.5, 1.5, 1.5, 2)
    assert rows["growth/nodes/10000"].verdict is Verdict.MISSED
    assert rows["nodes/10000"].verdict is Verdict.MISSED
    assert rows["nodes/100"].verdict is Verdict.MET


def test_peak_memory_is_that_of_the_largest_run() -> None:
    rows = by_id(build_rows(runs(10, 10_000), {"nodes/10000": outcome(Metric.PEAK, 149.0)}))
    assert [name for name in rows if name.startswith("memory/")] == ["memory/10000"]
    assert rows["memory/10000"].verdict is Verdict.MET


def test_a_smaller_run_has_no_target_of_a_larger_one() -> None:
    assert by_id(build_rows(runs(50), {"nodes/50": node_times(1.0)}))["memory/50"].target is None


def test_a_peer_shows_how_the_engine_compares() -> None:
    jobs = (
        Job("steps/attractor", Kind.RUN, 9),
        Job("steps/attractor-no-cxdb", Kind.RUN, 9, ("--no-cxdb",)),
        Job("steps/dbos", Kind.PEER, 9, peer="dbos"),
    )
    outcomes = {
        "steps/attractor": node_times(3.0),
        "steps/attractor-no-cxdb": node_times(2.0),
        "steps/dbos": node_times(4.0),
    }
    rows = by_id(build_rows([Group(1, jobs)], outcomes))
    assert rows["steps/dbos"].notes == ("attractor / this: 0.75 with all; 0.50 no CXDB",)


def test_a_peer_that_is_not_installed_says_so_and_fails_nothing() -> None:
    groups = [Group(1, (Job("steps/dbos", Kind.PEER, 9, peer="dbos"),))]
    rows = build_rows(groups, {"steps/dbos": Outcome(absent=ABSENT)})
    assert (rows[0].verdict, rows[0].notes) == (Verdict.ABSENT, (ABSENT,))
    assert ABSENT in render(MACHINE, rows)
    assert exit_code(rows, check=True) == 0


def fan_out(size: int, command: str, seconds: float, in_a_row: float) -> dict[str, Row]:
    jobs = (
        Job(f"branches/{size}", Kind.FAN_OUT, size, command=command),
        Job(f"branches/{size}-in-a-row", Kind.CHAIN, size, command=command),
    )
    samples = [Outcome(({Metric.RUN: whole, Metric.MS_A_NODE: whole * 1000 / size},)) for whole in (seconds, in_a_row)]
    return by_id(build_rows([Group(1, jobs)], dict(zip((job.job_id for job in jobs), samples, strict=True))))


def test_a_late_cxdb_is_compared_with_one_that_is_not_late() -> None:
    jobs = tuple(Job(f"latency/{latency}", Kind.LATE, 9, latency_ms=latency) for latency in (0, 50))
    rows = by_id(build_rows([Group(2, jobs)], {"latency/0": node_times(4.0, 2.0), "latency/50": node_times(5.0, 3.0)}))
    assert list(rows) == ["latency/0", "latency/50", "growth/latency/50"]
    assert rows["growth/latency/50"].figure == Figure(1.375, 1.25, 1.5, 2)
    assert rows["growth/latency/50"].verdict is Verdict.MISSED


def test_what_a_server_takes_stands_beside_what_a_client_sends() -> None:
    jobs = (Job("append", Kind.APPEND, 9), Job("append/server", Kind.SERVER, 9))
    rows = build_rows([Group(1, jobs)], {job.job_id: outcome(Metric.RATE, 9.0) for job in jobs})
    assert [(row.section, row.label) for row in rows] == [("append", "9 turns"), ("append", "9 turns made beforehand")]


def test_branches_that_wait_are_shown_by_the_whole_run_s_time() -> None:
    rows = fan_out(8, "sleep 1", 2.0, 8.0)
    assert [(row.unit, row.figure and row.figure.median, row.verdict) for row in rows.values()] == [
        ("s", 2.0, Verdict.MISSED),
        ("s", 8.0, Verdict.NO_TARGET),
        ("x", 0.25, Verdict.NO_TARGET),
    ]
    assert list(rows) == ["branches/8", "branches/8-in-a-row", "ratio/branches/8"]


def test_branches_that_do_nothing_are_shown_by_what_each_costs() -> None:
    rows = fan_out(200, "true", 2.0, 1.0)
    assert [(row.unit, row.figure and row.figure.median, row.verdict) for row in rows.values()] == [
        ("ms", 10.0, Verdict.MET),
        ("ms", 5.0, Verdict.NO_TARGET),
        ("x", 2.0, Verdict.NO_TARGET),
    ]


def test_starting_is_compared_by_medians() -> None:
    groups = [Group(3, (Job("start/python", Kind.INTERPRETER), Job("start/version", Kind.VERSION)))]
    outcomes = {
        "start/version": outcome(Metric.WALL, 0.75, 0.5, 1.0),
        "start/python": outcome(Metric.WALL, 0.25, 0.5, 0.75),
    }
    row = by_id(build_rows(groups, outcomes))["start/version"]
    assert row.figure == Figure(1.5, 1.0, 3.0, 3)
    assert row.verdict is Verdict.MET


def test_validation_is_compared_with_half_the_size() -> None:
    jobs = tuple(Job(f"validate/{size}", Kind.VALIDATE, size) for size in (5_000, 10_000))
    outcomes = {"validate/5000": outcome(Metric.WALL, 0.2), "validate/10000": outcome(Metric.WALL, 0.8)}
    row = by_id(build_rows([Group(1, jobs)], outcomes))["growth/validate/10000"]
    assert (row.figure, row.verdict) == (Figure(4.0, 4.0, 4.0, 1), Verdict.MISSED)


def test_a_job_that_failed_has_its_row_and_reason_whatever_it_measured_before() -> None:
    outcomes = {"nodes/10": Outcome(({Metric.MS_A_NODE: 1.0},), problem="attractor run: exit 1: no")}
    row = by_id(build_rows(runs(10), outcomes))["nodes/10"]
    assert (row.verdict, row.notes[0]) == (Verdict.OPEN, "attractor run: exit 1: no")


def test_a_target_inside_a_wide_spread_is_called_doubtful() -> None:
    row = by_id(build_rows(runs(10), {"nodes/10": node_times(2.0, 3.0, 5.0)}))["nodes/10"]
    assert row.verdict is Verdict.MET
    assert "measure again" in row.notes[-1]


def test_a_matrix_that_is_not_green_is_timed_and_said() -> None:
    groups = [Group(1, (Job("matrix", Kind.MATRIX),))]
    rows = build_rows(groups, {"matrix": Outcome(({Metric.WALL: 59.0, Metric.EXIT: 1.0},))})
    assert (rows[0].verdict, rows[0].notes) == (Verdict.MET, ("not all green: exit 1",))


@pytest.mark.parametrize(
    ("verdicts", "check", "code"),
    [
        ([Verdict.MET, Verdict.NO_TARGET, Verdict.ABSENT], True, 0),
        ([Verdict.MET, Verdict.MISSED], False, 0),
        ([Verdict.MET, Verdict.MISSED], True, 1),
        ([Verdict.MISSED, Verdict.OPEN], True, 3),
        ([Verdict.OPEN], False, 3),
    ],
)
def test_exit_codes(verdicts: list[Verdict], check: bool, code: int) -> None:
    rows = [Row(str(index), "nodes", "", "ms", None, None, verdict) for index, verdict in enumerate(verdicts)]
    assert exit_code(rows, check=check) == code


def test_the_table_of_a_full_benchmark_fits_100_columns_with_and_without_figures() -> None:
    groups = plan(FULL, repeat=3, matrix=True)
    sample = {key: 1234.567 for name, key in vars(Metric).items() if not name.startswith("_")}
    full = {job.job_id: Outcome((sample, sample)) for group in groups for job in group.jobs}
    for outcomes in (full, {}):
        text = render(MACHINE, build_rows(groups, outcomes))
        assert max(map(len, text.splitlines())) <= WIDTH


def test_a_line_of_the_table_shows_median_spread_target_and_noise() -> None:
    text = render(MACHINE, build_rows(runs(10), {"nodes/10": node_times(2.0, 3.0, 5.0)}))
    line = next(line for line in text.splitlines() if line.startswith("  10 nodes"))
    assert line.split() == ["10", "nodes", "3.00", "ms", "(2.00", "-", "5.00)", "3", "~", "<=", "3.5", "ms", "met"]
    assert "~ noisy" in text


def test_the_document_holds_every_sample_and_every_verdict() -> None:
    outcomes = {"nodes/10": node_times(2.0, 3.0)}
    text = bench_json(
        started_at="2026-03-01T10:00:00Z",
        machine=MACHINE,
        sizes=FULL,
        repeat=2,
        outcomes=outcomes,
        rows=build_rows(runs(10), outcomes),
    )
    document = json.loads(text)
    assert document["version"] == 1
    assert document["jobs"]["nodes/10"]["samples"] == [{"ms_a_node": 2.0}, {"ms_a_node": 3.0}]
    assert [(row["id"], row["verdict"]) for row in document["rows"]] == [("nodes/10", "met"), ("memory/10", "open")]
