"""`attractor graph`: what Graphviz is given, for plain graphs and for runs; and pictures of real runs."""

import json
import os
import re
import signal
import subprocess
import xml.dom.minidom
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from attractor.cli.drawing import duration, picture_of
from attractor.cli.trace import EdgeKey, Jump, NodeState, NodeTrace, Trace
from attractor.graph import Graph, load_graph_text
from tests.cli.calls import Calls
from tests.cli.test_commands import Cli, cli, gate, waiting

__all__ = ["cli", "gate"]

HAS_GRAPHVIZ = subprocess.run(["sh", "-c", "command -v dot"], capture_output=True, check=False).returncode == 0
needs_graphviz = pytest.mark.skipif(not HAS_GRAPHVIZ, reason="Graphviz is not installed")


def _graph(body: str) -> Graph:
    graph, problems = load_graph_text(f"digraph G {{\n{body}\n}}", "g.dot")
    assert graph is not None
    assert problems == ()
    return graph


def _drawn(body: str, trace: Trace | None = None, caption: str = "") -> str:
    return str(picture_of(_graph(body), trace, caption).to_string())


def _label(text: str) -> str:
    """The label that a node with this label is drawn with, as Graphviz is given it."""
    match = re.search(r'label="((?:[^"\\]|\\.)*)"', _drawn(f"a [{text}]"))
    assert match
    return match.group(1)


LABELS = {
    "plain": ("label=Plan", "Plan"),
    "none": ("x=1", "a"),
    "empty": ('label=""', "a"),
    "quotes": (r'label="say \"hi\""', r"say \"hi\""),
    "a backslash at the end": (r'label="a\\"', r"a\\"),
    "an escaped backslash and a letter": (r'label="C:\\logs\\new"', r"C:\\logs\\new"),
    "escapes of Graphviz's own": (r'label="left\l \N"', r"left\l \N"),
    "escapes of nobody's": (r'label="\0 \x"', r"\\0 \\x"),
    "a line break": (r'label="a\nb"', r"a\nb"),
    "a real line break": ('label="a\nb"', r"a\nb"),
    "a joined line": ('label="a\\\nb"', "ab"),
    "a tab": (r'label="a\tb"', "a b"),
    "what looks like HTML": ('label="<b>x</b>"', "<b>x</b>"),
    "letters of the world": ('label="größer 修理 𝄞"', "größer 修理 𝄞"),
    "joined strings": (r'label="a\"" + "b\\"', r"a\"b\\"),
    "control characters": ('label="a\x07b"', "a b"),
}


@pytest.mark.parametrize(("text", "expected"), LABELS.values(), ids=LABELS)
def test_a_label_is_drawn_as_it_was_meant(text: str, expected: str) -> None:
    assert _label(text) == expected


def test_ids_that_are_keywords_are_nodes() -> None:
    drawn = _drawn('"node" "node" -> "graph" "graph"')
    assert '"node" [' in drawn
    assert '"node" -> "graph"' in drawn


def test_links_that_could_run_something_are_left_out() -> None:
    assert "https://x" in _drawn('a [URL="https://x"]')
    assert "docs/a.html" in _drawn('a [URL="docs/a.html"]')
    assert "javascript" not in _drawn('a [URL=" javascript:alert(1)"]')


def test_subgraphs_are_clusters_with_their_nodes_inside() -> None:
    drawn = _drawn('subgraph x { label="Loop A"; a; subgraph cluster_in { color=red; b } } subgraph { rank=same; c } d')
    outer, inner, group = (drawn.index(f"subgraph {name} ") for name in ("cluster_0", "cluster_1", "group_2"))
    assert [drawn[:place].count("{") - drawn[:place].count("}") for place in (outer, inner, group)] == [1, 2, 1]
    assert 'label="Loop A"' in drawn[outer:inner]
    assert 'color="red"' in drawn[inner:group]
    assert 'rank="same"' in drawn[group:]
    assert "label" not in re.sub(r'"c" \[.*', "", drawn[group : drawn.index('"d"')].partition('"c"')[0])
    assert drawn.index('"a" [') > outer
    assert inner < drawn.index('"b" [') < group
    assert drawn.index("}", group) < drawn.index('"d" [')


def _trace(**states: NodeState) -> Trace:
    return Trace(nodes={node_id: NodeTrace(state, visits=1) for node_id, state in states.items()})


def test_every_state_has_a_look_of_its_own() -> None:
    looks = set()
    for state in NodeState:
        line = next(line for line in _drawn("a", _trace(a=state)).splitlines() if line.startswith('"a" ['))
        looks.add(re.sub(r'(label|tooltip)="[^"]*"', "", line))
        assert state is NodeState.NOT_REACHED or state.value.replace("_", " ") in line
    # A canceled stage and one that wants a retry differ from an interrupted one in words, border or width.
    assert len(looks) == len(NodeState)


