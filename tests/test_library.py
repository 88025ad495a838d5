"""`import attractor`: the engine inside another program."""

import ast
import inspect
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import attractor

START = 'graph [retry_initial_delay="1ms"] start [shape=Mdiamond] exit [shape=Msquare]'


def graph(body: str) -> str:
    return f"digraph G {{ {START} {body} }}"


def run(repo: Path, body: str, **options: Any) -> attractor.RunResult:
    return attractor.run(
        graph(body), repo=repo, cxdb=False, **({"run_id": "r1", "logs_root": repo.parent / "logs"} | options)
    )


def test_parse_gives_a_graph_of_text_or_file(tmp_path: Path) -> None:
    text = graph('goal="win" a [prompt="$goal"] start -> a -> exit')
    (tmp_path / "g.dot").write_text(text)
    for parsed in (attractor.parse(text), attractor.parse(tmp_path / "g.dot")):
        assert parsed.goal == "win"
        assert parsed.nodes["a"].prompt == "win"
        assert [(edge.source_id, edge.target_id) for edge in parsed.edges] == [("start", "a"), ("a", "exit")]


def test_parse_tells_every_error_with_its_place() -> None:
    with pytest.raises(attractor.GraphError) as caught:
        attractor.parse("digraph G { a -> b }")
    assert {finding.rule for finding in caught.value.diagnostics} >= {"start_node", "terminal_node"}
    assert all(finding.span and finding.span.place.startswith("<text>:1:") for finding in caught.value.diagnostics)


def test_a_file_that_is_not_there_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(attractor.UsageError, match=r"cannot read .*none\.dot"):
        attractor.parse(tmp_path / "none.dot")


def test_validate_raises_nothing_and_tells_all_it_finds() -> None:
    validation = attractor.validate(graph("a [zebra=1, prompt=x] start -> a -> exit"))
    assert validation.ok
    (finding,) = validation.diagnostics
    assert (finding.rule, finding.severity) == ("attribute_unknown", attractor.Severity.INFO)
    assert finding.node_id == "a"
    assert not attractor.validate("digraph {").ok


