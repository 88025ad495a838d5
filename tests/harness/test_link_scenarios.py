"""The link to CXDB in scenarios: how it is read, harmed, proven, and that what was declared and never was is told."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from harness.cxdb.embedded import EmbeddedCxdb
from harness.cxdb.probe import hello_problem
from harness.cxdb_supply import CxdbSupply
from harness.engines import named_engine
from harness.faults import FAULTS, CxdbLink, Scene, prove_link
from harness.link import Cut, LinkCounts, LinkSpec, Unit, Way
from harness.link.proxy import LinkProxy
from harness.matrix import cases_of_file
from harness.results import CaseResult, FaultRecord, Verdict
from harness.runner import RunSettings, run_case
from harness.scenario import FaultKind, FaultStep
from harness.scenario_file import load_scenarios
from harness.store import ReportDirectory
from harness.toml_table import ScenarioError

STAND_IN = Path(__file__).with_name("stand_in_engine.py")
HEAD = 'guardrail = "sample"\ntitle = "t"\nwhy = "w"\n'
GRAPH = "graph = '''\ndigraph g { work [shape=parallelogram, tool_command=\"true\"] start -> work -> exit }\n'''\n"
GOOD = HEAD + GRAPH + "steps = [{ run = {} }]\n"


def filed(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sample" / "case.toml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    return path


# Reading


def test_a_link_is_read_with_all_it_can_be(tmp_path: Path) -> None:
    link = """[link]
    latency_ms = 200
    request_latency_ms = 10
    jitter_ms = 0.5
    seed = 7
    bytes_per_second = 4000
    cut_after = "reply byte 100"
    times = 2
    """
    (scenario,) = load_scenarios(filed(tmp_path, GOOD + link))
    cut = Cut(Way.REPLY, 100, Unit.BYTES, 2)
    assert scenario.link == LinkSpec(0.2, 0.01, 0.0005, 7, 4000, cut)


def test_the_place_of_a_cut_may_be_an_axis(tmp_path: Path) -> None:
    link = '[link]\ncut_after = "{axis:place}"\n[axes]\nplace = ["request 1", "reply 12"]\n'
    found = [scenario.link for scenario in load_scenarios(filed(tmp_path, GOOD + link))]
    assert found == [LinkSpec(cut=Cut(Way.REQUEST, 1)), LinkSpec(cut=Cut(Way.REPLY, 12))]


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        (GOOD, False),
        (GOOD + "[link]\n", True),
        (GOOD.replace("{ run = {} }", '{ run = {} }, { fault = { link = "cut" } }'), True),
    ],
)
def test_something_lies_in_between_where_it_is_needed(tmp_path: Path, text: str, needs: bool) -> None:
    (scenario,) = load_scenarios(filed(tmp_path, text))
    assert scenario.needs_link is needs


def fault(options: str) -> str:
    return GOOD.replace("run = {}", f"fault = {{ {options} }}")


MISTAKES = {
    "unknown key": (
        GOOD + "[link]\nlatency = 2\n",
        "9: link.latency: unknown key 'latency'; did you mean 'latency_ms'?",
    ),
    "no time": (GOOD + "[link]\nlatency_ms = 0\n", "9: link.latency_ms: must be more than 0, found 0"),
    "no rate": (GOOD + "[link]\nbytes_per_second = 0\n", "9: link.bytes_per_second: must be at least 1, found 0"),
    "no place": (
        GOOD + '[link]\ncut_after = "frame 3"\n',
        "9: link.cut_after: expected 'request 3', 'reply 3' or 'reply byte 100', found 'frame 3'",
    ),
    "before the first frame": (GOOD + '[link]\ncut_after = "reply 0"\n', "9: link.cut_after: expected 'request 3'"),
    "times of nothing": (GOOD + "[link]\ntimes = 2\n", "9: link.times: of what? `cut_after` is missing"),
    "a connection of nothing": (
        GOOD + "[link]\nconnection = 2\n",
        "9: link.connection: of what? `cut_after` is missing",
    ),
    "a seed for nothing": (GOOD + "[link]\nseed = 2\n", "9: link.seed: of which `jitter_ms`?"),
    "no such deed": (
        fault('link = "break"'),
        "7: steps[1].fault.link: can cut, refuse, half-open, delay, restore, not 'break'",
    ),
    "a delay without length": (
        fault('link = "delay"'),
        "7: steps[1].fault.link: by how much? `milliseconds` is missing",
    ),
    "a length without delay": (
        fault('link = "cut", milliseconds = 5'),
        "7: steps[1].fault.milliseconds: unknown key 'milliseconds'",
    ),
    "a link to nothing": (
        'cxdb = "none"\n' + GOOD + "[link]\n",
        '9: link: there is no CXDB to link to: the case has cxdb = "none"',
    ),
    "harm to a link to nothing": (
        'cxdb = "none"\n' + fault('link = "cut"'),
        '8: steps[1].fault: there is no CXDB to link to: the case has cxdb = "none"',
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_with_its_place(tmp_path: Path, mistake: str) -> None:
    text, expected = MISTAKES[mistake]
    path = filed(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        load_scenarios(path)
    found = [problem.removeprefix(f"{path}:") for problem in caught.value.problems]
    assert any(problem.startswith(expected) for problem in found), found


# Harm


@dataclasses.dataclass
class LinkScene:
    """As much of a case as a fault of the link looks at."""

    between: CxdbLink | None

    def link(self) -> CxdbLink | None:
        return self.between


@pytest.fixture
def server() -> Iterator[EmbeddedCxdb]:
    with EmbeddedCxdb() as running:
        yield running


@pytest.fixture
def link(server: EmbeddedCxdb) -> Iterator[LinkProxy]:
    with LinkProxy(server.binary_addr, server.http_base_url) as between:
        yield between


def harm(link: CxdbLink | None, deed: str, milliseconds: float = 0.0) -> FaultRecord:
    step = FaultStep(kind=FaultKind.LINK, target=deed, milliseconds=milliseconds)
    return FAULTS[FaultKind.LINK](step, cast(Scene, LinkScene(link)))


@pytest.mark.parametrize("deed", ["refuse", "half-open"])
def test_a_link_that_is_away_is_proven_by_the_server_s_being_there(
    link: LinkProxy, server: EmbeddedCxdb, deed: str
) -> None:
    away = harm(link, deed)
    assert away.fired
    assert f"the server at {server.binary_addr} answers" in away.proof
    assert hello_problem(link.binary_addr, 0.1)
    assert harm(link, "restore").fired
    assert hello_problem(link.binary_addr, 2.0) == ""


def test_an_outage_of_the_server_does_not_pass_for_one_of_the_link(link: LinkProxy, server: EmbeddedCxdb) -> None:
    server.kill()
    refused = harm(link, "refuse")
    assert not refused.fired
    assert f"nobody listens at {server.binary_addr}" in refused.proof


def test_a_cut_of_no_connection_did_not_happen(link: LinkProxy) -> None:
    assert not harm(link, "cut").fired


def test_a_delay_is_measured(link: LinkProxy) -> None:
    delayed = harm(link, "delay", 30.0)
    assert (delayed.fired, delayed.target) == (True, "delay")
    assert "a hello was answered after" in delayed.proof


def test_a_case_without_a_link_cannot_harm_it() -> None:
    assert not harm(None, "cut").fired


# Proof


DECLARED = {
    "latency 200 ms": LinkSpec(latency_seconds=0.2),
    "jitter 5 ms": LinkSpec(jitter_seconds=0.005),
    "4000 bytes per second": LinkSpec(bytes_per_second=4000),
    "cut after reply 3": LinkSpec(cut=Cut(Way.REPLY, 3)),
    "cut after request byte 30": LinkSpec(cut=Cut(Way.REQUEST, 30, Unit.BYTES)),
}


@pytest.mark.parametrize("target", DECLARED)
def test_what_was_declared_has_happened_when_it_was_counted(target: str) -> None:
    happened = LinkCounts(delayed=1, slowed=1, cuts=1, places=["connection 1"])
    for counts, fired in ((LinkCounts(), False), (happened, True)):
        (record,) = prove_link(DECLARED[target], counts)
        assert (record.target, record.fired) == (target, fired)


def test_a_cut_has_to_happen_as_often_as_it_was_declared() -> None:
    (record,) = prove_link(LinkSpec(cut=Cut(Way.REPLY, 3, times=2)), LinkCounts(cuts=1, places=["connection 1"]))
    assert not record.fired


def run(tmp_path: Path, text: str) -> CaseResult:
    engine = named_engine(f"'{sys.executable}' '{STAND_IN}' --bug=none")
    settings = RunSettings(engine=engine, reports=ReportDirectory(tmp_path / "reports"))
    (case,) = cases_of_file(filed(tmp_path, text))
    with CxdbSupply() as supply:
        return run_case(case, settings, supply)


def test_a_link_that_nobody_has_used_makes_a_case_invalid(tmp_path: Path) -> None:
    """The stand-in has no use for CXDB."""
    result = run(tmp_path, GOOD + "[link]\nlatency_ms = 200\n[expect]\nfinal = { status = 'success' }\n")
    assert result.verdict is Verdict.INVALID
    assert result.reason.startswith("fault link latency 200 ms did not fire: 0 pieces came late; 0 connections")
