"""Everything that can be known to go wrong, looked for before the first node runs.

The checks are pure over what they are given, and all of them are made: a user learns of four mistakes at once. The
report goes into preflight_report.json, passed or not. One exception: where CXDB alone is missing, nothing at all
is made, not even the run's folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from attractor.app.peers import CxdbPeer, reach_cxdb
from attractor.app.probes import Answer, Prober
from attractor.app.request import Plan, check_unused
from attractor.backends import PROFILES, AgentProfile, ModelCatalog, load_catalog
from attractor.contracts import AgentSettings, Stop
from attractor.errors import AttractorError, CxdbError, PreflightFailed
from attractor.graph import Graph, Node
from attractor.handlers import ModelChoice, executable_of, wanted_models
from attractor.rundir import acquire, make_directory, pretty_json, write_atomic

AGENT_HANDLER = "codergen"
LOW_DISK_BYTES = 10 << 20
# With the real profile these would silently put another program in the agent's place.
OVERRIDE_VARIABLES = tuple(f"ATTRACTOR_{profile.program.upper()}_PATH" for profile in PROFILES.values())
Which = Callable[[str, str | None], str | None]
HelpText = Callable[[tuple[str, ...]], str]
HELP_TIMEOUT_SECONDS = 20.0


def help_text(argv: tuple[str, ...]) -> str:
    """What a program says of its options; '' where it cannot be asked."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=HELP_TIMEOUT_SECONDS,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `detail` says what was found; for a failed one, also what to do."""

    check: str
    ok: bool
    detail: str

    def to_json(self) -> dict[str, object]:
        return {"check": self.check, "ok": self.ok, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Preflight:
    """All checks of a plan, and the CXDB that was reached."""

    checks: tuple[Check, ...]
    peer: CxdbPeer | None = None
    cxdb_error: CxdbError | None = None

    @property
    def problems(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.ok)

    @property
    def ok(self) -> bool:
        return not self.problems

    def require(self, plan: Plan) -> Preflight:
        """This preflight, if nothing was found. Else the report is written, CXDB let go, and PreflightFailed raised."""
        if self.ok:
            return self
        if self.peer is not None:
            self.peer.connection.close()
        with suppress(AttractorError):
            make_directory(plan.layout.root)
            write_report(plan, self)
        lines = "".join(f"\n  {check.detail}" for check in self.problems)
        count = len(self.problems)
        raise PreflightFailed(
            f"preflight found {count} problem{'s' * (count != 1)}, nothing was run:{lines}",
            hint=f"all checks: {plan.layout.preflight_report}",
        )


def run_preflight(plan: Plan, environment: Mapping[str, str]) -> Preflight:
    """Look at everything; raises nothing for what is wrong with the plan."""
    checks = [*_plan_checks(plan), check_disk(plan.layout.root), *_agent_checks(plan, environment)]
    if not plan.use_cxdb and plan.config.cxdb_required:
        both = "the configuration has cxdb.required: true, and --no-cxdb was given: leave one of them out"
        return Preflight((*checks, Check("cxdb", False, both)))
    if not plan.use_cxdb:
        return Preflight((*checks, Check("cxdb", True, "not used (--no-cxdb)")))
    try:
        peer = reach_cxdb(plan.config, plan.run_id)
    except CxdbError as error:
        return Preflight((*checks, Check("cxdb", False, error.message)), cxdb_error=error)
    return Preflight((*checks, Check("cxdb", True, f"{peer.binary_addr} and {peer.http_base_url}")), peer)


def pass_preflight(plan: Plan, environment: Mapping[str, str]) -> Preflight:
    """The preflight of a run that is to begin. Raises CxdbError where only that is missing, else PreflightFailed
    with all problems, after writing the report.
    """
    preflight = run_preflight(plan, environment)
    if preflight.cxdb_error is not None and len(preflight.problems) == 1:
        raise preflight.cxdb_error
    return preflight.require(plan)


def probe_models(plan: Plan, preflight: Preflight, environment: Mapping[str, str], stop: Stop) -> Preflight:
    """The same with a check for each model's prompt probe, where they are wanted and nothing else is wrong.

    For the owner of the run directory only: the probes leave their records there. After a stop the probes say
    nothing, and are left out.
    """
    policy, settings = plan.config.probes, plan.config.agents
    if policy is None or settings.simulate or not preflight.ok:
        return preflight
    uses, _ = agent_uses(plan.graph, settings)
    if not uses:
        return preflight
    home = Path(environment.get("HOME") or "/")
    answers = Prober(settings, policy, environment, home, plan.layout.probes, stop).ask(list(uses))
    if stop.requested:
        return preflight
    return replace(preflight, checks=(*preflight.checks, *map(_probe_check, answers)))


def preflight_only(plan: Plan, environment: Mapping[str, str], stop: Stop) -> Preflight:
    """Every check a run would make, and its report; no run. Raises RunDirectoryError for a folder in use."""
    preflight = run_preflight(plan, environment)
    if preflight.peer is not None:
        preflight.peer.connection.close()
    make_directory(plan.layout.root)
    if plan.config.probes is not None:
        lock = acquire(plan.layout)
        try:
            check_unused(plan.layout)
            preflight = probe_models(plan, preflight, environment, stop)
        finally:
            lock.release()
    write_report(plan, preflight)
    return preflight


def write_report(plan: Plan, preflight: Preflight) -> None:
    report = {
        "run_id": plan.run_id,
        "ok": preflight.ok,
        "checks": [check.to_json() for check in preflight.checks],
    }
    write_atomic(plan.layout.preflight_report, pretty_json(report))


def _plan_checks(plan: Plan) -> list[Check]:
    repository = plan.repository
    place = f"{repository.root} at {repository.base_sha}" if repository else "not used (--no-git)"
    return [
        Check("graph", True, f"{len(plan.graph.nodes)} nodes, no errors"),
        Check("run_id", True, plan.run_id),
        Check("repository", True, place),
        *(Check("note", True, note) for note in plan.notes),
    ]


def check_disk(folder: Path) -> Check:
    """Whether the run directory's file system has room for logs."""
    place = folder
    while not place.exists():
        place = place.parent
    facts = os.statvfs(place)
    free = facts.f_bavail * facts.f_frsize
    detail = f"{free >> 20} MiB free at {place}"
    if facts.f_blocks and free < LOW_DISK_BYTES:  # no blocks at all: not a file system that holds files
        return Check("disk", False, f"preflight: only {detail}; at least {LOW_DISK_BYTES >> 20} MiB are wanted")
    return Check("disk", True, detail)


def _probe_check(answer: Answer) -> Check:
    judgement = answer.judgement
    pair = f"llm_provider={answer.choice.provider} backend=cli model={answer.choice.model}"
    if judgement.ok:
        return Check("prompt_probe", True, f"{pair} answers")
    tried = f" after {answer.attempts} attempts" if answer.attempts > 1 else ""
    kind = f" ({judgement.kind})" if judgement.kind else ""
    what = f"preflight: {pair}: prompt probe failed{tried}{kind}: {judgement.reason}"
    return Check("prompt_probe", False, f"{what}; its output: {answer.folder}")


# --- agents ------------------------------------------------------------------------------------------------


def _agent_checks(plan: Plan, environment: Mapping[str, str]) -> list[Check]:
    settings = plan.config.agents
    if not agent_nodes(plan.graph):
        return []
    if settings.simulate:
        return [Check("agents", True, "simulated: no program is started")]
    uses, problems = agent_uses(plan.graph, settings)
    catalog = None
    if plan.config.catalog is not None:
        try:
            catalog = load_catalog(plan.config.catalog)
        except AttractorError as error:
            problems.append(Check("model_catalog", False, f"preflight: {error}"))
    return [*problems, *check_agents(uses, settings, catalog, environment)]


def agent_nodes(graph: Graph) -> list[Node]:
    """The nodes that ask an agent: a fan-in does where it has a prompt."""
    fan_ins = [node for node in graph.nodes_of_type("parallel.fan_in") if node.prompt]
    return [*graph.nodes_of_type(AGENT_HANDLER), *fan_ins]


def agent_uses(graph: Graph, settings: AgentSettings) -> tuple[dict[ModelChoice, Node], list[Check]]:
    """Each model the graph may come to run, with the first node that does, and what is wrong with the nodes."""
    uses: dict[ModelChoice, Node] = {}
    problems = []
    for node in agent_nodes(graph):
        try:
            for choice in wanted_models(node, settings):
                uses.setdefault(choice, node)
        except ValueError as error:
            problems.append(Check("agent", False, f"preflight: {node.span.place}: node {node.id}: {error}"))
    return uses, problems


def check_agents(
    uses: Mapping[ModelChoice, Node],
    settings: AgentSettings,
    catalog: ModelCatalog | None,
    environment: Mapping[str, str],
    which: Which = lambda program, path: shutil.which(program, path=path),
    ask: HelpText = help_text,
) -> list[Check]:
    """Model known, program there, credentials there: for everything the graph may run."""
    checks = [_check_model(choice, node, catalog) for choice, node in uses.items()]
    if catalog is None:
        checks.append(Check("model_catalog", True, "none configured (modeldb): models are not checked"))
    for provider in dict.fromkeys(choice.provider for choice in uses):
        profile = PROFILES[provider]
        checks += _check_program(profile, settings, environment, which, ask)
        checks.append(_check_credentials(profile, settings, environment))
    return [*checks, *_check_overrides(settings, environment)]


def _check_model(choice: ModelChoice, node: Node, catalog: ModelCatalog | None) -> Check:
    pair = f"llm_provider={choice.provider} backend=cli model={choice.model}"
    if catalog is None or catalog.has(choice.provider, choice.model):
        return Check("model", True, pair)
    near = catalog.nearest(choice.provider, choice.model)
    known = f"; nearest known: {', '.join(near)}" if near else ""
    where = f" ({node.span.place}, node {node.id})"
    return Check("model", False, f"preflight: {pair} not present in run catalog{known}{where}")


def _check_program(
    profile: AgentProfile, settings: AgentSettings, environment: Mapping[str, str], which: Which, ask: HelpText
) -> Iterable[Check]:
    program = executable_of(profile.provider, settings)
    who = f"llm_provider={profile.provider}"
    found = which(program, environment.get("PATH"))
    if found is None:
        remedy = f"llm.providers.{profile.provider}.executable with cli_profile: test_shim"
        yield Check(
            "program", False, f"preflight: {who}: {program!r} is no executable on PATH; install it (or {remedy})"
        )
        return
    yield Check("program", True, f"{profile.provider}: {found}")
    if settings.test_shim:
        return
    said = ask((found, *profile.help_arguments))
    missing = [flag for flag in profile.headless_flags if flag not in said]
    detail = f"{who}: {found} runs unattended"
    if missing:
        version = f"facts are of {profile.facts_from}"
        detail = (
            f"preflight: {who}: {found} does not know {', '.join(missing)}, so it cannot run unattended ({version})"
        )
    yield Check("headless", not missing, detail)


def _check_credentials(profile: AgentProfile, settings: AgentSettings, environment: Mapping[str, str]) -> Check:
    if settings.test_shim:
        return Check("credentials", True, f"{profile.provider}: not needed with cli_profile: test_shim")
    home = Path(environment.get("HOME") or "/")
    present = [name for name in profile.credential_variables if environment.get(name)]
    present += [f"~/{name}" for name in profile.credential_files if (home / name).is_file()]
    if present:
        return Check("credentials", True, f"{profile.provider}: {present[0]}")
    wanted = ", ".join([*profile.credential_variables, *(f"~/{name}" for name in profile.credential_files)])
    return Check(
        "credentials", False, f"preflight: llm_provider={profile.provider}: no credentials; one of these: {wanted}"
    )


def _check_overrides(settings: AgentSettings, environment: Mapping[str, str]) -> Iterable[Check]:
    for name in OVERRIDE_VARIABLES:
        if environment.get(name) and not settings.test_shim:
            yield Check("environment", False, f"preflight: {name} is set; with cli_profile: real that is refused")
