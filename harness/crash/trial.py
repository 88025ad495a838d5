"""One trial: kill, kill again where asked to, let the run come to its end, and judge what it has come to.

A kill that did not fire makes the trial invalid, whatever the run looks like; a harness that failed makes it an error.
"""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from harness.audit import audit_run
from harness.collect import collect_run
from harness.crash.comparing import Picture, Surroundings, differences, picture_of, repeated
from harness.crash.pipelines import Pipeline
from harness.crash.place import RUN_ID, Life, Place
from harness.crash.points import Point
from harness.evidence import RunEvidence
from harness.repos import CheckoutState
from harness.results import Verdict

__all__ = ["Result", "Seen", "Trial", "evidence_files", "judge", "look", "missed_kill", "run_trial"]

# A crash here costs the stage whose work is done and not yet in a checkpoint; at other steps no stage is at work.
COSTS_A_STAGE = ("status_written", "committed")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Which lives are killed where. Without a kill it is the twin."""

    pipeline: Pipeline
    kills: tuple[Point, ...] = ()
    detach: bool = False

    @property
    def name(self) -> str:
        return "+".join(map(str, self.kills)) or "undisturbed"

    @property
    def kind(self) -> str:
        if self.detach:
            return "detached start"
        return "killed twice" if len(self.kills) > 1 else "killed once"

    def repeat_words(self) -> list[str]:
        """Arguments of the command that repeats this trial alone."""
        words = ["--pipeline", self.pipeline.name]
        words += ["--detach"] if self.detach else []
        for option, kill in zip(("--step", "--then"), self.kills, strict=False):
            words += [option, str(kill)]
        return words

    def repeats(self) -> int:
        """How many starts of stages the kills may add."""
        pipeline = self.pipeline
        if pipeline.at_work > 1:
            return pipeline.repeats * len(self.kills)
        return pipeline.repeats * sum(kill.step in COSTS_A_STAGE for kill in self.kills)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that was seen of a run after its last life."""

    run: RunEvidence
    picture: Picture
    starts: tuple[str, ...]
    checkout_changes: tuple[str, ...]
    leftovers: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    pipeline: str
    kind: str
    name: str
    verdict: Verdict
    recovered: bool = False  # the last life came to the end that the twin came to
    problems: tuple[str, ...] = ()
    seconds: float = 0.0
    repeat: str = ""
    evidence: str = ""  # relative to the report directory; kept where the trial is not green
    lives: tuple[str, ...] = ()  # how each ended
    said: str = ""  # what a run told of a failing call: in final.json, or on its standard error


def run_trial(trial: Trial, place: Place, twin: Seen) -> tuple[Result, Life]:
    """The verdict, and the life that brought the run to its end."""
    began = time.monotonic()
    before = place.git.checkout_state()
    missed = []
    for number, kill in enumerate(trial.kills):
        life = place.begin(at=kill, detach=trial.detach) if number == 0 else place.go_on(at=kill)
        missed += missed_kill(kill, life, trial.detach)
        if missed:
            break
    last = place.lives[-1] if missed else place.go_on()
    found = None if missed else look(place, before)
    problems = tuple(judge(found, last, twin, trial.repeats())) if found is not None else ()
    verdict = Verdict.INVALID if missed else Verdict.RED if problems else Verdict.GREEN
    result = Result(
        pipeline=trial.pipeline.name,
        kind=trial.kind,
        name=trial.name,
        verdict=verdict,
        recovered=found is not None and last.exit_code == 0 and found.picture.status == twin.picture.status,
        problems=tuple(missed) or problems,
        seconds=round(time.monotonic() - began, 3),
        lives=tuple(f"{life.verb}: {life.end}" for life in place.lives),
    )
    return result, last


def missed_kill(kill: Point, life: Life, detached: bool) -> list[str]:
    """Why that kill has not happened; the launcher of a detached run may end well before its child is killed."""
    if life.fired != str(kill):
        return [f"the kill at {kill} did not fire: the life ended with {life.end} after {len(life.steps)} steps"]
    if life.exit_code is None or (not detached and life.exit_code != -signal.SIGKILL):
        return [f"the kill at {kill} was noted, but the engine's end was: {life.end}"]
    return []


def look(place: Place, before: CheckoutState) -> Seen:
    git, logs_root = place.git, place.logs_root
    run = collect_run(
        name="run", logs_root=logs_root, engine=place.engine, git=git, run_id=RUN_ID, cxdb_expected=place.cxdb
    )
    worktree = logs_root / place.engine.files.worktree
    has_worktree = worktree.is_dir()
    surroundings = Surroundings(
        worktree_at_tip=has_worktree and git.run("-C", str(worktree), "rev-parse", "HEAD").strip() == run.tip,
        worktree_status=git.run("-C", str(worktree), "status", "--porcelain") if has_worktree else "no worktree",
        branches=git.branches(),
        worktrees=len(git.worktrees()),
    )
    return Seen(
        run=run,
        picture=picture_of(run, surroundings),
        starts=place.starts(),
        checkout_changes=tuple(before.differences(git.checkout_state())),
        leftovers=tuple(place.leftovers()),
    )


def judge(found: Seen, last: Life, twin: Seen | None, repeats: int, ignored: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with a run that has come to its end, by itself and beside its twin."""
    problems = [] if last.exit_code == 0 else [f"{last.verb} ended with {last.end}: {_last_line(last.stderr)}"]
    for check in audit_run(found.run):
        if check.verdict not in (Verdict.GREEN, Verdict.SKIPPED):
            problems.append(f"{check.name}: {check.found or check.summary}")
    problems += [f"the user's checkout was touched: {change}" for change in found.checkout_changes]
    problems += [f"still running: {process}" for process in found.leftovers]
    if twin is not None:
        problems += differences(twin.picture, found.picture, ignored)
        problems += repeated(twin.starts, found.starts, repeats)
    return problems


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "it said nothing")


def evidence_files(place: Place, result: Result) -> None:
    """What is kept beside the run itself: the verdict in words."""
    words: Mapping[str, object] = dataclasses.asdict(result)
    text = "\n".join(f"{key}: {value}" for key, value in words.items() if value)
    Path(place.root / "verdict.txt").write_text(text + "\n", encoding="utf-8")
