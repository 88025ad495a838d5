"""pytest front of the matrix: every scenario file becomes test items, one a case.

    pytest scenarios -n auto -k detach        through scenarios/conftest.py
    pytest -p harness.pytest_plugin DIR       for scenarios anywhere

Rules: pytest decides what runs, where and when; the runner decides what it means. Each result is written
to the report directory as its case ends, with a line of progress before and after, so that a board in
another process can follow, whatever number of workers. Everything that needs the engine, git or CXDB
happens while an item runs, so that collecting stays quick.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.cxdb_choice import CxdbChoice, parse_cxdb
from harness.cxdb_supply import CxdbSupply, prepare_cxdb
from harness.engines import named_engine
from harness.errors import HarnessError
from harness.faults import now
from harness.matrix import Case, cases_of_file
from harness.processes import feel_signals, sweep_orphans
from harness.results import CaseResult, ProgressEvent, ProgressKind, Verdict
from harness.runner import RunSettings, run_case
from harness.sabotage import SABOTEURS, Saboteur, named_saboteur
from harness.store import ReportDirectory
from harness.toml_table import ScenarioError
from harness.verdict import merge
from harness.wording import explain

if TYPE_CHECKING:
    from _pytest._code import ExceptionInfo

__all__ = ["CaseItem", "ScenarioFile"]

DEFAULT_REPORTS = "reports"
_SUPPLY = pytest.StashKey[CxdbSupply]()
_BEGUN = pytest.StashKey[bool]()


class CaseFailed(Exception):
    """A case that did not end green; carries its result."""

    def __init__(self, result: CaseResult) -> None:
        super().__init__(result.reason)
        self.result = result


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("harness", "guardrail matrix")
    group.addoption("--harness-engine", metavar="CMD", help="Engine command line to drive.")
    group.addoption("--harness-saboteur", metavar="NAME", help="Put this historic bug back into the engine.")
    group.addoption("--harness-prove", choices=["short", "full"], help="Each case with each saboteur of its guardrail.")
    group.addoption(
        "--harness-controls", action="store_true", help="With --harness-prove: the same cases unharmed, too."
    )
    group.addoption("--harness-report-dir", metavar="DIR", default=DEFAULT_REPORTS, help="Where results go.")
    group.addoption("--harness-keep", action="store_true", help="Keep the sandboxes of green cases, too.")
    group.addoption("--harness-cxdb", metavar="CXDB", help="embedded (default), container, or HOST:PORT:HTTP_PORT.")
    group.addoption("--harness-cxdb-image", metavar="IMAGE", help="Of the container; 'build' makes one.")
    group.addoption("--harness-cxdb-base-image", metavar="IMAGE", help="What 'build' starts from.")
    group.addoption(
        "--harness-reruns",
        type=int,
        default=0,
        metavar="N",
        help="Run a red case again; green then is flaky.",
    )


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _cxdb(config: pytest.Config) -> CxdbChoice:
    image, base_image = config.getoption("harness_cxdb_image"), config.getoption("harness_cxdb_base_image")
    try:
        return parse_cxdb(config.getoption("harness_cxdb"), image, base_image, prefix="--harness-")
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


def _reports(config: pytest.Config) -> ReportDirectory:
    return ReportDirectory(config.rootpath.joinpath(os.path.abspath(config.getoption("harness_report_dir"))))


def pytest_configure(config: pytest.Config) -> None:
    feel_signals()
    choice = _cxdb(config)
    config.stash[_SUPPLY] = CxdbSupply(choice)
    if _is_worker(config):
        return
    sweep_orphans()
    if not config.option.collectonly:
        try:
            prepare_cxdb(choice)
        except HarnessError as error:
            raise pytest.UsageError(str(error)) from error


def pytest_unconfigure(config: pytest.Config) -> None:
    if _SUPPLY in config.stash:
        config.stash[_SUPPLY].close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """TOML files below a directory named scenarios, and those named on the command line."""
    if file_path.suffix != ".toml":
        return None
    named = file_path in [Path(arg.split("::")[0]).absolute() for arg in parent.config.args]
    if not named and "scenarios" not in file_path.parts:
        return None
    collector: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path)
    return collector


class ScenarioFile(pytest.File):
    """One scenario file: an item for each combination of its axes."""

    def collect(self) -> Iterator[CaseItem]:
        for case in _sabotaged(cases_of_file(self.path), self.config):
            yield CaseItem.from_parent(self, name=case.case_id, case=case)

    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]  # as pytest's own
        if isinstance(excinfo.value, ScenarioError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


def _sabotaged(cases: list[Case], config: pytest.Config) -> list[Case]:
    """As they are; all with one saboteur; or, to prove, each with those that attack its guardrail."""
    name, prove = config.getoption("harness_saboteur"), config.getoption("harness_prove")
    if name:
        return [dataclasses.replace(case, saboteur=named_saboteur(name).name) for case in cases]
    if not prove:
        return cases
    chosen = [(case, saboteur) for case in cases for saboteur in SABOTEURS if _attacks(saboteur, case, prove)]
    attacked = [dataclasses.replace(case, saboteur=saboteur.name) for case, saboteur in chosen]
    # A case that is red without any saboteur catches none: each gets its control.
    controls = list({case.case_id: case for case, _ in chosen}.values())
    return attacked + (controls if config.getoption("harness_controls") else [])


def _attacks(saboteur: Saboteur, case: Case, prove: str) -> bool:
    if case.scenario.agents is not None and case.scenario.agents.real:
        return False  # a fake's answer to a broken engine says as much, and in a tenth of the time
    if saboteur.killer in (case.case_id, case.case_id.partition("[")[0]):
        return True
    return prove == "full" and saboteur.guardrail == case.scenario.guardrail


class CaseItem(pytest.Item):
    """One case as pytest sees it."""

    def __init__(self, *, case: Case, **more: Any) -> None:
        super().__init__(**more)
        self.case = case
        for name in (case.scenario.guardrail, *case.scenario.tags):
            self.config.addinivalue_line("markers", f"{name}: cases of the matrix")
            self.add_marker(getattr(pytest.mark, name))
            self.extra_keyword_matches.add(name)

    def runtest(self) -> None:
        reports = _reports(self.config)
        settings = RunSettings(
            engine=named_engine(self.config.getoption("harness_engine")),
            reports=reports,
            keep=self.config.getoption("harness_keep"),
            cxdb=self.config.stash[_SUPPLY].choice,
        )
        self._tell(reports, ProgressKind.CASE_STARTED)
        result = self._run(settings)
        reports.write_result(result)
        self._tell(reports, ProgressKind.CASE_FINISHED, result)
        if result.verdict is Verdict.SKIPPED:
            pytest.skip(result.reason)
        if result.verdict is not Verdict.GREEN:
            raise CaseFailed(result)

    def _run(self, settings: RunSettings) -> CaseResult:
        supply = self.config.stash[_SUPPLY]
        result = run_case(self.case, settings, supply)
        for _ in range(self.config.getoption("harness_reruns")):
            if result.verdict is not Verdict.RED:
                break
            first, result = result, run_case(self.case, settings, supply)
            if result.verdict is Verdict.GREEN:
                return _flaky(first)
        return result

    def _tell(self, reports: ReportDirectory, kind: ProgressKind, result: CaseResult | None = None) -> None:
        scenario = self.case.scenario
        reports.append(
            ProgressEvent(
                kind=kind,
                at=now(),
                case_id=self.case.case_id,
                guardrail=scenario.guardrail,
                title=scenario.title,
                verdict=result.verdict if result else None,
                reason=result.reason if result else "",
                duration_seconds=result.duration_seconds if result else 0.0,
                worker=os.environ.get("PYTEST_XDIST_WORKER", ""),
            )
        )

    def repr_failure(self, excinfo: ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]  # as pytest's own
        if isinstance(excinfo.value, CaseFailed):
            return explain(excinfo.value.result)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.case.case_id


def _flaky(first: CaseResult) -> CaseResult:
    reason = f"green only when run again; first: {first.reason}"
    return dataclasses.replace(first, verdict=Verdict.FLAKY, reason=reason)


# A session's first and last line. With xdist the controller collects nothing itself; it is told.


def _begin(config: pytest.Config, case_ids: list[str]) -> None:
    if config.stash.get(_BEGUN, False) or not case_ids:
        return
    config.stash[_BEGUN] = True
    reports = _reports(config)
    reports.begin()
    reports.append(
        ProgressEvent(
            kind=ProgressKind.SESSION_STARTED,
            at=now(),
            case_ids=tuple(case_ids),
            engine=named_engine(config.getoption("harness_engine")).label,
            cxdb=config.stash[_SUPPLY].choice.label,
        )
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    if not _is_worker(session.config) and not session.config.option.collectonly:
        _begin(session.config, [item.case.case_id for item in session.items if isinstance(item, CaseItem)])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    _begin(node.config, [name.partition(".toml::")[2] for name in ids if ".toml::" in name])


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if not _is_worker(config) and config.stash.get(_BEGUN, False):
        reports = _reports(config)
        verdict = merge(result.verdict for result in reports.results())
        reports.append(ProgressEvent(kind=ProgressKind.SESSION_FINISHED, at=now(), verdict=verdict))
