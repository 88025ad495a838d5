"""Runs one case from sandbox to result: prepare, carry out, settle, collect, judge, clean up.

Rules: whatever happens, nothing the case started outlives it, and there is a result. A harness that
fails is an `error`, a fault that did not fire makes the case `invalid`; neither can end green. Judging
sees frozen evidence only. Knows nothing of pytest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.agents.equipment import missing_agents
from harness.artifacts import keep_artifacts, keep_cxdb_log
from harness.canary import find_canary
from harness.checks import judge_case, judge_proofs
from harness.collect import Asked, collect_run, read_scratch
from harness.cxdb_choice import EMBEDDED, CxdbChoice
from harness.cxdb_supply import CxdbSupply, LentCxdb
from harness.engines import Engine
from harness.errors import HarnessError
from harness.evidence import CaseEvidence, RunEvidence
from harness.faults import CxdbLink, now, prove_link
from harness.matrix import Case
from harness.needs import lacking
from harness.processes import end_all, marked_processes
from harness.results import CaseResult, CheckResult, FaultRecord, Verdict
from harness.sabotage import sabotage_environment
from harness.sandbox import Sandbox, make_sandbox
from harness.scenario import CxdbMode, Expectation, Scenario
from harness.steps import RunHandle, StepRunner
from harness.store import ReportDirectory
from harness.verdict import merge

if TYPE_CHECKING:
    from harness.link.proxy import LinkProxy

__all__ = ["RunSettings", "run_case"]

SETTLE_SECONDS = 2.0  # for an engine that has written its last word to leave
GRACE_SECONDS = 0.3  # for a process that is already on its way out


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What all cases of a session share."""

    engine: Engine
    reports: ReportDirectory
    keep: bool = False  # the sandbox of a green case, too
    cxdb: CxdbChoice = EMBEDDED


def run_case(case: Case, settings: RunSettings, supply: CxdbSupply) -> CaseResult:
    """Never raises but on the harness' being interrupted."""
    began, started_at = time.monotonic(), now()
    directory = settings.reports.case_dir(case.case_id)
    directory.mkdir(parents=True, exist_ok=True)
    result = _blank_result(case, settings, started_at)
    reason = lacking(case.scenario.all_needs) or missing_agents(case.scenario.agents)
    try:
        reason = reason or supply.refusal(case.scenario)
        if reason:
            return dataclasses.replace(result, verdict=Verdict.SKIPPED, reason=reason)
        result = _run(case, settings, supply, directory, result)
    except HarnessError as error:
        result = dataclasses.replace(result, verdict=Verdict.ERROR, reason=str(error))
    except Exception as error:
        check = CheckResult(
            name="harness",
            verdict=Verdict.ERROR,
            summary=repr(error),
            evidence=traceback.format_exc(limit=-6),
        )
        result = dataclasses.replace(result, verdict=Verdict.ERROR, reason=repr(error), checks=(check,))
    return dataclasses.replace(result, duration_seconds=round(time.monotonic() - began, 3))


def _blank_result(case: Case, settings: RunSettings, started_at: str) -> CaseResult:
    directory = settings.reports.case_dir(case.case_id)
    return CaseResult(
        case_id=case.case_id,
        guardrail=case.scenario.guardrail,
        title=case.scenario.title,
        why=case.scenario.why,
        scenario_path=str(case.scenario.path),
        verdict=Verdict.ERROR,
        reason="the case did not end",
        started_at=started_at,
        case_dir=str(directory.relative_to(settings.reports.path)),
        reproduce=reproduce_command(case, settings),
        engine=settings.engine.label,
        saboteur=case.saboteur,
        axes=dict(case.scenario.axes),
        tags=case.scenario.tags,
    )


def reproduce_command(case: Case, settings: RunSettings) -> str:
    plain = dataclasses.replace(case, saboteur=None)
    words = [sys.executable, "-m", "harness", "run", plain.case_id, "--keep"]
    words += ["--scenarios", str(case.scenarios)]
    if settings.engine.label != "attractor":
        words += ["--engine", settings.engine.label]
    words += settings.cxdb.words()
    if case.saboteur:
        words += ["--saboteur", case.saboteur]
    return shlex.join(words)


