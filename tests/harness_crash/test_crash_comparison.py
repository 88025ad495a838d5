"""A run that was crashed, held against its twin: every field of the picture can turn the comparison red."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from harness.crash.comparing import Picture, Surroundings, differences, repeated
from harness.crash.pipelines import PIPELINES
from harness.crash.place import Life
from harness.crash.points import Point
from harness.crash.report import table_of
from harness.crash.trial import Result, Trial, missed_kill
from harness.results import Verdict

TWIN = Picture(
    status="success",
    tree="t1",
    commits=("start", "plan", "exit"),
    merges=0,
    finished=("start success 1", "plan success 2", "exit success 3"),
    completed_nodes=("start", "plan", "exit"),
    restarts=(),
    run_started_events=1,
    terminal_events=("run_completed",),
    turns={"GitCheckpoint": 3},
    branches_of_fan_outs={},
    surroundings=Surroundings(worktree_at_tip=True, worktree_status="", branches=("main",), worktrees=1),
)
OTHERWISE: dict[str, Any] = {
    "status": "fail",
    "tree": "t2",
    "commits": ("start", "plan", "plan", "exit"),
    "merges": 1,
    "finished": ("start success 1", "exit success 3"),
    "completed_nodes": ("start", "exit"),
    "restarts": ("restart-1",),
    "run_started_events": 2,
    "terminal_events": ("run_completed", "run_completed"),
    "turns": {"GitCheckpoint": 4},
    "branches_of_fan_outs": {"fan/1/a": {}},
    "surroundings": dataclasses.replace(TWIN.surroundings, worktree_status=" M plan.txt"),
}


def test_equal_pictures_have_no_difference() -> None:
    assert differences(TWIN, dataclasses.replace(TWIN)) == []


def test_every_field_is_tried() -> None:
    assert set(OTHERWISE) == {field.name for field in dataclasses.fields(Picture)}


@pytest.mark.parametrize("field", OTHERWISE)
def test_each_field_of_its_own_makes_a_difference(field: str) -> None:
    problems = differences(TWIN, dataclasses.replace(TWIN, **{field: OTHERWISE[field]}))
    assert len(problems) == 1
    assert problems[0].startswith(field.replace("_", " "))


@pytest.mark.parametrize(
    ("found", "allowed", "problem"),
    [
        (("plan", "build"), 0, ""),
        (("plan", "build", "build"), 1, ""),
        (("plan", "build", "build"), 0, "more often than this crash can cause"),
        (("plan", "plan", "build", "build"), 1, "more often than this crash can cause"),
        (("plan",), 1, "stage build was begun 0 times"),
    ],
)
def test_stages_are_repeated_as_often_as_the_crash_explains(found: tuple[str, ...], allowed: int, problem: str) -> None:
    problems = repeated(("plan", "build"), found, allowed)
    assert bool(problems) is bool(problem)
    assert problem in "".join(problems)


@pytest.mark.parametrize(
    ("name", "steps", "repeats"),
    [
        ("linear", ("checkpoint_saved",), 0),
        ("linear", ("committed",), 1),
        ("linear", ("committed", "leftovers_ended"), 1),
        ("retry", ("status_written",), 3),
        ("parallel", ("checkpoint_saved", "worktree_restored"), 4),
    ],
)
def test_only_work_without_a_checkpoint_may_be_repeated(name: str, steps: tuple[str, ...], repeats: int) -> None:
    trial = Trial(pipeline=PIPELINES[name], kills=tuple(Point(step, 1) for step in steps))
    assert trial.repeats() == repeats


@pytest.mark.parametrize(
    "life",
    [
        Life(verb="run", exit_code=0, steps=("committed",)),
        Life(verb="run", exit_code=-9),  # killed by somebody else: our kill left no note
        Life(verb="run", exit_code=-9, fired="committed#2"),
        Life(verb="run", exit_code=0, fired="committed#1"),
        Life(verb="run", exit_code=None, fired="committed#1"),
    ],
)
def test_a_kill_that_is_not_proven_hasmissed_kill(life: Life) -> None:
    assert missed_kill(Point("committed", 1), life, detached=False)


def test_a_kill_that_left_its_note_and_its_signal_has_happened() -> None:
    assert missed_kill(Point("committed", 1), Life(verb="run", exit_code=-9, fired="committed#1"), detached=False) == []


def test_a_kill_thatmissed_kill_is_counted_as_not_proven() -> None:
    green = Result(pipeline="linear", kind="killed once", name="a#1", verdict=Verdict.GREEN, recovered=True)
    missed = dataclasses.replace(green, name="a#2", verdict=Verdict.INVALID, recovered=False)
    rows = table_of([green, missed])
    assert rows[0] == ("linear", "killed once", "2", "1", "1", "1", "1", "invalid")
    assert rows[-1][0] == "all"
