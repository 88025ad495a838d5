"""Full fidelity: which agents share a session (spec 5.4), and what becomes of it behind a resume (5.3).

The stand-in for codex keeps its session in a file below CODEX_HOME, one line a stage, as far as it knows it.
"""

import json
import os
from pathlib import Path

import pytest

from attractor.app import plan_run, resume_run, start_run
from attractor.processes import StopRequest
from tests.app.agents import Agents, codex_fails
from tests.app.runs import Ran, request

TALKS = """\
last=""; for word in "$@"; do [ "$before" = resume ] && last=$word; before=$word; done
echo "$ATTRACTOR_NODE_ID ${last:-new}" >> "$LOG"
mkdir -p "$CODEX_HOME/sessions/2026"; echo "$ATTRACTOR_NODE_ID" >> "$CODEX_HOME/sessions/2026/talk.jsonl"
cp "$CODEX_HOME/sessions/2026/talk.jsonl" "${ATTRACTOR_STATUS_FILE%/*}/heard"
echo '{"type":"thread.started","thread_id":"'${last:-$ATTRACTOR_NODE_ID-session}'"}'
n=$(wc -l < "$CODEX_HOME/sessions/2026/talk.jsonl")
echo '{"type":"turn.completed","usage":{"input_tokens":'$((n * 10))',"output_tokens":0}}'
"""


@pytest.fixture
def agents(repo: Path, monkeypatch: pytest.MonkeyPatch) -> Agents:
    made = Agents(repo)
    monkeypatch.setenv("LOG", str(repo.parent / "log"))
    made.program("openai", TALKS)
    return made


def graph(body: str, **attributes: str) -> str:
    told = ", ".join(f'{key}="{value}"' for key, value in attributes.items())
    return f"node [shape=box, llm_provider=openai, llm_model=m, prompt=x, auto_status=true] graph [{told}] {body}"


def starts(agents: Agents) -> list[str]:
    return (agents.folder / "log").read_text().splitlines()


def heard(ran: Ran, node_id: str) -> list[str]:
    return (ran.root / node_id / "heard").read_text().split()


def test_stages_of_one_thread_go_on_with_one_session_and_others_begin_their_own(agents: Agents) -> None:
    ran = agents.run(
        graph(
            "a [thread_id=one] b [thread_id=two] c [thread_id=one] d [thread_id=two, fidelity=compact] "
            "start -> a -> b -> c -> d -> exit",
            default_fidelity="full",
        )
    )
    assert ran.status == "success"
    assert starts(agents) == ["a new", "b new", "c a-session", "d new"]
    assert heard(ran, "c") == ["a", "c"]
    assert heard(ran, "b") == ["b"]
    assert [event.get("continues") for event in ran.events("agent_started")] == [None, None, "a-session", None]


def test_a_session_is_paid_for_once(agents: Agents) -> None:
    """The program tells what the whole session has used: 10, 20, 30."""
    ran = agents.run(graph("a b c start -> a -> b -> c -> exit", default_fidelity="full", thread_id="one"))
    assert starts(agents) == ["a new", "b a-session", "c a-session"]
    assert ran.json("final.json")["total_tokens"] == 30


def test_a_stage_that_names_no_thread_goes_on_with_the_node_before_it(agents: Agents) -> None:
    ran = agents.run(graph("a b c start -> a -> b -> c -> exit b [fidelity=full] c [fidelity=full]"))
    assert starts(agents) == ["a new", "b a-session", "c a-session"]
    assert heard(ran, "c") == ["a", "b", "c"]


def test_stages_of_one_subgraph_share_a_session(agents: Agents) -> None:
    body = "subgraph cluster_x { label=Team a c } b start -> a -> b -> c -> exit"
    agents.run(graph(body, default_fidelity="full"))
    assert starts(agents) == ["a new", "b a-session", "c a-session"]


def test_an_edge_decides_before_its_target(agents: Agents) -> None:
    body = "a b [fidelity=compact] start -> a a -> b [fidelity=full, thread_id=a] b -> exit"
    agents.run(graph(body))
    assert starts(agents) == ["a new", "b a-session"]


