"""One trial by system call: the n-th call is the engine's last, or fails; then the run is brought to its end.

After a kill, the promise is that of every crash. A call that fails (a full disk, a broken one, no more files) may end
the run, but in order: with an exit code of its own, no traceback, and the cause in final.json, or, where that could
not be written, on standard error. Either way a resume on a machine in good order comes to what the twin came to.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import time
from collections.abc import Iterable

from harness.crash.pipelines import Pipeline
from harness.crash.place import Life, Place
from harness.crash.syscalls import Injection, strace_words, was_hit
from harness.crash.trial import Result, Seen, judge, look
from harness.results import Verdict

__all__ = ["CallTrial", "ending_problems", "run_call_trial"]

SAID_CHARACTERS = 600
REMEDIES = ("hint:", "go on:")  # how the engine begins a line that says what to do next
# A life that failed has said so, once more than the twin, in its events and in CXDB.
SAID_MORE = ("terminal_events", "turns")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallTrial:
    pipeline: Pipeline
    injection: Injection
    follow: bool

    @property
    def kind(self) -> str:
        return "killed at a call" if self.injection.is_kill else "failing calls"

    def repeat_words(self) -> list[str]:
        return ["--by-syscall", "--pipeline", self.pipeline.name, "--step", str(self.injection)]


def run_call_trial(trial: CallTrial, place: Place, twin: Seen, paths: Iterable[str]) -> Result:
    """`paths` are those of the twin's files, relative to its place: where calls fail by path, the same here."""
    began = time.monotonic()
    before = place.git.checkout_state()
    injection = trial.injection
    own = [str(place.root / path) for path in paths] if injection.by_path else []
    life = place.begin(under=strace_words(injection, follow=trial.follow, paths=own))
    missed = was_hit(injection, life.trace, str(place.root))
    if injection.is_kill and not missed and life.exit_code != -signal.SIGKILL:
        missed = f"{injection} was in the trace, but the engine's end was: {life.end}"
    problems: list[str] = []
    said, recovered = "", False
    if not missed:
        if not injection.is_kill:
            said = what_was_said(place, life)
            problems += ending_problems(injection, life, said)
        last = place.go_on()
        found = look(place, before)
        ignored = () if injection.is_kill or life.exit_code == 0 else SAID_MORE
        problems += judge(found, last, twin, trial.pipeline.repeats * trial.pipeline.at_work, ignored)
        recovered = last.exit_code == 0 and found.picture.status == twin.picture.status
    return Result(
        pipeline=trial.pipeline.name,
        kind=trial.kind,
        name=str(injection),
        verdict=Verdict.INVALID if missed else Verdict.RED if problems else Verdict.GREEN,
        recovered=recovered,
        problems=(missed,) if missed else tuple(problems),
        seconds=round(time.monotonic() - began, 3),
        lives=tuple(f"{life.verb}: {life.end}" for life in place.lives),
        said=said[:SAID_CHARACTERS],
    )


def what_was_said(place: Place, life: Life) -> str:
    """The reason in final.json and what stands on standard error, as far as there is any."""
    try:
        final = json.loads((place.logs_root / place.engine.files.final).read_bytes())
        reason = f"final.json: {final.get('status')}: {final.get('failure_reason')}\n"
    except (OSError, ValueError):
        reason = ""
    return reason + life.stderr


def ending_problems(injection: Injection, life: Life, said: str) -> list[str]:
    """What is wrong with how a life ended whose calls had begun to fail."""
    problems = []
    if life.exit_code is None:
        problems.append(f"with {injection}, the engine did not end")
    elif life.exit_code < 0:
        problems.append(f"with {injection}, the engine crashed: {life.end}")
    if "Traceback (most recent call last)" in life.stderr:
        problems.append(f"with {injection}, it shows a traceback: {life.stderr.strip().splitlines()[-1]}")
    cause = os.strerror(getattr(errno, injection.what))
    if life.exit_code and life.exit_code > 0 and cause.lower() not in said.lower():
        problems.append(f"with {injection}, neither final.json nor standard error names the cause ({cause}): {said!r}")
    if life.exit_code and life.exit_code > 0 and not any(word in life.stderr for word in REMEDIES):
        problems.append(f"with {injection}, standard error does not say what to do: {life.stderr!r}")
    return problems
