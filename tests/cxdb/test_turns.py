"""Events become turns, always the same ones, and every field is in the bundle."""

import json

import msgspec
import pytest

from attractor.contracts import TERMINAL_EVENTS, EventName
from attractor.cxdb import RunFacts, registry_bundle, turns_of
from attractor.cxdb.bundle import FIELDS, LINE_TAG, PART_TAG, RUN_ID_TAG, SEQ_TAG
from attractor.cxdb.turns import origin_of

FACTS = RunFacts(run_id="r", context_id="7", graph_dot="digraph G {}")
BASE = {"seq": 9, "ts": "2026-01-02T03:04:05.678000Z", "run_id": "r", "node_id": "a", "from": "a"}
FIELDS_OF_EVENT: dict[EventName, dict[str, object]] = {
    EventName.RUN_STARTED: {"graph_name": "G", "repo_path": "/repo", "logs_root": "/logs", "worktree": "/w"},
    EventName.RUN_RESUMED: {"after_node": "a", "restart_count": 0, "resume_count": 1},
    EventName.STAGE_ATTEMPT_START: {"handler": "tool", "attempt": 1, "visit": 1, "command": "true"},
    EventName.STAGE_ATTEMPT_END: {"attempt": 1, "visit": 1, "status": "success", "will_retry": False, "output": "x"},
    EventName.STAGE_RETRY_SLEEP: {"attempt": 1, "delay_ms": 200},
    EventName.AGENT_STARTED: {"attempt": 1, "provider": "openai", "model": "m", "prompt": "Do it."},
    EventName.AGENT_MESSAGE: {"attempt": 1, "model": "m", "text": "Done."},
    EventName.AGENT_TOOL_CALL: {"attempt": 1, "tool": "Bash", "tool_id": "i1", "arguments": "ls"},
    EventName.AGENT_TOOL_RESULT: {"attempt": 1, "tool": "Bash", "tool_id": "i1", "output": "x", "is_error": False},
    EventName.INTERVIEW_STARTED: {"question_id": "a", "type": "yes_no", "text": "Ship it?"},
    EventName.INTERVIEW_TIMEOUT: {"question_id": "a", "duration_ms": 1000.4},
    EventName.INTERVIEW_COMPLETED: {"question_id": "a", "answer": "Y", "label": "Yes", "duration_ms": 9.6},
    EventName.ARTIFACT_STORED: {"artifact_id": "i", "name": "n", "size_bytes": 3, "sha256": "00", "path": "/a"},
    EventName.CHECKPOINT_SAVED: {"status": "success", "git_commit_sha": "abc", "checkpoint_path": "/c"},
    EventName.LOOP_RESTART: {"restart_count": 1},
    EventName.LOOP_RESTART_BLOCKED: {"failure_class": "deterministic", "failure_reason": "no"},
    EventName.LOOP_RESTART_SIGNATURE: {"signature": "s", "count": 1, "limit": 3},
    EventName.LOOP_RESTART_CIRCUIT_BREAKER: {"signature": "s", "count": 3, "limit": 3},
    EventName.RUN_COMPLETED: {"status": "success", "final_git_commit_sha": "abc"},
    EventName.RUN_FAILED: {"status": "fail", "failure_reason": "no"},
    EventName.RUN_CANCELED: {"status": "canceled", "failure_reason": "SIGTERM"},
}


def names(event: EventName, **fields: object) -> list[str]:
    turns = turns_of(BASE | FIELDS_OF_EVENT[event] | {"event": event.value} | fields, FACTS)
    return [turn.type_id.decode().rpartition(".")[2] for turn in turns]


@pytest.mark.parametrize("event", FIELDS_OF_EVENT)
def test_each_turn_names_its_event_and_part_and_only_fields_of_the_bundle(event: EventName) -> None:
    turns = turns_of(BASE | FIELDS_OF_EVENT[event] | {"event": event.value}, FACTS)
    assert turns
    for part, turn in enumerate(turns):
        assert origin_of(turn.payload, FACTS) == turn.origin == (9, part)
        name = turn.type_id.decode().rpartition(".")[2]
        known = {tag for tag, _ in FIELDS[name].values()} | {SEQ_TAG, PART_TAG, LINE_TAG}
        assert set(msgspec.msgpack.decode(turn.payload)) <= known


