"""All trials by step of a campaign: the twins, a kill at every point, then a second one behind a few of them."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from harness.crash.pipelines import Pipeline
from harness.crash.points import Point, first_of_each, parse_point, points_of, spread
from harness.crash.trial import Result, Seen, Trial, judge, look, run_trial
from harness.crash.workshop import CrashOptions, Workshop, tell
from harness.errors import HarnessError
from harness.results import Verdict

__all__ = ["run_by_step"]

TRIES = 3  # where branches run side by side, the second life's steps are not certain
FIRST_KILLS = 2  # of a pipeline, that are followed by a second one
SECOND_KILLS = 12  # at most, for each of them
SHORT_EXTRA = 2  # kills of a pipeline that brings no new step
DETACHED = "linear"  # the pipeline whose detached start is killed, too


@dataclasses.dataclass(frozen=True, slots=True)
class Twin:
    """The undisturbed run of a pipeline: what it came to, and the points it passed."""

    pipeline: Pipeline
    seen: Seen | None
    points: tuple[Point, ...]
    problems: tuple[str, ...] = ()
    skipped: str = ""
    seconds: float = 0.0


def run_by_step(workshop: Workshop, pipelines: Sequence[Pipeline]) -> list[Result]:
    options = workshop.options
    if options.step:
        starts = [(pipeline, options.detach) for pipeline in pipelines]
    else:
        starts = [(pipeline, False) for pipeline in pipelines]
        starts += [(pipeline, True) for pipeline in pipelines if pipeline.name == DETACHED]
    with ThreadPoolExecutor(options.workers) as pool:
        try:
            found = list(pool.map(lambda start: make_twin(workshop, *start), starts))
            twins = dict(zip(starts, found, strict=True))
            results = [twin_result(workshop, twin) for twin in found]
            seen = {start: twin.seen for start, twin in twins.items() if twin.seen is not None}
            trials = single_trials(options, pipelines) if options.step else first_wave(options, twins)
            trials = [trial for trial in trials if (trial.pipeline, trial.detach) in seen]
            ended = list(pool.map(lambda trial: _attempt(workshop, trial, seen), trials))
            results += [result for result, _ in ended]
            if not options.step:
                lives = {trial: steps for trial, (_, steps) in zip(trials, ended, strict=True)}
                again = pool.map(lambda trial: _attempt(workshop, trial, seen), second_wave(options, lives))
                results += [result for result, _ in again]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results


def make_twin(workshop: Workshop, pipeline: Pipeline, detach: bool = False) -> Twin:
    began = time.monotonic()
    folder = workshop.folder(pipeline, "undisturbed detached" if detach else "undisturbed")
    try:
        with workshop.place(folder, pipeline) as place:
            before = place.git.checkout_state()
            life = place.begin(detach=detach)
            if not life.observed:
                why = "the engine announces no steps; --by-syscall needs none"
                return Twin(pipeline, None, (), skipped=why)
            seen = look(place, before)
            problems = judge(seen, life, None, 0)
            if seen.picture.status != "success":
                problems.append(f"the undisturbed run ended with status {seen.picture.status!r}")
        if not problems:
            shutil.rmtree(folder, ignore_errors=True)
    except HarnessError as error:
        return Twin(pipeline, None, (), (str(error),))
    took = time.monotonic() - began
    return Twin(pipeline, None if problems else seen, points_of(life.steps), tuple(problems), seconds=took)


def twin_result(workshop: Workshop, twin: Twin) -> Result:
    """Without a good twin nothing can be known of the pipeline."""
    verdict = Verdict.SKIPPED if twin.skipped else Verdict.ERROR if twin.problems else Verdict.GREEN
    return Result(
        pipeline=twin.pipeline.name,
        kind="undisturbed",
        name="undisturbed",
        verdict=verdict,
        recovered=verdict is Verdict.GREEN,
        problems=(twin.skipped,) if twin.skipped else twin.problems,
        seconds=round(twin.seconds, 3),
        repeat=workshop.command(["--pipeline", twin.pipeline.name]),
    )


def single_trials(options: CrashOptions, pipelines: Sequence[Pipeline]) -> list[Trial]:
    """What --step and --then ask for."""
    kills = tuple(parse_point(text) for text in (options.step, options.then) if text)
    return [Trial(pipeline=pipeline, kills=kills, detach=options.detach) for pipeline in pipelines]


def first_wave(options: CrashOptions, twins: Mapping[tuple[Pipeline, bool], Twin]) -> list[Trial]:
    """A kill at every point; with --short, at each distinct step once, and a few in every pipeline."""
    trials: list[Trial] = []
    known: set[str] = set()
    for (pipeline, detach), twin in twins.items():
        points = start_up(twin.points) if detach else twin.points
        if options.short:
            new = first_of_each(points, known)
            known |= {point.step for point in new}
            points = new if detach else tuple(dict.fromkeys((*new, *spread(points, SHORT_EXTRA + 2)[1:-1])))
        trials += [Trial(pipeline=pipeline, kills=(point,), detach=detach) for point in points]
    return trials


def start_up(points: Sequence[Point]) -> tuple[Point, ...]:
    """Those before the first stage has ended: what a detached start is. Behind it, it is a run like any other."""
    steps = [point.step for point in points]
    return tuple(points[: steps.index("status_written")]) if "status_written" in steps else tuple(points)


def second_wave(options: CrashOptions, lives: Mapping[Trial, Sequence[str]]) -> list[Trial]:
    """Killed again in the resume that follows a few chosen kills; `lives`: the steps of each trial's last life."""
    by_pipeline: dict[Pipeline, list[Trial]] = {}
    for trial, steps in lives.items():
        if not trial.detach and "leftovers_ended" in steps:
            by_pipeline.setdefault(trial.pipeline, []).append(trial)
    if options.short:
        by_pipeline = dict(list(by_pipeline.items())[:1])
    found = []
    for pipeline, trials in by_pipeline.items():
        longest = sorted(trials, key=lambda trial: len(lives[trial]), reverse=True)
        for trial in spread(longest, FIRST_KILLS + 2)[1 : 2 if options.short else FIRST_KILLS + 1]:
            points = points_of(lives[trial])
            chosen = points[:2] if options.short else spread(points, SECOND_KILLS)
            found += [Trial(pipeline=pipeline, kills=(*trial.kills, point)) for point in chosen]
    return found