def test_what_was_not_reached_is_white() -> None:
    assert 'fillcolor="#ffffff"' in _drawn("a", Trace())


def test_a_run_s_colours_win_over_the_author_s() -> None:
    drawn = _drawn('a [fillcolor=red, color=red, fontcolor=white, style="rounded,dotted"]', _trace(a=NodeState.SUCCESS))
    assert "red" not in drawn
    assert 'style="filled,rounded"' in drawn


def test_visits_attempts_time_and_reason_are_told() -> None:
    trace = Trace(nodes={"a": NodeTrace(NodeState.FAIL, 3, 1, 2500.0, 'no "x"')})
    drawn = _drawn("a [shape=parallelogram]", trace)
    assert r'label="a\nfail, 3 visits, 2.5 s"' in drawn
    assert r'tooltip="a: fail: no \"x\""' in drawn
    trace = Trace(nodes={"a": NodeTrace(NodeState.SUCCESS, 1, 2, 12.0)})
    assert r'label="a\nsuccess, 2 attempts, 12 ms"' in _drawn("a [shape=parallelogram]", trace)
    assert 'label="a"' in _drawn("a [shape=diamond]", _trace(a=NodeState.SUCCESS))


def test_edges_taken_are_thicker_and_counted() -> None:
    edges = {EdgeKey("a", "b", "y", ""): 2, EdgeKey("b", "c", "since renamed", ""): 1}
    drawn = _drawn("a b c a -> b [label=x] a -> b [label=y] b -> c c -> a", Trace(edges=Counter(edges)))
    lines = {line.rpartition(" [")[2]: line for line in drawn.splitlines() if "->" in line}
    taken = ['penwidth="2.4"' in line for line in lines.values()]
    assert taken == [False, True, True, False]
    assert "y ×2" in drawn


def test_jumps_are_drawn_as_what_they_are() -> None:
    trace = Trace(jumps=Counter({Jump("b", "a", "retry_target"): 2, Jump("b", "gone", "goal_gate"): 1}))
    drawn = _drawn("a b", trace)
    assert 'label="retry_target ×2"' in drawn
    assert "gone" not in drawn


def test_the_caption_is_text() -> None:
    assert r'label="run \"x\"\nno \\n"' in _drawn("a", Trace(), 'run "x"\nno \\n')


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0.4, "0 ms"), (999, "999 ms"), (1000, "1.0 s"), (125_000, "2 min 5 s"), (11_520_000, "3 h 12 min")],
)
def test_durations(milliseconds: float, text: str) -> None:
    assert duration(milliseconds) == text


# --- the command, on real runs ------------------------------------------------------------------------------

LOOP = """\
digraph Loop {
  graph [max_restarts=3]
  start [shape=Mdiamond]
  work [shape=parallelogram, tool_command="echo connection refused >&2; echo x >> COUNT; [ $(wc -l < COUNT) -ge 2 ]"]
  check [shape=diamond]
  slow [shape=parallelogram, tool_command="WAIT"]
  exit [shape=Msquare]
  start -> work -> check
  check -> slow [condition="outcome=success"]
  check -> work [condition="outcome=fail", loop_restart=true]
  slow -> exit
}
"""


def _titles(path: Path) -> dict[str, str]:
    """The text of each node in an SVG, by the node's id."""
    nodes = {}
    for group in xml.dom.minidom.parse(str(path)).getElementsByTagName("g"):
        if group.getAttribute("class") == "node":
            title = group.getElementsByTagName("title")[0].firstChild
            texts = [text.firstChild.data for text in group.getElementsByTagName("text")]  # type: ignore[union-attr]
            nodes[title.data] = " ".join(texts)  # type: ignore[union-attr]
    return nodes


