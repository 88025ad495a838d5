"""Scenario files: what is accepted, and that every mistake is refused where it stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.matching import Matcher, MatcherKind
from harness.scenario import CommandStep, CommandVerb, FaultStep, Launcher, ReleaseStep, WaitKind, WaitStep
from harness.scenario_file import load_scenarios
from harness.toml_table import ScenarioError

HEAD = 'guardrail = "detach"\ntitle = "t"\nwhy = "w"\n'
GRAPH = "graph = '''\ndigraph g { a -> b }\n'''\n"
GOOD = HEAD + GRAPH + "steps = [{ run = {} }]\n"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "detach" / "case.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def problems(path: Path) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load_scenarios(path)
    return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]


def test_the_smallest_scenario_has_defaults_for_all_the_rest(write: Write) -> None:
    (scenario,) = load_scenarios(write(GOOD))
    assert (scenario.guardrail, scenario.name, scenario.cxdb) == ("detach", "case", "shared")
    assert scenario.steps == (CommandStep(verb=CommandVerb.RUN),)
    assert scenario.repo.files == {"README.md": "fixture\n"}


def test_steps_are_read_in_order_with_their_options(write: Write) -> None:
    steps = """steps = [
      { run = { detach = true, launcher = "pty", exit = [0, 1], stdout = "run_id=" } },
      { wait = { event = "stage_attempt_start work", where = { attempt = 2 }, count = 3, seconds = 2 } },
      { wait = { final = "run" } },
      { fault = { kill = "engine", landing = "in-stage", signal = "TERM" } },
      { release = "hold" },
    ]\n"""
    (scenario,) = load_scenarios(write(HEAD + GRAPH.replace("a ->", "a [x={gate:hold}] a ->") + steps))
    run, event, final, fault, release = scenario.steps
    assert isinstance(run, CommandStep)
    assert (run.detach, run.launcher, run.exit) == (True, Launcher.PTY, (0, 1))
    assert run.stdout == (Matcher(MatcherKind.CONTAINS, "run_id="),)
    assert isinstance(event, WaitStep)
    assert str(event.pattern) == "stage_attempt_start work attempt 2"
    assert (event.count, event.seconds) == (3, 2.0)
    assert isinstance(final, WaitStep)
    assert (final.kind, final.run) == (WaitKind.FINAL, "run")
    assert isinstance(fault, FaultStep)
    assert (fault.target, fault.signal, fault.landing) == ("engine", "TERM", "in-stage")
    assert release == ReleaseStep(gate="hold")


def test_axes_make_a_case_of_each_combination(write: Write) -> None:
    text = GOOD.replace('title = "t"', 'title = "by {axis:how}"') + '[axes]\nhow = ["x", "y"]\nwho = ["me"]\n'
    scenarios = load_scenarios(write(text))
    assert [(scenario.title, scenario.axes) for scenario in scenarios] == [
        ("by x", {"how": "x", "who": "me"}),
        ("by y", {"how": "y", "who": "me"}),
    ]


def test_several_axes_are_combined_each_for_itself(write: Write) -> None:
    """Not every value goes with every other."""
    text = GOOD + '[[axes]]\nhow = ["x", "y"]\nwho = ["me"]\n[[axes]]\nhow = ["x"]\nwho = ["you"]\n'
    assert [" ".join(scenario.axes.values()) for scenario in load_scenarios(write(text))] == ["x me", "y me", "x you"]


def test_a_command_may_have_an_environment_of_its_own(write: Write) -> None:
    (scenario,) = load_scenarios(write(GOOD.replace("run = {}", 'run = { environment = { A = "{scratch}/x" } }')))
    (step,) = scenario.steps
    assert isinstance(step, CommandStep)
    assert step.environment == {"A": "{scratch}/x"}


def test_many_runs_are_told_apart_waited_for_and_judged_one_by_one(write: Write) -> None:
    waits_for = "{ wait = { exit = 'run' } }, { wait = { final = 'x' } }"
    steps = f"[{{ run = {{ times = 3, background = true, exit = 0 }} }}, {waits_for}]"
    (scenario,) = load_scenarios(write(GOOD.replace("[{ run = {} }]", steps) + "[expect]\nfiles = ['a']\n"))
    commands = [(step.run, step.behind, step.exit) for step in scenario.steps if isinstance(step, CommandStep)]
    assert commands == [("run", "", (0,)), ("run-2", "run", (0,)), ("run-3", "run-2", (0,))]
    waits = [(step.run, step.target) for step in scenario.steps if isinstance(step, WaitStep)]
    assert waits == [("run", "run"), ("run-2", "run-2"), ("run-3", "run-3"), ("x", "x")]
    assert [(name, expect.files) for name, expect in scenario.expect.items()] == [
        ("run", ("a",)),
        ("run-2", ("a",)),
        ("run-3", ("a",)),
    ]


def test_a_branch_of_a_fan_out_is_asked_what_a_run_is_asked(write: Write) -> None:
    text = GOOD + '[expect.parallel."fan/1/a"]\ncommits = ["a (success)"]\nfinal = { outcome = "fail" }\n'
    (scenario,) = load_scenarios(write(text))
    branch = scenario.expect["run"].parallel["fan/1/a"]
    assert (branch.commits, list(branch.final)) == (("a (success)",), ["outcome"])


def test_gates_and_placeholders_are_known_in_the_graphs_of_children_too(write: Write) -> None:
    graphs = """[graphs]\n"child.dot" = "digraph c { x [y='{gate:inner} {scratch}'] }"\n"""
    steps = '[{ run = {} }, { fault = { cxdb = "pause" } }, { release = "inner" }]'
    text = 'cxdb = "own"\n' + GOOD.replace("[{ run = {} }]", steps) + graphs
    (scenario,) = load_scenarios(write(text))
    assert (scenario.gates, list(scenario.graphs)) == ({"inner"}, ["child.dot"])


MISTAKES = {
    "of a branch what only a run has": (
        GOOD + '[expect.parallel."fan/1/a"]\nbranches = []\n',
        "8: expect.parallel.fan/1/a.branches: cannot be asked of a branch, only of the whole run",
    ),
    "unknown key": ('colour = "red"\n' + GOOD, "1: colour: unknown key 'colour'"),
    "misspelt key": (GOOD.replace("title", "titel"), "2: titel: unknown key 'titel'; did you mean 'title'?"),
    "missing key": (GOOD.replace('why = "w"\n', ""), "1: the file: 'why' is missing"),
    "empty text": (GOOD.replace('"w"', '" "'), "3: why: must not be empty"),
    "wrong folder": (GOOD.replace('"detach"', '"resume"'), "1: guardrail: 'resume' is filed under 'detach'"),
    "wrong type": ("timeout_seconds = '9'\n" + GOOD, "1: timeout_seconds: expected a whole number or a number"),
    "true is no number": ("timeout_seconds = true\n" + GOOD, "1: timeout_seconds: expected a whole number"),
    "not positive": ("timeout_seconds = 0\n" + GOOD, "1: timeout_seconds: must be more than 0"),
    "no steps": (HEAD + GRAPH, "1: steps: a scenario needs at least one step"),
    "two verbs": (GOOD.replace("run = {}", "run = {}, stop = {}"), "7: steps[1]: a step has exactly one verb"),
    "no such verb": (GOOD.replace("run = {}", "rum = {}"), "7: steps[1].rum: no such step: 'rum'; did you mean 'run'?"),
    "verb without table": (GOOD.replace("run = {}", "run = 1"), "7: steps[1].run: expected a table"),
    "no such option": (
        GOOD.replace("run = {}", "run = { detatch = true }"),
        "7: steps[1].run.detatch: unknown key 'detatch'; did you mean 'detach'?",
    ),
    "no such launcher": (
        GOOD.replace("run = {}", 'run = { launcher = "tty" }'),
        "7: steps[1].run.launcher: no such value: 'tty'; did you mean 'pty'?",
    ),
    "wait for nothing": (GOOD.replace("run = {}", "wait = {}"), "7: steps[1].wait: exactly one of event"),
    "wait for two things": (
        GOOD.replace("run = {}", 'wait = { gate = "a", file = "b" }'),
        "7: steps[1].wait: exactly one of event, file, gate, exit, gone, final is needed, found 2",
    ),
    "no such event": (
        GOOD.replace("run = {}", 'wait = { event = "run_complete" }'),
        "7: steps[1].wait.event: no such event: 'run_complete'; did you mean 'run_completed'?",
    ),
    "two nodes": (
        GOOD.replace("run = {}", 'wait = { event = "run_started a b" }'),
        "7: steps[1].wait.event: at most one node",
    ),
    "no such fault target": (
        GOOD.replace("run = {}", 'fault = { kill = "motor" }'),
        "7: steps[1].fault.kill: can kill engine, agent, launcher, launcher-group, not 'motor'",
    ),
    "a place for what is no engine": (
        GOOD.replace("run = {}", 'fault = { kill = "agent", landing = "in-stage" }'),
        "7: steps[1].fault.landing: only the engine can be caught at a place in the run",
    ),
    "no such deed": (
        GOOD.replace("run = {}", 'fault = { cxdb = "stop" }'),
        "7: steps[1].fault.cxdb: can kill, start, start-empty, pause, continue, fill-disk, free-disk, not 'stop'",
    ),
    "many runs one after the other": (
        GOOD.replace("run = {}", "run = { times = 3 }"),
        "7: steps[1].run.times: one after the other? `background` is missing",
    ),
    "many runs of one id": (
        GOOD.replace("run = {}", 'run = { times = 3, background = true, run_id = "r" }'),
        "7: steps[1].run.run_id: all of them cannot have the same",
    ),
    "no run at all": (
        GOOD.replace("run = {}", "run = { times = 0, background = true }"),
        "7: steps[1].run.times: expected a number from 1 to 500, found 0",
    ),
    "a disk that others use": (
        GOOD + 'cxdb_disk = "2m"\n',
        '8: cxdb_disk: others use that server: the case needs cxdb = "own"',
    ),
    "a disk of no size": (GOOD + 'cxdb_disk = "2 MB"\n', "8: cxdb_disk: expected a size such as '2m' or '512k'"),
    "a full disk without a disk": (
        'cxdb = "own"\n' + GOOD.replace("run = {}", 'fault = { cxdb = "fill-disk" }'),
        '8: steps[1].fault: its data need a disk of their own, cxdb_disk = "2m"',
    ),
    "harm to a server that others use": (
        GOOD.replace("run = {}", 'fault = { cxdb = "kill" }'),
        '7: steps[1].fault: others use that server: the case needs cxdb = "own"',
    ),
    "a misspelt placeholder in another graph": (
        GOOD + "[graphs]\n'child.dot' = \"digraph g { x [y='{scrach}'] }\"\n",
        "9: graphs.child.dot: no such placeholder: {scrach}; did you mean 'scratch'?",
    ),
    "no such matcher": (
        GOOD + "[expect]\nfinal = { status = { equal = 1 } }\n",
        "9: expect.final.status: no such matcher: 'equal'; did you mean 'equals'?",
    ),
    "a count is missing": (
        GOOD + '[expect]\nevent_counts = ["run_started"]\n',
        "9: expect.event_counts: run_started: needs a count",
    ),
    "a proof of nothing": (GOOD + "[[proof]]\n", "8: proof[1]: a proof names exactly one of"),
    "no such check": (
        GOOD + '[without]\n"no proces left" = "x"\n',
        "9: without.no proces left: no such check; did you mean 'no process left'?",
    ),
    "a gate the graph does not have": (
        GOOD.replace("run = {}", 'release = "hold"'),
        "7: steps[1].release: the graph has no gate 'hold'",
    ),
    "a misspelt placeholder in a step": (
        GOOD.replace("run = {}", 'run = { cwd = "{scrach}/x" }'),
        "7: steps[1].run.cwd: no such placeholder: {scrach}; did you mean 'scratch'?",
    ),
    "a misspelt placeholder in the graph": (
        GOOD.replace("a ->", "x [y='{scrach}'] a ->"),
        "4: graph: no such placeholder: {scrach}; did you mean 'scratch'?",
    ),
    "an axis without values": (GOOD + "[axes]\nhow = []\n", "9: axes.how: expected a list of texts"),
    "axes without a table": ("axes = ['x']\n" + GOOD, "1: axes: expected a table or several, found a list"),
    "axes that differ in their names": (
        GOOD + '[[axes]]\nhow = ["x"]\n[[axes]]\nhwo = ["y"]\n',
        "10: axes[2]: every [[axes]] has the same names: how",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_with_its_place(mistake: str, write: Write) -> None:
    text, expected = MISTAKES[mistake]
    found = problems(write(text))
    assert any(problem.startswith(expected) for problem in found), found


def test_all_problems_of_a_file_are_told_at_once(write: Write) -> None:
    assert len(problems(write(GOOD.replace("title", "titel").replace("run = {}", "rum = {}")))) == 3


def test_what_is_no_toml_is_said_so(write: Write) -> None:
    assert "line 1" in problems(write("this is = = no toml"))[0]


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    assert "No such file" in problems(tmp_path / "detach" / "none.toml")[0]
