"""The place of one trial: a repository, a run's directory, and the lives of the engines that work on it.

    <directory>/  repo/  logs/  scratch/  home/  tmp/  graph.dot  run_config.json
                  life-1.out  life-1.err  life-1.notes  life-1.trace ...

Rules: a life is a real process, started as a user would start it; what it leaves running is ended with the trial;
every wait has a bound. Knows how to start and to kill, and judges nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import harness.sabotage
from harness.crash.pipelines import Pipeline
from harness.crash.points import Point
from harness.engines import Engine, LaunchRequest
from harness.processes import (
    CASE_MARKER,
    OWNER_MARKER,
    clean_environment,
    describe_exit,
    dying_with_parent,
    end_all,
    marked_processes,
    owner_mark,
    until,
)
from harness.repos import Git, make_repository
from harness.scenario import RepoSpec

__all__ = ["RUN_ID", "Life", "Place", "lent_place"]

RUN_ID = "crash"
SITE = Path(__file__).parent / "site"
SABOTEURS_SITE = Path(harness.sabotage.__file__).parent / "site"
LIFE_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One engine process, from its start to its end. `steps`: what it announced; `fired`: the kill it met."""

    verb: str
    exit_code: int | None  # None: it had to be ended
    steps: tuple[str, ...] = ()
    fired: str = ""
    observed: bool = False  # the engine takes an observer
    stdout: str = ""
    stderr: str = ""
    trace: str = ""  # what strace saw
    seconds: float = 0.0

    @property
    def end(self) -> str:
        return "did not end" if self.exit_code is None else describe_exit(self.exit_code)


@dataclasses.dataclass(slots=True)
class Place:
    """Starts the lives of one trial, one after the other."""

    root: Path
    pipeline: Pipeline
    engine: Engine
    marker: str
    git: Git
    environment: Mapping[str, str]
    cxdb: bool
    lives: list[Life] = dataclasses.field(default_factory=list)

    @property
    def logs_root(self) -> Path:
        return self.root / "logs" / "run"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    @property
    def has_begun(self) -> bool:
        """Whether there is a run to resume."""
        return (self.logs_root / self.engine.files.manifest).exists()

    def begin(self, *, at: Point | None = None, detach: bool = False, under: Sequence[str] = ()) -> Life:
        request = LaunchRequest(
            graph=str(self.root / "graph.dot"),
            config=str(self.root / "run_config.json"),
            run_id=RUN_ID,
            logs_root=str(self.logs_root),
            detach=detach,
            cxdb=self.cxdb,
        )
        return self._live("run", self.engine.run_argv(request), at, under, detached=detach)

    def go_on(self, *, at: Point | None = None, under: Sequence[str] = ()) -> Life:
        """What a user does after a crash: resume, or, where nothing had begun yet, the same command once more."""
        if not self.has_begun:
            return self.begin(at=at, under=under)
        argv = self.engine.at_logs_root_argv("resume", str(self.logs_root))
        return self._live("resume", argv, at, under, detached=False)

    def _live(self, verb: str, argv: Sequence[str], at: Point | None, under: Sequence[str], *, detached: bool) -> Life:
        number = len(self.lives) + 1
        notes, trace = (self.root / f"life-{number}.{kind}" for kind in ("notes", "trace"))
        environment = dict(self.environment)
        if not under:
            environment |= {"HARNESS_CRASH_NOTES": str(notes), "HARNESS_CRASH_AT": str(at or "")}
        wrapped = [*under, "-o", str(trace), "--", *argv] if under else list(argv)
        code, seconds = self._process(number, wrapped, environment, detached=detached)
        lines = [line.split() for line in _text(notes).splitlines()]
        life = Life(
            verb=verb,
            exit_code=code,
            steps=tuple(words[1] for words in lines if words[0] == "step"),
            fired=next((words[1] for words in lines if words[0] == "fired"), ""),
            observed=any(words[0] == "placed" for words in lines),
            stdout=_text(self.root / f"life-{number}.out"),
            stderr=_text(self.root / f"life-{number}.err"),
            trace=_text(trace),
            seconds=seconds,
        )
        self.lives.append(life)
        return life

    def _process(
        self, number: int, argv: Sequence[str], environment: Mapping[str, str], *, detached: bool
    ) -> tuple[int | None, float]:
        began = time.monotonic()
        out, err = (self.root / f"life-{number}.{kind}" for kind in ("out", "err"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                dying_with_parent(argv),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=self.root / "repo",
                env=dict(environment),
                start_new_session=True,
            )
        ended = until(lambda: process.poll() is not None, LIFE_SECONDS, self._answer)
        if ended and detached:
            ended = until(lambda: not self._engines(), LIFE_SECONDS, self._answer)
        if not ended:
            end_all(lambda: marked_processes(self.marker))
        if process.poll() is None:
            process.kill()
            process.wait()
        return (process.returncode if ended else None), time.monotonic() - began

    def _engines(self) -> bool:
        """Whether an engine is at work; stages that a killed one has left behind are none."""
        return any(" run " in f"{process.command} " for process in marked_processes(self.marker))

    def _answer(self) -> None:
        """Says at each gate what a person would say, by the file that any program may write."""
        if not self.pipeline.answer:
            return
        for question in self.logs_root.glob("questions.d/*/question.json"):
            answer = question.with_name("answer.json")
            if not answer.exists():
                aside = self.root / "tmp" / "answer.json"
                aside.write_text(json.dumps({"value": self.pipeline.answer}))
                with contextlib.suppress(OSError):
                    os.rename(aside, answer)

    def leftovers(self) -> list[str]:
        """Processes of the trial that still run."""
        return [str(identity) for identity in marked_processes(self.marker)]

    def starts(self) -> tuple[str, ...]:
        """Each start of a stage, by its own word."""
        return tuple(_text(self.scratch / "ran").split())


@contextlib.contextmanager
def lent_place(
    root: Path, pipeline: Pipeline, engine: Engine, cxdb: Mapping[str, str] | None, defect: str = ""
) -> Iterator[Place]:
    """A fresh place; whoever borrows it removes the folder, or keeps it as evidence."""
    shutil.rmtree(root, ignore_errors=True)
    for name in ("logs", "scratch", "home", "tmp"):
        (root / name).mkdir(parents=True)
    git = make_repository(root / "repo", RepoSpec(dirty={"notes.txt": "not committed\n"}))
    graph = pipeline.graph.replace("{scratch}", str(root / "scratch"))
    (root / "graph.dot").write_text(graph, encoding="utf-8")
    config = engine.run_config(root / "repo", cxdb, {})
    (root / "run_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    marker = uuid.uuid4().hex
    marks = {CASE_MARKER: marker, OWNER_MARKER: owner_mark()}
    environment = clean_environment(marks, root / "home", root / "tmp") | dict(engine.environment)
    paths = [str(SITE), str(SABOTEURS_SITE), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {
        "PYTHONPATH": os.pathsep.join(paths),
        "HARNESS_SABOTAGE_SITE": str(SABOTEURS_SITE),
        "HARNESS_CRASH_DEFECT": defect,
    }
    place = Place(root, pipeline, engine, marker, git, environment, cxdb is not None)
    try:
        yield place
    finally:
        end_all(lambda: marked_processes(marker))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