class Recorder:
    """A handler that keeps which nodes it ran, and what the context said of those before."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, object]] = []

    def execute(self, stage: attractor.StageRun) -> attractor.Outcome:
        self.seen.append((stage.node.id, stage.context.get("own.seen")))
        (stage.worktree / "made.txt").write_text(stage.node.text("own.text"))
        return attractor.Outcome(attractor.Status.SUCCESS, context_updates={"own.seen": len(self.seen)})


@pytest.mark.spec("11.6.9", "11.12.21")
def test_a_handler_of_the_embedding_program_runs_its_nodes_and_their_work_is_committed(
    repo: Path, git: Callable[..., str]
) -> None:
    handler = Recorder()
    result = run(
        repo,
        'a [type=own, "own.text"="hello"] b [type=own] start -> a -> b -> exit',
        extensions=attractor.Extensions(handlers={"own": lambda: handler}),
    )
    assert result.final.status == "success"
    assert handler.seen == [("a", None), ("b", 1)]
    assert git(repo, "show", f"{result.run_branch}~2:made.txt") == "hello"


def test_a_handler_that_raises_fails_its_stage_and_not_the_program(repo: Path) -> None:
    class Broken:
        def execute(self, stage: attractor.StageRun) -> attractor.Outcome:
            raise LookupError("no such thing")

    result = run(
        repo, "a [type=own] start -> a -> exit", extensions=attractor.Extensions(handlers={"own": lambda: Broken()})
    )
    assert (result.final.status, result.final.failed_node) == ("fail", "a")
    assert result.final.failure_reason == "a: LookupError: no such thing"


def louder(parsed: attractor.Graph) -> attractor.Graph:
    shouted = {
        node.id: node.with_text("tool_command", node.tool_command.upper(), by="louder")
        for node in parsed.nodes.values()
        if node.tool_command
    }
    return replace(parsed, nodes={**parsed.nodes, **shouted})


def after(word: str) -> Callable[[attractor.Graph], attractor.Graph]:
    def transform(parsed: attractor.Graph) -> attractor.Graph:
        node = parsed.nodes["a"]
        return replace(parsed, nodes={**parsed.nodes, "a": node.with_text("prompt", f"{node.prompt} {word}", by=word)})

    return transform


@pytest.mark.spec("11.11.1", "11.11.2", "11.11.4")
def test_transforms_change_the_graph_before_validation_in_the_order_given() -> None:
    extensions = attractor.Extensions(transforms={"second": after("one"), "first": after("two")})
    parsed = attractor.parse(graph('goal="G" a [prompt="$goal"] start -> a -> exit'), extensions=extensions)
    assert parsed.nodes["a"].prompt == "G one two"

    def lose_exit(parsed: attractor.Graph) -> attractor.Graph:
        return replace(parsed, nodes={k: v for k, v in parsed.nodes.items() if k != "exit"})

    lost = attractor.validate(
        graph("a [prompt=x] start -> a -> exit"), extensions=attractor.Extensions(transforms={"lose": lose_exit})
    )
    assert "terminal_node" in {finding.rule for finding in lost.errors}


def test_a_run_needs_the_same_extensions_to_go_on(repo: Path) -> None:
    shout = attractor.Extensions(transforms={"louder": louder})
    first = run(repo, 'a [shape=parallelogram, tool_command="exit 3"] start -> a -> exit', extensions=shout)
    assert first.final.failure_reason.endswith("EXIT: not found")  # a shell's words for a command there is not
    with pytest.raises(attractor.ConfigError, match="begun with the transform louder, which is not here"):
        attractor.resume(first.logs_root, extensions=attractor.Extensions())
    more = attractor.Extensions(transforms={"louder": louder, "after": after("x")})
    again = attractor.resume(first.logs_root, extensions=more)
    assert again.final.failure_reason == first.final.failure_reason


def test_a_rule_of_the_embedding_program_can_stop_a_run_before_it_begins(repo: Path) -> None:
    rule = attractor.Rule(
        "own.small",
        attractor.Severity.ERROR,
        "A graph is small.",
        "take some nodes out",
        lambda facts: iter([attractor.Finding("too large", facts.header)] if len(facts.graph.nodes) > 2 else []),
    )
    with pytest.raises(attractor.GraphError, match="too large"):
        run(
            repo,
            "a [shape=parallelogram, tool_command=true] start -> a -> exit",
            extensions=attractor.Extensions(rules=(rule,)),
        )
    assert not (repo.parent / "logs").exists()


def test_events_come_in_order_once_they_are_on_disk(repo: Path) -> None:
    seen: list[int] = []
    log = repo.parent / "logs" / "progress.ndjson"

    def on_event(event: Mapping[str, Any]) -> None:
        seen.append(event["seq"])
        assert len(log.read_text().splitlines()) == event["seq"]

    result = run(repo, "a [shape=parallelogram, tool_command=true] start -> a -> exit", on_event=on_event)
    assert result.final.status == "success"
    assert seen == list(range(1, len(log.read_text().splitlines()) + 1))


def test_a_run_in_a_thread_is_stopped_from_another_and_resumed(repo: Path) -> None:
    stop, begun = attractor.StopRequest(), threading.Event()
    results: list[attractor.RunResult] = []

    def on_event(event: Mapping[str, Any]) -> None:
        if event["event"] == "stage_attempt_start" and event["node_id"] == "a":
            begun.set()

    body = 'a [shape=parallelogram, tool_command="test -e ../go || sleep 100"] start -> a -> exit'
    thread = threading.Thread(target=lambda: results.append(run(repo, body, stop=stop, on_event=on_event)))
    thread.start()
    assert begun.wait(30)
    stop.request(signal.SIGTERM)
    thread.join(30)
    assert results[0].final.status == "canceled"
    (results[0].logs_root / "go").touch()
    assert attractor.resume(results[0].logs_root).final.status == "success"
    assert attractor.resume(results[0].logs_root).already_finished


def test_the_embedding_program_answers_questions(repo: Path) -> None:
    asked = attractor.RecordingInterviewer(attractor.CallbackInterviewer(lambda question: "no"))
    result = run(
        repo,
        'a [shape=hexagon, label="Ship?"] b [shape=parallelogram, tool_command="echo no > b"] '
        'start -> a a -> exit [label="Yes"] a -> b [label="No"] b -> exit',
        interviewer=asked,
    )
    assert result.final.status == "success"
    assert [(question.text, answer.value) for question, answer in asked.recordings] == [("Ship?", "no")]
    assert (result.worktree / "b").exists()


def test_without_git_stages_work_in_the_folder_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    result = attractor.run(
        graph('a [shape=parallelogram, tool_command="echo x > made"] start -> a -> exit'),
        git=False,
        workdir=tmp_path / "place",
        cxdb=False,
        logs_root=tmp_path / "logs",
    )
    assert (result.final.status, result.run_branch) == ("success", "")
    assert (tmp_path / "place" / "made").exists()
    with pytest.raises(attractor.UsageError, match="workdir goes with git=False"):
        attractor.run(graph("start -> exit"), workdir=tmp_path)


def test_the_module_offers_what_it_lists_and_documents_it() -> None:
    assert set(attractor.__all__) <= set(dir(attractor))
    for name in attractor.__all__:
        thing = getattr(attractor, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert inspect.getdoc(thing), name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = attractor.nonsense


def test_types_are_told_of_all_that_is_offered() -> None:
    """What type checkers read and what runs are two lists: they must agree."""
    tree = ast.parse(Path(attractor.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    told = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert told | {"__version__"} == set(attractor.__all__)
    homes = {
        (node.module or "").removeprefix("attractor."): {alias.name for alias in node.names}
        for node in block.body
        if isinstance(node, ast.ImportFrom)
    }
    assert homes == {home: set(names) for home, names in attractor._HOMES.items()}


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys, attractor; print([name for name in sys.modules if name.startswith('attractor.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
