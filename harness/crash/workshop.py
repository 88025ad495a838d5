"""What all trials of a campaign share: the options, the engine, the CXDB, the folders that are kept."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import click

from harness.crash.pipelines import Pipeline
from harness.crash.place import Place, lent_place
from harness.crash.trial import Result, evidence_files
from harness.cxdb_choice import EMBEDDED, CxdbChoice
from harness.engines import Engine
from harness.results import Verdict

__all__ = ["CrashOptions", "Workshop", "tell"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CrashOptions:
    report_dir: Path
    pipelines: tuple[str, ...] = ()
    step: str = ""
    then: str = ""
    detach: bool = False
    workers: int = 0  # 0: one for each core
    short: bool = False
    engine: str | None = None
    by_syscall: bool = False
    sample: int = 0
    defect: str = ""
    keep: bool = False
    cxdb: CxdbChoice = EMBEDDED


@dataclasses.dataclass(frozen=True, slots=True)
class Workshop:
    options: CrashOptions
    engine: Engine
    cxdb: Mapping[str, str] | None

    @property
    def evidence(self) -> Path:
        return self.options.report_dir / "evidence"

    def folder(self, pipeline: Pipeline, name: str) -> Path:
        return self.evidence / Path(pipeline.name).stem / name.replace("/", "-").replace(" ", "-").replace(":", "-")

    def place(self, folder: Path, pipeline: Pipeline) -> AbstractContextManager[Place]:
        return lent_place(folder, pipeline, self.engine, self.cxdb, self.options.defect)

    def command(self, words: Iterable[str]) -> str:
        """The command that repeats what `words` ask for, with this campaign's engine, CXDB and defect."""
        options = self.options
        more = ["--engine", options.engine] if options.engine else []
        more += options.cxdb.words()
        more += ["--defect", options.defect] if options.defect else []
        return shlex.join(["attractor-harness", "crash", *words, *more])

    def keep_or_remove(self, place: Place, result: Result) -> Result:
        """Only what is not green is looked at again."""
        if result.verdict is Verdict.GREEN and not self.options.keep:
            shutil.rmtree(place.root, ignore_errors=True)
            return result
        result = dataclasses.replace(result, evidence=str(place.root.relative_to(self.options.report_dir)))
        evidence_files(place, result)
        return result


def tell(result: Result) -> None:
    """A trial that is not green is told at once."""
    if result.verdict is not Verdict.GREEN:
        click.echo(f"{result.verdict.upper():8}{result.pipeline}: {result.name}: {result.problems[0]}", err=True)