@needs_graphviz
def test_a_live_a_crashed_and_a_restarted_run_are_drawn(cli: Cli, gate: Path) -> None:
    root = cli.folder.parent / "logs"
    graph = LOOP.replace("COUNT", str(cli.folder.parent / "count")).replace("WAIT", waiting(gate))
    (cli.folder.parent / "g.dot").write_text(graph)
    cli("run", "--detach", "--graph", "../g.dot", "--no-cxdb", "--logs-root", str(root), "--run-id", "r1")
    gate.read_text()
    assert cli("graph", "--logs-root", str(root), "-o", "live.svg").stdout == "live.svg\n"
    live = _titles(cli.folder / "live.svg")
    assert live["slow"].startswith("slow running, ")
    assert live["work"].startswith("work success, 2 visits")
    assert live["exit"] == "exit"
    assert "r1: running, 1 restart" in (cli.folder / "live.svg").read_text()
    pid = int((root / "run.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    cli("graph", "../g.dot", "--logs-root", str(root), "-o", "crashed.svg")
    assert _titles(cli.folder / "crashed.svg")["slow"] == "slow interrupted"
    cli("graph", "--logs-root", str(root / "restart-1"), "-o", "round.svg")
    one_round = _titles(cli.folder / "round.svg")
    assert (one_round["start"], one_round["work"].split(",")[0]) == ("start", "work success")
    assert "2 visits" not in one_round["work"]
    assert "pruned r1" in cli("runs", "prune", "r1").stdout  # with the stage that outlived its engine


@needs_graphviz
@pytest.mark.parametrize(("ending", "head"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_a_finished_run_is_drawn_in_every_format(cli: Cli, ending: str, head: bytes) -> None:
    cli("run", "--graph", cli.graph("exit 4"), "--no-cxdb", "--logs-root", "../logs", "--quiet")
    assert cli("graph", "--logs-root", "../logs", "-o", f"g.{ending}").returncode == 0
    assert (cli.folder / f"g.{ending}").read_bytes().startswith(head)


@needs_graphviz
def test_fan_out_branches_are_part_of_the_picture(cli: Cli) -> None:
    (cli.folder / "g.dot").write_text(
        "digraph { start -> fan fan -> good fan -> bad good -> join bad -> join join -> exit start exit\n"
        "fan [shape=component] join [shape=tripleoctagon] node [shape=parallelogram]\n"
        'good [tool_command=true] bad [tool_command="exit 3"] }'
    )
    cli("run", "--graph", "g.dot", "--no-cxdb", "--no-git", "--logs-root", "../logs", "--quiet")
    cli("graph", "--logs-root", "../logs", "-o", "g.svg")
    drawn = _titles(cli.folder / "g.svg")
    assert (drawn["good"].split(",")[0], drawn["bad"].split(",")[0]) == ("good success", "bad fail")


@needs_graphviz
def test_a_branch_and_a_manager_s_child_are_drawn_as_what_they_are(cli: Cli, git: Callable[..., str]) -> None:
    heads = "start [shape=Mdiamond] exit [shape=Msquare] node [shape=parallelogram, tool_command=true]"
    (cli.folder / "child.dot").write_text(f"digraph {{ {heads} inner start -> inner -> exit }}")
    git(cli.folder, "add", "--all")
    git(cli.folder, "commit", "--quiet", "--message", "child")
    (cli.folder / "g.dot").write_text(
        f"digraph {{ {heads} "
        'graph ["stack.child_dotfile"="child.dot"] boss [shape=house, "manager.poll_interval"="20ms"]'
        "\nfan [shape=component] join [shape=tripleoctagon] left right start -> boss -> fan fan -> left fan -> right"
        " left -> join right -> join join -> exit }"
    )
    cli.facts("run", "--graph", "g.dot", "--no-cxdb", "--logs-root", "../logs", "--run-id", "r1", "--quiet")
    whole = cli("graph", "--logs-root", "../logs", "-o", "whole.svg")
    assert (whole.stderr, "inner" in _titles(cli.folder / "whole.svg")) == ("", False)
    cli("graph", "--logs-root", "../logs/parallel.d/boss/1/child", "-o", "child.svg")
    assert _titles(cli.folder / "child.svg")["inner"].startswith("inner success")
    assert ": finished, " in (cli.folder / "child.svg").read_text()
    cli("graph", "g.dot", "--logs-root", "../logs/parallel.d/fan/1/left", "-o", "left.svg")
    drawn = _titles(cli.folder / "left.svg")
    assert (drawn["left"].split(",")[0], drawn["right"]) == ("left success", "right")


@needs_graphviz
def test_nodes_that_the_named_graph_lacks_are_told(cli: Cli) -> None:
    cli("run", "--graph", cli.graph("true"), "--no-cxdb", "--logs-root", "../logs", "--quiet")
    (cli.folder / "other.dot").write_text("digraph { start -> exit start exit }")
    done = cli("graph", "other.dot", "--logs-root", "../logs", "-o", "g.svg")
    assert (done.returncode, done.stderr) == (0, "the run has nodes that this graph does not have: a\n")


@needs_graphviz
def test_hostile_text_gives_a_picture_that_parses(cli: Cli) -> None:
    (cli.folder / "g.dot").write_text(
        'digraph { label="\\"<&>\\\\" start [shape=Mdiamond, label="</text><script>", tooltip="]]>&\\""]\n'
        'exit [shape=Msquare, label="\\0 \\" } \\\\"] subgraph "a \\" {" { label="<&\\"" start }\n'
        'start -> exit [label="<b>\\"\\\\", condition="outcome=success"] }'
    )
    assert cli("graph", "g.dot", "-o", "g.svg").returncode == 0
    assert _titles(cli.folder / "g.svg") == {"start": "</text><script>", "exit": '\\0 " } \\'}


@pytest.fixture
def calls(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    monkeypatch.chdir(tmp_path)
    Path("g.dot").write_text("digraph { start -> exit start exit }")
    return Calls(capfd)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-o", "x.svg"], 2, "there is nothing to draw"),
        (["g.dot"], 2, "Missing option '-o'"),
        (["g.dot", "-o", "x.gif"], 2, "its ending is not .svg, .png or .pdf"),
        (["g.dot", "-o", "x"], 2, "its ending is not .svg, .png or .pdf"),
        (["gone.dot", "-o", "x.svg"], 2, "cannot read gone.dot"),
        (["bad.dot", "-o", "x.svg"], 1, "bad.dot:1:13: error[undirected_edge]"),
        (["--logs-root", "gone", "-o", "x.svg"], 1, "is not a run's directory"),
        (["--logs-root", "g.dot", "-o", "x.svg"], 1, "is not a directory"),
        (["--logs-root", "", "-o", "x.svg"], 2, "is not a usable path"),
        pytest.param(["g.dot", "-o", "gone/x.svg"], 2, "cannot write gone/x.svg: No such file", marks=needs_graphviz),
    ],
)
def test_wrong_turns(calls: Calls, arguments: list[str], code: int, words: str) -> None:
    Path("bad.dot").write_text("digraph { a -- b }")
    done = calls("graph", *arguments)
    assert (done.code, words in done.err) == (code, True), done.err
    assert done.out == ""


def test_a_missing_graphviz_is_said(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = calls("graph", "g.dot", "-o", "x.svg")
    assert (done.code, "there is no `dot` program" in done.err, done.out) == (1, True, "")


def test_a_failing_graphviz_is_said_on_standard_error_only(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "dot").write_text("#!/bin/sh\necho out of memory >&2\nexit 1\n")
    (tmp_path / "bin" / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    done = calls("graph", "g.dot", "-o", "x.svg")
    assert (done.code, done.out) == (1, "")
    assert "Graphviz could not draw the graph" in done.err
    assert "out of memory" in done.err
    assert not Path("x.svg").exists()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no graph": (lambda root: (root / "graph.dot").unlink(), "cannot read the run's graph"),
    "a broken graph": (lambda root: (root / "graph.dot").write_text("digraph { a -- b }"), "undirected_edge"),
    "a broken manifest": (lambda root: (root / "manifest.json").write_text("{"), "the manifest is damaged"),
    "a broken event": (
        lambda root: (root / "progress.ndjson").write_text("{}\n" + (root / "progress.ndjson").read_text()),
        "progress.ndjson, line 1 is not an event",
    ),
    "an event without its node": (
        lambda root: (root / "progress.ndjson").write_text(
            (root / "progress.ndjson").read_text().replace('"node_id":"a"', '"node":"a"')
        ),
        "'node_id' is missing",
    ),
}


@pytest.fixture
def finished_run(cli: Cli) -> Path:
    cli("run", "--graph", cli.graph("true"), "--no-cxdb", "--no-git", "--logs-root", "../logs", "--quiet")
    return cli.folder.parent / "logs"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_told_in_words(calls: Calls, finished_run: Path, damage: str) -> None:
    spoil, words = DAMAGES[damage]
    spoil(finished_run)
    done = calls("graph", "--logs-root", str(finished_run), "-o", "x.svg")
    assert (done.code, words in done.err) == (1, True), done.err
    assert not Path("x.svg").exists()


@needs_graphviz
def test_a_run_without_events_is_all_white(calls: Calls, finished_run: Path) -> None:
    (finished_run / "progress.ndjson").unlink()
    assert calls("graph", "--logs-root", str(finished_run), "-o", "x.svg").code == 0
    assert set(re.findall(r'fill="(#\w+)" stroke="(#\w+)"', Path("x.svg").read_text())) <= {
        ("#ffffff", "#a0a0a0"),
        ("#b4b4b4", "#b4b4b4"),
    }


def test_a_torn_last_event_is_no_damage(calls: Calls, finished_run: Path) -> None:
    with (finished_run / "progress.ndjson").open("a") as log:
        log.write(json.dumps({"seq": 99})[:5])
    done = calls("graph", "--logs-root", str(finished_run), "-o", "x.svg")
    assert done.code == 0 or "Graphviz is not installed" in done.err