def test_every_terminal_event_makes_a_turn() -> None:
    assert set(FIELDS_OF_EVENT) >= TERMINAL_EVENTS


def test_a_tool_stage_makes_the_published_turns() -> None:
    assert names(EventName.STAGE_ATTEMPT_START) == ["StageStarted", "ToolCall"]
    assert names(EventName.STAGE_ATTEMPT_END) == ["ToolResult", "StageFinished"]
    assert names(EventName.STAGE_ATTEMPT_END, will_retry=True) == ["ToolResult", "StageFailed"]
    assert names(EventName.CHECKPOINT_SAVED) == ["GitCheckpoint", "CheckpointSaved"]
    assert names(EventName.CHECKPOINT_SAVED, git_commit_sha=None) == ["CheckpointSaved"]


def test_call_and_result_share_their_id_and_attempts_do_not() -> None:
    def call_id(event: EventName, attempt: int) -> object:
        made = BASE | FIELDS_OF_EVENT[event] | {"event": event.value, "attempt": attempt}
        turn = next(t for t in turns_of(made, FACTS) if b".Tool" in t.type_id)
        return msgspec.msgpack.decode(turn.payload)[4]

    assert call_id(EventName.STAGE_ATTEMPT_START, 1) == call_id(EventName.STAGE_ATTEMPT_END, 1)
    assert call_id(EventName.STAGE_ATTEMPT_START, 1) != call_id(EventName.STAGE_ATTEMPT_START, 2)


@pytest.mark.parametrize(
    ("told", "arguments"),
    [
        ('{"command": "ls"}', {"command": "ls"}),
        ("ls -l", {"text": "ls -l"}),
        ('{"command": "ls', {"text": '{"command": "ls'}),
        ("[1]", {"text": "[1]"}),
        ("", {"text": ""}),
    ],
)
def test_an_agents_arguments_are_a_json_object_whatever_the_program_told(told: str, arguments: object) -> None:
    event = BASE | FIELDS_OF_EVENT[EventName.AGENT_TOOL_CALL] | {"event": "agent_tool_call", "arguments": told}
    (turn,) = turns_of(event, FACTS)
    assert json.loads(msgspec.msgpack.decode(turn.payload)[5]) == arguments


def test_an_agents_calls_are_told_apart_over_attempts() -> None:
    def call_id(event: EventName, attempt: int) -> object:
        (turn,) = turns_of(BASE | FIELDS_OF_EVENT[event] | {"event": event.value, "attempt": attempt}, FACTS)
        return msgspec.msgpack.decode(turn.payload)[4]

    assert call_id(EventName.AGENT_TOOL_CALL, 1) == call_id(EventName.AGENT_TOOL_RESULT, 1)
    assert call_id(EventName.AGENT_TOOL_CALL, 1) != call_id(EventName.AGENT_TOOL_CALL, 2)


def test_other_peoples_turns_have_no_origin() -> None:
    others = {1: "other", SEQ_TAG: 3, PART_TAG: 0}
    for payload in (b"", b"\xc1", *map(msgspec.msgpack.encode, ({1: "r"}, [1], others))):
        assert origin_of(payload, FACTS) is None


@pytest.mark.parametrize("name", FIELDS)
def test_every_type_says_which_run_it_is_of(name: str) -> None:
    assert FIELDS[name]["run_id"][0] == RUN_ID_TAG


def test_the_bundle_names_its_content() -> None:
    bundle_id, content = registry_bundle()
    bundle = json.loads(content)
    assert bundle["bundle_id"] == bundle_id
    assert "com.kilroy.attractor.StageFinished" in bundle["types"]
    tags = bundle["types"]["com.kilroy.attractor.RunStarted"]["versions"]["3"]["fields"]
    assert tags["1"]["name"] == "run_id"
    assert tags["2"]["semantic"] == "unix_ms"


@pytest.mark.parametrize("name", FIELDS)
def test_no_tag_is_used_twice(name: str) -> None:
    tags = [tag for tag, _ in FIELDS[name].values()] + [SEQ_TAG, PART_TAG, LINE_TAG]
    assert len(tags) == len(set(tags))