def _run(case: Case, settings: RunSettings, supply: CxdbSupply, directory: Path, result: CaseResult) -> CaseResult:
    scenario, engine = case.scenario, settings.engine
    with supply.lend(scenario.cxdb, scenario.cxdb_disk) as lent, contextlib.ExitStack() as stack:
        link = _link(scenario, lent, stack)
        addresses = link.addresses if link is not None else lent.addresses
        sandbox = make_sandbox(directory, scenario, engine, addresses, _sabotage(case, engine, directory), stack)
        steps = StepRunner(scenario, engine, sandbox, lent.own, link)
        with _ended_after(sandbox, steps):
            before, branches = sandbox.git.checkout_state(), sandbox.git.branches()
            began = time.monotonic()
            steps.carry_out()
            duration = time.monotonic() - began
            evidence = _collect(case, steps, engine, lent, duration)
            evidence = dataclasses.replace(
                evidence, before=before, branches_before=branches, branch_prefix=_prefix(case, engine)
            )
        proven = (*_link_proofs(scenario, link), *judge_proofs(scenario.proofs, evidence))
        evidence = dataclasses.replace(evidence, faults=(*evidence.faults, *proven))
        checks = judge_case(scenario, evidence)
        verdict = _verdict(checks, evidence.faults)
        artifacts = keep_artifacts(directory, case, sandbox, evidence, engine)
        if verdict is not Verdict.GREEN:
            artifacts += keep_cxdb_log(directory, lent)
        if scenario.disk and verdict is not Verdict.GREEN:
            sandbox.keep_disk()
    if verdict is Verdict.GREEN and not settings.keep:
        sandbox.remove()
    main = evidence.runs.get("run") or next(iter(evidence.runs.values()), None)
    return dataclasses.replace(
        result,
        verdict=verdict,
        reason=_reason(verdict, checks, evidence.faults),
        checks=tuple(checks),
        faults=evidence.faults,
        commands=evidence.commands,
        logs_root=main.logs_root if main is not None else "",
        artifacts=artifacts,
    )


def _link(scenario: Scenario, lent: LentCxdb, stack: contextlib.ExitStack) -> LinkProxy | None:
    """What lies between the engine and CXDB. Evidence is read past it."""
    if not scenario.needs_link or lent.addresses is None:
        return None
    from harness.link.proxy import LinkProxy  # costs time, and most cases need none

    return stack.enter_context(LinkProxy(**lent.addresses, spec=scenario.link))


def _link_proofs(scenario: Scenario, link: CxdbLink | None) -> tuple[FaultRecord, ...]:
    return prove_link(scenario.link, link.counts()) if scenario.link is not None and link is not None else ()


def _sabotage(case: Case, engine: Engine, directory: Path) -> Mapping[str, str]:
    if case.saboteur is None:
        return {}
    return sabotage_environment(case.saboteur, directory, engine.environment)


def _prefix(case: Case, engine: Engine) -> str:
    git = case.scenario.config.get("git")
    prefix = git.get("run_branch_prefix") if isinstance(git, dict) else None
    return str(prefix or engine.branch_prefix)


@contextlib.contextmanager
def _ended_after(sandbox: Sandbox, steps: StepRunner) -> Iterator[None]:
    """Whatever was started is ended, whether the case went well or not."""
    try:
        yield
    finally:
        end_all(lambda: marked_processes(sandbox.marker))
        for command in steps.commands:
            command.close()
        sandbox.gates.close()


