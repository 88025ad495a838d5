"""Turns a scenario file (TOML) into a `Scenario`, or says everything that is wrong with it.

Rules: nothing is ignored and nothing guessed; the guardrail is the name of the folder and the case's
name that of the file, so neither can drift from where it is found. The grammar is described for authors
in docs/scenarios.md. Knows TOML tables and scenario values; runs nothing.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.checks import ALWAYS_CHECKED
from harness.placeholders import KNOWN, doubtful
from harness.provider.script import PROVIDERS
from harness.scenario import (
    CxdbMode,
    Expectation,
    FaultKind,
    FaultStep,
    Need,
    Proof,
    ReleaseStep,
    RepoKind,
    RepoSpec,
    Scenario,
    WaitKind,
    WaitStep,
)
from harness.scenario_agents import read_agents
from harness.scenario_link import read_link
from harness.scenario_patterns import read_matchers, read_pattern, read_patterns
from harness.scenario_steps import CXDB_DISK_DEEDS, each_run, read_step
from harness.toml_table import Problems, ScenarioError, Table, did_you_mean, type_name

__all__ = ["load_scenarios"]


def load_scenarios(path: Path) -> tuple[Scenario, ...]:
    """One scenario for each combination of its axes' values; raises ScenarioError with every problem."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(path, [f"{path}: {error}"]) from error
    scenarios = []
    for chosen in _combinations(data.pop("axes", {}), Problems(path, text)):
        problems = Problems(path, text)
        scenarios.append(_read(path, Table(_fill_axes(data, chosen), (), problems), chosen))
        problems.raise_if_any()
    return tuple(scenarios)


def _combinations(axes: Any, problems: Problems) -> list[dict[str, str]]:
    """Of one `[axes]`, or of each of several `[[axes]]` in turn: not every value goes with every other."""
    blocks: list[tuple[tuple[int, ...], dict[str, Any]]] = [((), axes)] if isinstance(axes, dict) else []
    if isinstance(axes, list) and axes and all(isinstance(block, dict) for block in axes):
        blocks = [((index,), block) for index, block in enumerate(axes)]
    elif not blocks:
        problems.add(("axes",), f"expected a table or several, found {type_name(axes)}")
    for place, block in blocks:
        for name, values in block.items():
            if not (isinstance(values, list) and values and all(isinstance(value, str) for value in values)):
                problems.add(("axes", *place, name), f"expected a list of texts, found {values!r}")
        if set(block) != set(blocks[0][1]):
            problems.add(("axes", *place), f"every [[axes]] has the same names: {', '.join(blocks[0][1])}")
    problems.raise_if_any()
    return [
        dict(zip(block, values, strict=True)) for _, block in blocks for values in itertools.product(*block.values())
    ]


def _fill_axes(value: Any, chosen: Mapping[str, str]) -> Any:
    """`{axis:NAME}` in every text, keys included."""
    if isinstance(value, str):
        for name, text in chosen.items():
            value = value.replace("{axis:" + name + "}", text)
        return value
    if isinstance(value, list):
        return [_fill_axes(item, chosen) for item in value]
    if isinstance(value, dict):
        return {_fill_axes(key, chosen): _fill_axes(item, chosen) for key, item in value.items()}
    return value


def _read(path: Path, table: Table, axes: Mapping[str, str]) -> Scenario:
    guardrail = table.text("guardrail", required=True)
    if guardrail and guardrail != path.parent.name:
        table.complain("guardrail", f"{guardrail!r} is filed under {path.parent.name!r}: both must be the same")
    steps: list[Any] = []
    table.each_table("steps", lambda element: steps.append(read_step(element)))
    if not steps:
        table.problems.add(("steps",), "a scenario needs at least one step")
    expect, others = table.table("expect"), table.table("expect_run")
    expectations = {"run": _expectation(expect)}
    for name in others.data:
        expectations[name] = _expectation(others.table(name))
    others.finish()
    told, many = each_run([step for step in steps if step is not None])
    for name, names in many.items():
        expectations |= dict.fromkeys(names, expectations.get(name, Expectation()))
    scenario = Scenario(
        path=path,
        guardrail=guardrail,
        name=path.stem,
        title=table.text("title", required=True),
        why=table.text("why", required=True).strip(),
        graph=table.text("graph", required=True),
        steps=told,
        timeout_seconds=table.number("timeout_seconds", 20.0),
        tags=table.texts("tags"),
        needs=tuple(Need(need) for need in table.texts("needs") if _known(table, "needs", need, Need)),
        cxdb=CxdbMode(table.choice("cxdb", CxdbMode, CxdbMode.SHARED)),
        link=read_link(table.table("link")) if table.has("link") else None,
        config=table.get("config", (dict,), {}),
        graphs=table.text_map("graphs"),
        repo=_repo(table.table("repo")),
        disk=_disk(table, "disk"),
        cxdb_disk=_disk(table, "cxdb_disk"),
        agents=read_agents(table.table("agents")) if table.has("agents") else None,
        expect=expectations,
        proofs=_proofs(table),
        within_seconds=table.number("within_seconds", 1.0) if table.has("within_seconds") else None,
        without=table.text_map("without"),
        axes=axes,
    )
    table.finish()
    _check_names(scenario, table)
    for key in ("graph", "graphs", "steps", "config", "agents"):
        _check_placeholders(table.data.get(key), (key,), table)
    return scenario