def _attempt(
    workshop: Workshop, trial: Trial, seen: Mapping[tuple[Pipeline, bool], Seen]
) -> tuple[Result, tuple[str, ...]]:
    """The result, and the steps of the last life. A kill that missed among branches is tried again; one that keeps
    missing stays invalid.
    """
    twin = seen[trial.pipeline, trial.detach]
    tries = TRIES if trial.pipeline.at_work > 1 else 1
    for number in range(1, tries + 1):
        try:
            result, steps = _once(workshop, trial, twin)
        except (HarnessError, OSError) as error:
            result, steps = _failed(workshop, trial, error), ()
        if result.verdict is not Verdict.INVALID or number == tries:
            break
    tell(result)
    return result, steps


def _once(workshop: Workshop, trial: Trial, twin: Seen) -> tuple[Result, tuple[str, ...]]:
    folder = workshop.folder(trial.pipeline, f"{trial.kind} {trial.name}")
    with workshop.place(folder, trial.pipeline) as place:
        result, last = run_trial(trial, place, twin)
        result = dataclasses.replace(result, repeat=workshop.command(trial.repeat_words()))
        return workshop.keep_or_remove(place, result), last.steps


def _failed(workshop: Workshop, trial: Trial, error: Exception) -> Result:
    return Result(
        pipeline=trial.pipeline.name,
        kind=trial.kind,
        name=trial.name,
        verdict=Verdict.ERROR,
        problems=(f"the harness failed: {error}",),
        repeat=workshop.command(trial.repeat_words()),
    )
