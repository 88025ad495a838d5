"""What is measured: every job has a way to be measured and shown, and `--only` chooses."""

from __future__ import annotations

import pytest

from harness.bench.graphs import fan_out_graph, linear_graph
from harness.bench.measuring import MEASURES
from harness.bench.plan import FULL, PEERS, QUICK, TARGETS, Kind, job_ids, plan, select
from harness.bench.resuming import kill_at
from harness.bench.rows import SECTIONS, build_rows
from harness.bench.table import TITLES
from harness.bench.workbench import PEER_SCRIPTS

EVERYTHING = plan(FULL, repeat=3, matrix=True)


def test_every_kind_of_job_is_planned_and_can_be_measured() -> None:
    assert {job.kind for group in EVERYTHING for job in group.jobs} == set(Kind) == set(MEASURES)


def test_every_section_has_a_title() -> None:
    assert set(SECTIONS) == set(TITLES)


def test_every_peer_has_its_script() -> None:
    assert {peer.script for peer in PEERS.values()} == {path.name for path in PEER_SCRIPTS.glob("*.py")}


def test_every_target_belongs_to_a_row_of_the_full_benchmark() -> None:
    growth = {name for name in TARGETS if name.startswith("growth/")}  # only shown where there are figures
    assert set(TARGETS) - growth <= {row.row_id for row in build_rows(EVERYTHING, {})}
    assert {name.removeprefix("growth/") for name in growth} <= set(job_ids(EVERYTHING))


def test_contenders_take_turns() -> None:
    group = next(group for group in EVERYTHING if group.jobs[0].job_id.startswith("steps/"))
    assert group.rounds == 3
    assert [job.job_id for job in group.jobs] == [
        "steps/attractor",
        "steps/attractor-no-cxdb",
        "steps/attractor-no-git-no-cxdb",
        "steps/dbos",
        "steps/langgraph",
        "steps/langgraph-sync",
        "steps/subprocess",
    ]
    assert {job.size for job in group.jobs} == {FULL.steps}


def test_quick_has_no_matrix_and_no_largest_run() -> None:
    ids = job_ids(plan(QUICK, repeat=1, matrix=False))
    assert "matrix" not in ids
    assert "nodes/10000" not in ids


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("nodes/100", ["nodes/100"]),
        ("nodes/10*", ["nodes/10", "nodes/100", "nodes/1000", "nodes/10000"]),
        ("start", ["start/python", "start/version"]),
        ("*langgraph", ["steps/langgraph", "steps/langgraph-sync"][:1]),
        ("nothing", []),
    ],
)
def test_only_chooses_by_id_part_or_pattern(pattern: str, expected: list[str]) -> None:
    assert job_ids(select(EVERYTHING, pattern)) == expected


def test_no_pattern_chooses_everything() -> None:
    assert select(EVERYTHING, "") == EVERYTHING


def test_a_graph_is_one_line_of_tool_nodes() -> None:
    assert linear_graph(2) == (
        "digraph bench {\n  start [shape=Mdiamond]\n  done [shape=Msquare]\n"
        '  n1 [shape=parallelogram, tool_command="true"]\n  n2 [shape=parallelogram, tool_command="true"]\n'
        "  start -> n1\n  n1 -> n2\n  n2 -> done\n}\n"
    )


def test_a_fan_out_has_one_tool_node_a_branch() -> None:
    assert fan_out_graph(2, "sleep 1", max_parallel=2) == (
        "digraph bench {\n  start [shape=Mdiamond]\n  done [shape=Msquare]\n"
        "  fan [shape=component, max_parallel=2]\n  pick [shape=tripleoctagon]\n"
        '  n1 [shape=parallelogram, tool_command="sleep 1"]\n  n2 [shape=parallelogram, tool_command="sleep 1"]\n'
        "  start -> fan\n  fan -> n1 -> pick\n  fan -> n2 -> pick\n  pick -> done\n}\n"
    )


def test_branches_and_the_same_nodes_in_a_row_take_turns() -> None:
    groups = [group for group in EVERYTHING if group.jobs[0].kind is Kind.FAN_OUT]
    assert [[job.job_id for job in group.jobs] for group in groups] == [
        ["branches/8", "branches/8-in-a-row"],
        ["branches/200", "branches/200-in-a-row"],
    ]
    assert [{(job.size, job.command) for job in group.jobs} for group in groups] == [{(8, "sleep 1")}, {(200, "true")}]


@pytest.mark.parametrize(("nodes", "node"), [(1_000, "n990"), (20, "n10"), (3, "n2"), (1, "n1")])
def test_a_run_is_killed_ten_nodes_before_its_end(nodes: int, node: str) -> None:
    assert kill_at(nodes) == node
