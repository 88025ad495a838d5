"""Branches and child pipelines in trouble: hostile answers, handlers that do anything, hands in the wrong folder."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import attractor
from attractor.app import RunStatus, answer_question, resume_run, stop_run, view_run
from attractor.errors import ConfigError, RunDirectoryError, UsageError
from attractor.processes import StopRequest
from attractor.rundir import artifact_id_of
from tests.app.agents import CODEX_OK, NODE, STATUS, Agents
from tests.app.fan_outs import fan, results
from tests.app.runs import Ran, killed_in_stage, resume, run, until_there

Git = Callable[..., str]


def commit(repo: Path, git: Git, **files: str) -> None:
    for name, text in files.items():
        (repo / name.replace("_dot", ".dot")).write_text(text)
    git(repo, "add", "-A")
    git(repo, "commit", "--quiet", "--message", "files")


def tool_status(status: dict[str, Any]) -> str:
    """A command that reports that status."""
    text = json.dumps(status).replace('"', '\\"')
    return f"printf %s '{text}' > $ATTRACTOR_STATUS_FILE"


@pytest.fixture
def at_work(repo: Path) -> Iterator[Path]:
    """A run with two branches at work, in an engine of its own; they end when `go` is there."""
    waits = "echo > ../ready; while ! test -e ../../../../../go; do sleep 0.02; done"
    body = fan(f'a [tool_command="{waits}"] b [tool_command="{waits}"] fan -> a -> pick fan -> b -> pick')
    text = f"digraph {{ start [shape=Mdiamond] exit [shape=Msquare] node [shape=parallelogram] {body} }}"
    (repo.parent / "g.dot").write_text(text)
    root = repo.parent / "logs"
    call = [sys.executable, "-m", "attractor", "run", "--graph", "../g.dot", "--no-cxdb", "--logs-root", str(root)]
    process = subprocess.Popen([*call, "--run-id", "r1", "--quiet"], cwd=repo, stdout=subprocess.DEVNULL)
    try:
        for child in "ab":
            until_there(root / f"parallel.d/fan/1/{child}/ready")
        yield root
        (root / "go").touch()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_a_branchs_folder_is_no_run_to_resume_stop_or_answer(at_work: Path) -> None:
    branch = at_work / "parallel.d/fan/1/a"
    view = view_run(branch)
    assert (view.status, view.advice) == (RunStatus.RUNNING, "")
    for act in (
        lambda: resume_run(branch, environment=os.environ, stop=StopRequest()),
        lambda: stop_run(branch, grace_seconds=0.0, force=True),
        lambda: answer_question(branch, ["x", "y"], None),
    ):
        with pytest.raises(RunDirectoryError, match=f"is a part of the run in {at_work}, not a run"):
            act()
    assert not (branch / "final.json").exists()


def test_a_branch_that_has_ended_says_how(repo: Path) -> None:
    ran = run(repo, fan('a b [tool_command="exit 3"] fan -> a -> pick fan -> b -> pick'))
    views = {child: view_run(ran.root / f"parallel.d/fan/1/{child}").status for child in "ab"}
    assert views == {"a": RunStatus.SUCCESS, "b": RunStatus.FAIL}


def test_a_fan_out_without_branches_leaves_no_results_of_an_earlier_pass(repo: Path) -> None:
    body = fan(
        f'a b s [tool_command="{tool_status({"outcome": "success", "context_updates": {"go": "1"}})}"] '
        f't [tool_command="{tool_status({"outcome": "fail", "failure_reason": "x", "context_updates": {"go": "0"}})}; '
        'exit 1"] start -> s s -> fan fan -> a [condition="context.go=1"] fan -> b [condition="context.go=1"] '
        'a -> pick b -> pick pick -> t t -> fan [condition="outcome=fail"] t -> exit [condition="outcome=success"]'
    ).replace("start -> fan pick -> exit ", "")
    ran = run(repo, body)
    assert ran.status == "fail"
    assert (
        "no branch to run" in ran.json("final.json")["failure_reason"]
        or "no fan-out has run branches" in (ran.json("final.json")["failure_reason"])
    )


class Does:
    """A handler that does whatever it was made for."""

    def __init__(self, act: Callable[[attractor.StageRun], Any]) -> None:
        self._act = act

    def execute(self, stage: attractor.StageRun) -> Any:
        return self._act(stage)


def exits(_: attractor.StageRun) -> Any:
    sys.exit(3)


BAD = [
    pytest.param(exits, "SystemExit: 3", id="exits"),
    pytest.param(lambda _: None, "is no Outcome", id="nothing"),
    pytest.param(lambda _: attractor.Outcome("success"), "is no Outcome with a Status", id="status"),  # type: ignore[arg-type]
    pytest.param(
        lambda _: attractor.Outcome(attractor.Status.SUCCESS, context_updates={"x": object()}),
        "cannot be recorded",
        id="object",
    ),
    pytest.param(
        lambda _: attractor.Outcome(attractor.Status.SUCCESS, notes="\ud800"), "cannot be recorded", id="surrogate"
    ),
]


@pytest.mark.parametrize(("act", "said"), BAD)
@pytest.mark.parametrize("inside", [False, True])
def test_whatever_a_handler_does_is_a_failed_stage(
    repo: Path, act: Callable[[attractor.StageRun], Any], said: str, inside: bool
) -> None:
    after = "after [shape=parallelogram, tool_command=true]"
    body = f'{after} start -> own own -> exit [condition="outcome=success"] own -> after [condition="outcome=fail"]'
    body += " after -> exit"
    if inside:
        body = "fan [shape=component] pick [shape=tripleoctagon] start -> fan fan -> own -> pick pick -> exit"
    text = f"digraph {{ start [shape=Mdiamond] exit [shape=Msquare] own [type=own] {body} }}"
    result = attractor.run(
        text,
        repo=repo,
        logs_root=repo.parent / "logs",
        cxdb=False,
        extensions=attractor.Extensions(handlers={"own": lambda: Does(act)}),
    )
    assert result.final.status == ("fail" if inside else "success")
    root = result.logs_root / "parallel.d/fan/1/own" if inside else result.logs_root
    ends = [json.loads(line) for line in (root / "progress.ndjson").read_text().splitlines()]
    (end,) = [event for event in ends if event["event"] == "stage_attempt_end" and event["node_id"] == "own"]
    assert said in end["failure_reason"]


def test_an_answer_that_is_a_pipe_or_a_link_is_rejected_and_the_gate_stays_open(repo: Path) -> None:
    gate = 'ask [shape=hexagon, timeout="20s", human.default_choice=b] a b ask -> a [label=A] ask -> b [label=B]'
    make = 'make [tool_command="mkdir -p ../questions.d/ask && mkfifo ../questions.d/ask/answer.json"]'
    body = f"{make} {gate} start -> make -> ask a -> exit b -> exit"

    class Answers:
        """Waits until the pipe is put aside, then answers as a person would."""

        def __call__(self) -> None:
            until_there(repo.parent / "logs/questions.d/ask/rejected.1.json")
            answer_question(repo.parent / "logs", ["ask", "A"], None)

    thread = threading.Thread(target=Answers())
    thread.start()
    ran = run(repo, body)
    thread.join()
    assert "a success" in ran.nodes()
    assert "not a regular file" in (ran.root / "questions.d/ask/rejected.1.txt").read_text()


def test_a_child_graph_that_is_a_pipe_is_refused(repo: Path) -> None:
    ran = run(
        repo,
        'make [tool_command="mkfifo child.dot; echo child.dot > .gitignore"] '
        'boss [shape=house, "stack.child_dotfile"="child.dot"] start -> make -> boss -> exit',
    )
    assert "it is not a regular file" in ran.json("final.json")["failure_reason"]


@pytest.mark.parametrize("path", ["../../outside.dot", "/etc/hostname"])
def test_a_child_graph_outside_of_the_repository_is_refused(repo: Path, path: str) -> None:
    ran = run(repo, f'boss [shape=house, "stack.child_dotfile"="{path}"] start -> boss -> exit')
    assert "leads out of the repository" in ran.json("final.json")["failure_reason"]


@pytest.mark.parametrize(("answer", "chosen"), [("A", "A"), ("a", "a")])
def test_an_agents_choice_is_taken_as_it_is_written(agents: Agents, answer: str, chosen: str) -> None:
    told = json.dumps({"outcome": "success", "preferred_label": answer})
    agents.program("openai", f"{CODEX_OK}echo '{told}' > \"$ATTRACTOR_STATUS_FILE\"\n")
    ran = agents.run(
        "fan [shape=component] pick [shape=tripleoctagon, llm_provider=openai, llm_model=m, prompt=choose] A a "
        "start -> fan fan -> A -> pick fan -> a -> pick pick -> exit"
    )
    assert ran.status == "success"
    assert ran.json("checkpoint.json")["context"]["parallel.fan_in.best_id"] == chosen


@pytest.mark.parametrize("value", [0, "many"])
def test_an_agent_cannot_set_what_it_has_used(agents: Agents, value: object) -> None:
    agents.config["runtime_policy"] = {"max_tokens": 200}
    told = json.dumps({"outcome": "success", "context_updates": {"usage.total_tokens": value, "mine": 1}})
    agents.program("openai", f"{CODEX_OK}echo '{told}' > \"$ATTRACTOR_STATUS_FILE\"\n")
    two = NODE.replace("a -> exit", "a -> b -> exit") % "" + ' b [shape=box, llm_model="gpt-5.4", prompt=y]'
    ran = agents.run(two)
    final = ran.json("final.json")
    assert (final["failure_class"], final["total_tokens"]) == ("budget_exhausted", 240)
    assert ran.json("checkpoint.json")["context"]["mine"] == 1
    assert "usage.total_tokens" in json.loads((ran.root / "a/status.json").read_text())["notes"]


def test_what_all_attempts_of_a_child_have_used_counts(agents: Agents, git: Git) -> None:
    child = (
        "digraph { start [shape=Mdiamond] exit [shape=Msquare] w [llm_provider=openai, llm_model=m, prompt=x] "
        't [shape=parallelogram, timeout="300ms", tool_command="test -e ../../../../../again || '
        '{ touch ../../../../../again; sleep 60; }"] start -> w -> t -> exit }'
    )
    commit(agents.repo, git, child_dot=child)
    agents.program("openai", CODEX_OK + STATUS)
    ran = agents.run('boss [shape=house, max_retries=1, "stack.child_dotfile"="child.dot"] start -> boss -> exit')
    assert ran.status == "success"
    assert ran.json("final.json")["total_tokens"] == 240


def test_a_score_beyond_all_numbers_is_the_best(repo: Path) -> None:
    body = fan(
        f'a [tool_command="echo a > a; {tool_status({"outcome": "success", "context_updates": {"score": 10**400}})}"] '
        "b fan -> b -> pick fan -> a -> pick"
    )
    ran = run(repo, body)
    assert results(ran)["a"]["outcome"] == "success"
    assert ran.json("checkpoint.json")["context"]["parallel.fan_in.best_id"] == "a"


def test_ids_of_artifacts_differ_where_their_words_do() -> None:
    words = [("a", 1, "a/b"), ("a", 1, "a:b"), ("a", 1, "a_b"), ("x" * 250, 1), ("x" * 250, 2), ("",), (".",)]
    ids = [artifact_id_of(*each) for each in words]
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 200


def test_a_damaged_result_of_a_branch_is_named_and_its_removal_repeats_that_branch_alone(repo: Path) -> None:
    body = fan(
        'a [tool_command="echo a >> ../../../../../log"] b [tool_command="{command}"] fan -> a -> pick fan -> b -> pick'
    )
    waits = (
        "while ! test -e ../../a/branch_result.json; do sleep 0.02; done; echo b >> ../../../../../log; "
        "echo > {ready}; sleep 300"
    )
    root = killed_in_stage(repo, waits, "true", body)
    place = root / "parallel.d/fan/1/a/branch_result.json"
    whole = place.read_bytes()
    place.write_bytes(whole[:20])
    ran = resume(root)
    assert ran.status == "fail"
    assert f"{place} is damaged" in ran.json("final.json")["failure_reason"]
    place.write_bytes(whole)
    assert resume(root).status == "success"
    assert (root / "log").read_text() == "a\nb\n"


def test_what_is_no_graph_to_run_says_what_is(repo: Path) -> None:
    parsed = attractor.parse("digraph { start [shape=Mdiamond] exit [shape=Msquare] start -> exit }")
    with pytest.raises(UsageError, match="pass the file as a Path"):
        attractor.run(parsed, repo=repo)  # type: ignore[arg-type]
    for act in (attractor.run, attractor.parse):
        with pytest.raises(UsageError, match="is no DOT text"):
            act("pipeline.dot")


def boom(_: object) -> Any:
    raise ZeroDivisionError("no")


@pytest.mark.parametrize(
    ("extensions", "said"),
    [
        (attractor.Extensions(transforms={"mine": boom}), "the transform 'mine' failed: ZeroDivisionError"),
        (attractor.Extensions(transforms={"mine": lambda graph: None}), "returned a NoneType"),  # type: ignore[arg-type,return-value,dict-item]
        (
            attractor.Extensions(rules=(attractor.Rule("mine", attractor.Severity.ERROR, "x", "y", boom),)),
            "the lint rule 'mine' failed",
        ),
        (attractor.Extensions(handlers={"own": lambda: boom(1)}), "the handler 'own' cannot be made"),
        (attractor.Extensions(handlers={"own": lambda: object()}), "without execute"),  # type: ignore[dict-item,return-value]
    ],
)
def test_an_extension_of_the_program_that_breaks_is_named(
    repo: Path, extensions: attractor.Extensions, said: str
) -> None:
    text = "digraph { start [shape=Mdiamond] exit [shape=Msquare] a [type=own] start -> a -> exit }"
    with pytest.raises(ConfigError, match=said):
        attractor.run(text, repo=repo, logs_root=repo.parent / "logs", cxdb=False, extensions=extensions)
    assert not (repo.parent / "logs").exists()


def test_a_branch_can_be_drawn_by_itself(repo: Path, tmp_path: Path) -> None:
    ran: Ran = run(repo, fan("a b fan -> a -> pick fan -> b -> pick"))
    call = [sys.executable, "-m", "attractor", "graph", "--logs-root", str(ran.root / "parallel.d/fan/1/a")]
    subprocess.run([*call, "-o", str(tmp_path / "a.svg")], check=True, capture_output=True, timeout=60)
    assert "<svg" in (tmp_path / "a.svg").read_text()


def test_signals_are_left_to_the_program(repo: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run(repo, "start -> exit")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_child_that_names_itself_is_ended_after_a_few(repo: Path, git: Git) -> None:
    child = (
        "digraph { start [shape=Mdiamond] exit [shape=Msquare] again "
        '[shape=house, "stack.child_dotfile"="child.dot", "manager.poll_interval"="10ms"] start -> again -> exit }'
    )
    commit(repo, git, child_dot=child)
    ran = run(repo, 'boss [shape=house, "stack.child_dotfile"="child.dot"] start -> boss -> exit')
    assert "nested more than 10 deep" in ran.json("final.json")["failure_reason"]


def test_ids_that_are_too_long_together_are_told(repo: Path) -> None:
    outer, inner = "o" * 120, "i" * 120
    body = (
        f"{outer} [shape=component] {inner} [shape=component] meet [shape=tripleoctagon] pick [shape=tripleoctagon] "
        f"x b start -> {outer} {outer} -> {inner} {inner} -> x -> meet {inner} -> b -> meet meet -> pick pick -> exit"
    )
    ran = run(repo, body)
    assert "too long together" in ran.json("final.json")["failure_reason"]


def test_an_action_that_a_manager_does_not_have_is_found_before_the_run() -> None:
    text = (
        "digraph { start [shape=Mdiamond] exit [shape=Msquare] start -> m -> exit "
        'm [shape=house, "stack.child_dotfile"="c.dot", "manager.actions"="observe,stear"] }'
    )
    said = [finding.message for finding in attractor.validate(text).diagnostics]
    assert any("manager.actions" in message for message in said), said