def _collect(case: Case, steps: StepRunner, engine: Engine, cxdb: LentCxdb, duration: float) -> CaseEvidence:
    """Leaks are looked for before anything is ended, and before the repository is read: reading takes
    a while, in which a leftover might end by itself."""
    sandbox = steps.sandbox
    alive = _settle(steps)
    leaks = _leaks(steps)
    cxdb.bring_back()
    addresses = cxdb.addresses or {}
    runs = {
        handle.name: _collect_handle(case, handle, steps, engine, addresses, alive[handle.name])
        for handle in steps.runs.values()
    }
    return CaseEvidence(
        runs=runs,
        commands=tuple(command.record() for command in steps.commands),
        outcomes=tuple(steps.outcomes),
        faults=tuple(steps.faults),
        scratch=read_scratch(sandbox.scratch, _scratch_names(case)),
        starts=sandbox.agents.starts(),
        answered=sandbox.agents.answered(),
        asked=sandbox.agents.asked(),
        after=sandbox.git.checkout_state(),
        branches_after=sandbox.git.branches(),
        worktrees=sandbox.git.worktrees(),
        canary_places=find_canary(sandbox.values["canary"], runs.values(), sandbox.launch, engine.files.worktree),
        leaked_processes=leaks,
        leftover_files=tuple(sorted(str(path.relative_to(sandbox.temporary)) for path in sandbox.temporary.rglob("*"))),
        duration_seconds=duration,
    )


def _settle(steps: StepRunner) -> dict[str, bool]:
    """Lets engines that have written final.json leave; says for each run whether its engine stayed."""
    steps.wait(lambda: all(steps.engine(name) is None for name in steps.runs), SETTLE_SECONDS)
    return {name: steps.engine(name) is not None for name in steps.runs}


def _leaks(steps: StepRunner) -> tuple[str, ...]:
    """Marked processes that are not the launchers we keep ourselves, after a moment's grace."""
    own = {command.process.pid for command in steps.commands}
    found: list[str] = []

    def none_left() -> bool:
        left = [p for p in marked_processes(steps.sandbox.marker) if p.pid not in own or _is_engine(p.pid, steps)]
        found[:] = [str(process) for process in left]
        return not found

    steps.wait(none_left, GRACE_SECONDS)
    return tuple(found)


def _is_engine(pid: int, steps: StepRunner) -> bool:
    engines = [steps.engine(name) for name in steps.runs]
    return any(engine is not None and engine.pid == pid for engine in engines)


def _scratch_names(case: Case) -> set[str]:
    names = {name for expect in case.scenario.expect.values() for name in expect.scratch}
    return names | {proof.scratch for proof in case.scenario.proofs if proof.scratch}


def _collect_handle(
    case: Case, handle: RunHandle, steps: StepRunner, engine: Engine, cxdb: Mapping[str, str], engine_alive: bool
) -> RunEvidence:
    expect = case.scenario.expect.get(handle.name, Expectation())
    return collect_run(
        name=handle.name,
        run_id=handle.run_id,
        logs_root=handle.logs_root,
        engine=engine,
        git=steps.sandbox.git,
        cxdb_url=cxdb.get("http_base_url"),
        cxdb_address=cxdb.get("binary_addr"),
        cxdb_expected=case.scenario.cxdb is not CxdbMode.NONE,
        contents=expect.contents,
        tree=expect.tree,
        of_branches={name: Asked(wanted.contents, wanted.tree) for name, wanted in expect.parallel.items()},
        engine_alive=engine_alive,
    )


def _verdict(checks: list[CheckResult], faults: tuple[FaultRecord, ...]) -> Verdict:
    """No check at all proves nothing; a fault that did not fire takes the ground from under all of them."""
    verdicts = [check.verdict for check in checks if check.verdict is not Verdict.SKIPPED]
    verdicts += [Verdict.INVALID for fault in faults if not fault.fired]
    return merge(verdicts) if verdicts else Verdict.INVALID


def _reason(verdict: Verdict, checks: list[CheckResult], faults: tuple[FaultRecord, ...]) -> str:
    if verdict is Verdict.GREEN:
        return ""
    if verdict is Verdict.INVALID:
        missed = next((fault for fault in faults if not fault.fired), None)
        if missed is not None:
            return f"fault {missed.kind} {missed.target} did not fire: {missed.proof}"
    first = next((check for check in checks if check.verdict is verdict), None)
    return f"{first.name}: {first.summary}" if first is not None else "nothing was judged"