def test_a_later_visit_goes_on_although_the_folder_of_the_earlier_was_put_aside(agents: Agents) -> None:
    agents.program("openai", TALKS + 'echo "{\\"outcome\\": \\"success\\"}" > "$ATTRACTOR_STATUS_FILE"\n')
    body = (
        'a b [shape=parallelogram, tool_command="test -e ../again || { touch ../again; exit 1; }"] '
        'start -> a -> b b -> exit [condition="outcome=success"] b -> a [condition="outcome=fail"]'
    )
    ran = agents.run(graph(body, default_fidelity="full", thread_id="one"))
    assert starts(agents) == ["a new", "a a-session"]
    assert heard(ran, "a") == ["a", "a"]
    assert len(list((ran.root / "threads.d").iterdir())) == 2, "the thread's and the node's, however often gone on with"


def test_a_session_that_cannot_be_gone_on_with_is_given_up(agents: Agents) -> None:
    broken = codex_fails("stream disconnected before completion: x").strip().replace("\n", "; ")
    refuses = f'case "$*" in *" resume "*) {broken};; esac\n'
    agents.program("openai", refuses + TALKS)
    ran = agents.run(graph("a b [max_retries=1] start -> a -> b -> exit", default_fidelity="full", thread_id="one"))
    assert ran.status == "success"
    assert starts(agents) == ["a new", "b new"]


def test_another_program_does_not_get_the_session(agents: Agents) -> None:
    agents.program(
        "anthropic",
        'case "$*" in *--resume*) exit 9;; esac\n'
        """echo '{"type":"system","subtype":"init","session_id":"s"}'\n"""
        """echo '{"type":"result","subtype":"success","is_error":false,"result":"ok","session_id":"s"}'\n""",
    )
    ran = agents.run(
        graph("a b [llm_provider=anthropic] start -> a -> b -> exit", default_fidelity="full", thread_id="one")
    )
    assert ran.status == "success", ran.json("final.json")


def test_a_link_an_agent_has_left_in_its_session_is_not_followed(agents: Agents) -> None:
    secret = agents.folder / "secret"
    secret.write_text("not yours")
    agents.program(
        "openai", f'{TALKS}ln -sf "{secret}" "$CODEX_HOME/sessions/link"; mkfifo "$CODEX_HOME/sessions/pipe"\n'
    )
    ran = agents.run(graph("a b start -> a -> b -> exit", default_fidelity="full", thread_id="one"))
    assert starts(agents) == ["a new", "b a-session"]
    kept = list((ran.root / "threads.d").rglob("*"))
    assert not [path for path in kept if path.is_symlink() or path.name == "pipe"]


def test_a_session_that_is_carried_on_keeps_no_secret(agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "canary-4711")
    agents.program("openai", f'{TALKS}echo canary-4711 >> "$CODEX_HOME/sessions/2026/talk.jsonl"\n')
    ran = agents.run(graph("a b start -> a -> b -> exit", default_fidelity="full", thread_id="one"))
    assert starts(agents) == ["a new", "b a-session"]
    holders = [path for path in ran.root.rglob("*") if path.is_file() and b"canary-4711" in path.read_bytes()]
    assert holders == []
    assert any(b"[redacted DEPLOY_TOKEN]" in path.read_bytes() for path in ran.root.glob("threads.d/*/.codex/*/*/*"))


def test_behind_a_resume_the_first_stage_begins_anew_with_a_summary_and_the_next_go_on(agents: Agents) -> None:
    (agents.folder / "run.json").write_text(json.dumps(agents.config))
    body = 'a b c d t [shape=parallelogram, tool_command="test -e ../go"] start -> a -> b -> t -> c -> d -> exit'
    text = graph(body, default_fidelity="full", thread_id="one")
    asked = request(agents.repo, text, config=agents.folder / "run.json", allow_test_shim=True)
    first = Ran(start_run(plan_run(asked), environment=os.environ, stop=StopRequest()))
    assert first.status == "fail"
    (first.root / "go").touch()
    ran = Ran(resume_run(first.root, environment=os.environ, stop=StopRequest()))
    assert ran.status == "success"
    assert starts(agents) == ["a new", "b a-session", "c new", "d c-session"]
    assert "Finished before you" in (ran.root / "c" / "prompt.md").read_text()
    assert "Finished before you" not in (ran.root / "d" / "prompt.md").read_text()