def _check_placeholders(value: Any, path: tuple[str | int, ...], table: Table) -> None:
    """A misspelt placeholder would be taken for plain text, and its case would test something else."""
    if isinstance(value, str):
        for name in doubtful(value, in_graph=path[0] in ("graph", "graphs", "agents")):
            table.problems.add(path, f"no such placeholder: {{{name}}}; {did_you_mean(name, KNOWN)}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_placeholders(item, (*path, index), table)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_placeholders(item, (*path, key), table)


def _check_names(scenario: Scenario, table: Table) -> None:
    """Names that must mean something elsewhere: built-in checks, gates of the graph, a server to be harmed."""
    for name in scenario.without:
        if name not in ALWAYS_CHECKED:
            table.problems.add(("without", name), f"no such check; {did_you_mean(name, ALWAYS_CHECKED)}")
    if scenario.link is not None and scenario.cxdb is CxdbMode.NONE:
        table.problems.add(("link",), 'there is no CXDB to link to: the case has cxdb = "none"')
    if scenario.cxdb_disk and scenario.cxdb is not CxdbMode.OWN:
        table.complain("cxdb_disk", 'others use that server: the case needs cxdb = "own"')
    gates = scenario.gates
    for index, step in enumerate(scenario.steps):
        gate, verb = "", "release"
        if isinstance(step, ReleaseStep):
            gate = step.gate
        elif isinstance(step, WaitStep) and step.kind is WaitKind.GATE:
            gate, verb = step.target, "wait"
        elif isinstance(step, FaultStep) and step.kind is FaultKind.CXDB and scenario.cxdb is not CxdbMode.OWN:
            table.problems.add(("steps", index, "fault"), 'others use that server: the case needs cxdb = "own"')
        elif isinstance(step, FaultStep) and step.target in CXDB_DISK_DEEDS and not scenario.cxdb_disk:
            table.problems.add(("steps", index, "fault"), 'its data need a disk of their own, cxdb_disk = "2m"')
        elif isinstance(step, FaultStep) and step.kind is FaultKind.LINK and scenario.cxdb is CxdbMode.NONE:
            table.problems.add(("steps", index, "fault"), 'there is no CXDB to link to: the case has cxdb = "none"')
        elif isinstance(step, FaultStep) and step.kind is FaultKind.FILL and not scenario.disk:
            table.problems.add(("steps", index, "fault"), 'the case needs a disk that may be filled, disk = "2m"')
        if gate and gate not in gates:
            table.problems.add(("steps", index, verb), f"the graph has no gate {gate!r}")


def _known(table: Table, key: str, value: str, options: type[Need]) -> bool:
    known = [str(option) for option in options]
    if value not in known:
        table.complain(key, f"no such value: {value!r}; {did_you_mean(value, known)}")
    return value in known


def _repo(table: Table) -> RepoSpec:
    default = RepoSpec()
    submodules = table.table("submodules")
    spec = RepoSpec(
        files=table.text_map("files") or default.files,
        dirty=table.text_map("dirty"),
        staged=table.text_map("staged"),
        hooks=table.text_map("hooks"),
        config=table.text_map("config"),
        submodules={path: submodules.text_map(path) for path in submodules.data},
        kind=RepoKind(table.choice("kind", RepoKind, RepoKind.PLAIN)),
    )
    submodules.finish()
    table.finish()
    return spec


def _disk(table: Table, key: str) -> str:
    size = table.text(key)
    if size and not re.fullmatch(r"[1-9]\d*[km]", size):
        table.complain(key, f"expected a size such as '2m' or '512k', found {size!r}")
    return size


# What can be asked of a branch of a fan-out: it has its own records, and no repository or scratch directory.
_OF_A_RUN = ("scratch", "branches", "starts", "asked", "nothing_made", "parallel")


def _expectation(table: Table, *, of_branch: bool = False) -> Expectation:
    for key in _OF_A_RUN if of_branch else ():
        if table.has(key):
            table.complain(key, "cannot be asked of a branch, only of the whole run")
    parallel = table.table("parallel")

    def optional_texts(key: str) -> tuple[str, ...] | None:
        return table.texts(key) if table.has(key) else None

    expectation = Expectation(
        final=read_matchers(table.table("final")),
        no_final=table.flag("no_final"),
        events=read_patterns(table, "events"),
        event_counts=read_patterns(table, "event_counts", counted=True),
        absent_events=read_patterns(table, "absent_events"),
        files=table.texts("files"),
        absent_files=table.texts("absent_files"),
        contents=read_matchers(table.table("contents")),
        tree=read_matchers(table.table("tree")),
        scratch=read_matchers(table.table("scratch")),
        commits=optional_texts("commits"),
        completed_nodes=optional_texts("completed_nodes"),
        branches=optional_texts("branches"),
        turns=table.texts("turns"),
        starts=optional_texts("starts"),
        asked=optional_texts("asked"),
        nothing_made=table.flag("nothing_made"),
        parallel={name: _expectation(parallel.table(name), of_branch=True) for name in parallel.data},
    )
    parallel.finish()
    table.finish()
    return expectation


def _proofs(table: Table) -> tuple[Proof, ...]:
    proofs: list[Proof] = []
    table.each_table("proof", lambda element: proofs.append(_proof(element)))
    return tuple(proofs)


def _proof(table: Table) -> Proof:
    event = read_pattern(table.data["event"], table, "event") if table.has("event") else None
    table.asked |= {"event"}
    proof = Proof(
        event=event,
        file=table.text("file") or None,
        scratch=table.text("scratch") or None,
        answered=table.choice("answered", PROVIDERS, "") or None if table.has("answered") else None,
        count=table.get("count", (int,), 1) if table.has("answered") else 1,
        run=table.text("run", "run"),
    )
    if sum(part is not None for part in (proof.event, proof.file, proof.scratch, proof.answered)) != 1 and not (
        table.has("event") and event is None  # already complained about
    ):
        table.problems.add(table.path, "a proof names exactly one of: event, file, scratch, answered")
    return proof
