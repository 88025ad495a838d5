"""All trials by system call of a campaign. On a machine that cannot trace, all of it is skipped, with the reason."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from harness.crash.call_trial import CallTrial, run_call_trial
from harness.crash.pipelines import Pipeline
from harness.crash.syscalls import (
    Call,
    calls_of,
    engine_threads,
    injections_of,
    interesting,
    is_stable,
    parse_injection,
    strace_words,
)
from harness.crash.trial import Result, Seen, judge, look
from harness.crash.workshop import Workshop, tell
from harness.errors import HarnessError
from harness.results import Verdict

__all__ = ["run_by_syscall", "why_not_traced"]

SAMPLE = 6
SHORT_SAMPLE = 2
PROBE_SECONDS = 20
TRIES = 3


def why_not_traced() -> str:
    """What keeps this machine from tracing; '' where it can be done."""
    if shutil.which("strace") is None:
        return "strace is not installed (Debian, Ubuntu: apt-get install strace; Linux only)"
    probe = ["strace", "-f", "-o", os.devnull, "-e", "trace=rename", "-e", "inject=rename:error=EIO", "true"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"strace cannot be used: {error}"
    if done.returncode:
        return f"strace cannot trace here (ptrace is not permitted?): {done.stderr.strip()[:200]}"
    return ""


@dataclasses.dataclass(frozen=True, slots=True)
class TracedTwin:
    pipeline: Pipeline
    seen: Seen
    calls: tuple[Call, ...]  # of the engine's threads
    root: str
    follow: bool

    def stable_paths(self) -> tuple[str, ...]:
        """Relative to its place."""
        paths = dict.fromkeys(c.path for c in self.calls if interesting(c, self.root) and is_stable(c.path))
        return tuple(os.path.relpath(path, self.root) for path in paths if path.startswith(f"{self.root}/"))


def run_by_syscall(workshop: Workshop, pipelines: Sequence[Pipeline]) -> list[Result]:
    why = why_not_traced()
    if why:
        return [_unproven(workshop, pipeline, Verdict.SKIPPED, why) for pipeline in pipelines]
    results: list[Result] = []
    with ThreadPoolExecutor(workshop.options.workers) as pool:
        try:
            for pipeline in pipelines:
                twin = _traced_twin(workshop, pipeline)
                if isinstance(twin, Result):
                    results.append(twin)
                    continue
                trials = _trials(workshop, twin)
                results += pool.map(lambda trial, twin=twin: _attempt(workshop, trial, twin), trials)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results


def _trials(workshop: Workshop, twin: TracedTwin) -> list[CallTrial]:
    options = workshop.options
    if options.step:
        injections = [parse_injection(options.step)]
    else:
        sample = options.sample or (SHORT_SAMPLE if options.short else SAMPLE)
        injections = list(injections_of(twin.calls, twin.root, sample))
    return [CallTrial(pipeline=twin.pipeline, injection=injection, follow=twin.follow) for injection in injections]


def _traced_twin(workshop: Workshop, pipeline: Pipeline) -> TracedTwin | Result:
    # Our engine works in its main thread, but for branches; of another one nothing is known.
    follow = pipeline.at_work > 1 or workshop.options.engine is not None
    folder = workshop.folder(pipeline, "undisturbed traced")
    try:
        with workshop.place(folder, pipeline) as place:
            before = place.git.checkout_state()
            life = place.begin(under=strace_words(None, follow=follow))
            seen = look(place, before)
            problems = judge(seen, life, None, 0)
    except HarnessError as error:
        return _unproven(workshop, pipeline, Verdict.ERROR, str(error))
    if problems or seen.picture.status != "success":
        why = problems[0] if problems else f"the undisturbed run ended with status {seen.picture.status!r}"
        return _unproven(workshop, pipeline, Verdict.ERROR, why)
    threads = engine_threads(life.trace)
    calls = tuple(call for call in calls_of(life.trace) if not call.thread or call.thread in threads)
    shutil.rmtree(folder, ignore_errors=True)
    return TracedTwin(pipeline, seen, calls, str(folder), follow)


def _attempt(workshop: Workshop, trial: CallTrial, twin: TracedTwin) -> Result:
    """Some calls depend on the clock (a status file that is renewed so many times a second), so the last ones of the
    twin may not come again. Then the last that did come is tried instead, under its own number.
    """
    wanted = str(trial.injection)
    for number in range(1, TRIES + 1):
        result, came = _once(workshop, trial, twin, f"{wanted} try {number}" if number > 1 else wanted)
        injection = trial.injection
        if result.verdict is not Verdict.INVALID or workshop.options.step or not 0 < came < injection.nth:
            break
        trial = dataclasses.replace(trial, injection=dataclasses.replace(injection, nth=came))
    tell(result)
    return result


def _once(workshop: Workshop, trial: CallTrial, twin: TracedTwin, label: str) -> tuple[Result, int]:
    """The result, and how often the engine made that call; 0 where nobody knows."""
    folder = workshop.folder(trial.pipeline, label)
    repeat = workshop.command(trial.repeat_words())
    try:
        with workshop.place(folder, trial.pipeline) as place:
            result = run_call_trial(trial, place, twin.seen, twin.stable_paths())
            numbers = (c.nth for c in calls_of(place.lives[0].trace) if c.name == trial.injection.call)
            came = max(numbers, default=0)
            result = workshop.keep_or_remove(place, dataclasses.replace(result, repeat=repeat))
    except (HarnessError, OSError) as error:
        result = Result(
            pipeline=trial.pipeline.name,
            kind=trial.kind,
            name=str(trial.injection),
            verdict=Verdict.ERROR,
            problems=(f"the harness failed: {error}",),
            repeat=repeat,
        )
        return result, 0
    return result, came


def _unproven(workshop: Workshop, pipeline: Pipeline, verdict: Verdict, why: str) -> Result:
    return Result(
        pipeline=pipeline.name,
        kind="undisturbed",
        name="undisturbed",
        verdict=verdict,
        problems=(why,),
        repeat=workshop.command(["--by-syscall", "--pipeline", pipeline.name]),
    )
