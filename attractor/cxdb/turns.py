"""Which turns an event makes. Pure: one event in, its turns out, always the same ones.

Because turns come from `progress.ndjson` and from nothing else, the file is their outbox: whatever a crash or an
outage kept from CXDB can be made again from it, and `event_seq`/`event_part` in the newest stored turn say
where to go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from attractor.contracts import EventName, NotReadable, read_json, readable
from attractor.cxdb.bundle import FIELDS, LINE_TAG, PART_TAG, PREFIX, RUN_ID_TAG, SEQ_TAG, TYPE_VERSION
from attractor.rundir import encode_json

Event = dict[str, Any]
Origin = tuple[int, int]  # (event_seq, event_part): ordered as the turns are
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(dict[int, Any])


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn to append. `payload` is a MessagePack map from field tag to value."""

    type_id: bytes
    payload: bytes
    event_seq: int
    event_part: int

    @property
    def type_version(self) -> int:
        return TYPE_VERSION

    @property
    def origin(self) -> Origin:
        return self.event_seq, self.event_part


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What turns repeat from the run's other files, so that it can be brought back without them.

    `forked_from`: the run whose turns the context begins with. `context_id` '': there is none yet.
    """

    run_id: str
    context_id: str
    graph_dot: str
    forked_from: str = ""
    manifest_json: str = ""
    run_config_json: str = ""


_Fields = dict[str, Any]
_Maker = Callable[[Event, RunFacts], list[tuple[str, _Fields]]]


def turns_of(event: Event, facts: RunFacts) -> list[Turn]:
    """The turns of one event, one or more; the first holds the event as it is."""
    turns = []
    for part, (name, fields) in enumerate(_MAKERS.get(event["event"], _other)(event, facts)):
        table = FIELDS[name]
        tagged = {table[field][0]: value for field, value in fields.items() if value is not None}
        tagged[SEQ_TAG] = event["seq"]
        tagged[PART_TAG] = part
        if part == 0:
            tagged[LINE_TAG] = encode_json(event).decode()
        turns.append(Turn(_TYPE_IDS[name], _encode(tagged), event["seq"], part))
    return turns


NOTHING: Final[Origin] = (0, 0)


def origin_of(payload: bytes, facts: RunFacts) -> Origin | None:
    """Which event and part of this run a stored turn was made from; None where it is another run's, or nobody's.

    `NOTHING` for a turn of the run that the context was forked from.
    """
    try:
        fields = readable(_decoder.decode, payload)
        if facts.forked_from and fields[RUN_ID_TAG] == facts.forked_from:
            return NOTHING
        return (int(fields[SEQ_TAG]), int(fields[PART_TAG])) if fields[RUN_ID_TAG] == facts.run_id else None
    except (KeyError, TypeError, ValueError):
        return None


def line_of(payload: bytes) -> bytes | None:
    """The line of progress.ndjson that a stored turn was made from; None in all but the first turn of an event."""
    try:
        line = readable(_decoder.decode, payload)[LINE_TAG]
    except (KeyError, TypeError, ValueError):
        return None
    return line.encode() + b"\n" if isinstance(line, str) else None


def described(type_id: str, payload: bytes) -> tuple[str, dict[str, Any]]:
    """A stored turn with the names of our bundle: its short type and its fields. What is not ours keeps its whole type
    and has no fields.
    """
    name = type_id.removeprefix(PREFIX)
    if name == type_id or name not in FIELDS:
        return type_id, {}
    names = {tag: field for field, (tag, _) in FIELDS[name].items()}
    names |= {SEQ_TAG: "event_seq", PART_TAG: "event_part", LINE_TAG: "event_json"}
    try:
        return name, {names[tag]: value for tag, value in readable(_decoder.decode, payload).items() if tag in names}
    except (TypeError, ValueError):
        return type_id, {}


_TYPE_IDS: Final = {name: (PREFIX + name).encode() for name in FIELDS}


def _unix_ms(event: Event) -> int:
    return int(datetime.fromisoformat(event["ts"]).timestamp() * 1000)


def _common(event: Event) -> _Fields:
    return {"run_id": event["run_id"], "timestamp_ms": _unix_ms(event)}


def _run_started(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    copied = {key: event.get(key) for key in ("repo_path", "base_sha", "run_branch", "logs_root", "graph_name", "goal")}
    return [
        (
            "RunStarted",
            _common(event)
            | copied
            | {
                "worktree_dir": event.get("worktree"),
                "graph_dot": facts.graph_dot,
                "manifest_json": facts.manifest_json or None,
                "run_config_json": facts.run_config_json or None,
            },
        )
    ]


def _other(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    """An event that has no turn type of its own."""
    return [("Event", _common(event) | {"event": event["event"], "node_id": event.get("node_id")})]


def _run_resumed(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    copied = {key: event.get(key) for key in ("after_node", "next_node", "restart_count", "resume_count")}
    return [("RunResumed", _common(event) | copied)]


def _stage_start(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    node = {"node_id": event["node_id"]}
    started = _common(event) | node | {"handler_type": event["handler"], "attempt": event["attempt"]}
    turns = [("StageStarted", started)]
    if "command" in event:
        arguments = msgspec.json.encode({"command": event["command"]}).decode()
        call = {"run_id": event["run_id"], "tool_name": "shell", "call_id": _call_id(event)}
        turns.append(("ToolCall", call | node | {"arguments_json": arguments}))
    return turns


def _stage_end(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    node = {"node_id": event["node_id"]}
    reason = event.get("failure_reason")
    turns: list[tuple[str, _Fields]] = []
    if "output" in event:
        result = {"run_id": event["run_id"], "tool_name": "shell", "call_id": _call_id(event)}
        turns.append(("ToolResult", result | node | {"output": event["output"], "is_error": reason is not None}))
    if event["will_retry"]:
        failed = {"failure_reason": reason or "", "will_retry": True, "attempt": event["attempt"]}
        return [*turns, ("StageFailed", _common(event) | node | failed)]
    finished = {"status": event["status"], "failure_reason": reason, "notes": event.get("notes")}
    return [
        *turns,
        ("StageFinished", _common(event) | node | finished | {"preferred_label": event.get("preferred_label")}),
    ]


def _agent_started(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    return [("Prompt", _common(event) | {"node_id": event["node_id"], "text": event["prompt"]})]


def _agent_message(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    copied = {key: event.get(key) for key in ("node_id", "text", "model")}
    return [("AssistantMessage", _common(event) | copied)]


def _agent_tool_call(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    return [("ToolCall", _agent_tool(event) | {"arguments_json": _json_object(event["arguments"])})]


def _agent_tool_result(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    return [("ToolResult", _agent_tool(event) | {"output": event["output"], "is_error": event["is_error"]})]


def _agent_tool(event: Event) -> _Fields:
    # The programs number their calls from one again in each attempt.
    told = {"run_id": event["run_id"], "node_id": event["node_id"], "tool_name": event["tool"]}
    return told | {"call_id": f"{event['attempt']}/{event['tool_id']}"}


def _json_object(arguments: str) -> str:
    """Arguments as the program told them: JSON, a command, or JSON that was cut."""
    try:
        if isinstance(read_json(arguments), dict):
            return arguments
    except NotReadable:
        pass
    return msgspec.json.encode({"text": arguments}).decode()


def _call_id(event: Event) -> str:
    # The same for call and result, and different for every attempt of every visit.
    text = f"{event['run_id']}/{event['node_id']}/{event['visit']}/{event['attempt']}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _retry(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    copied = {key: event[key] for key in ("node_id", "attempt", "delay_ms")}
    return [("StageRetrying", _common(event) | copied)]


def _interview_started(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    asked = {"question_id": event["question_id"], "question_text": event["text"], "question_type": event["type"]}
    return [("InterviewStarted", _common(event) | {"node_id": event["node_id"]} | asked)]


def _interview_timeout(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    copied = {key: event[key] for key in ("node_id", "question_id")}
    return [("InterviewTimeout", _common(event) | copied | {"duration_ms": round(event["duration_ms"])})]


def _interview_completed(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    copied = {key: event[key] for key in ("node_id", "question_id")}
    answer = {"answer_value": event["answer"], "answer_label": event.get("label"), "answer_text": event.get("text")}
    by = {"answered_by": event.get("by"), "answered_who": event.get("who"), "duration_ms": round(event["duration_ms"])}
    return [("InterviewCompleted", _common(event) | copied | answer | by)]


_MIME: Final = {
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".log": "text/plain",
}


def _artifact(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    mime = _MIME.get(Path(event["path"]).suffix, "application/octet-stream")
    known = {"run_id": event["run_id"], "node_id": event["node_id"], "name": event["name"], "mime": mime}
    stored = {
        "content_hash": event.get("blake3") or event["sha256"],  # an older run's has only this
        "bytes_len": event.get("file_bytes", event["size_bytes"]),
        "local_path": event["path"],
    }
    return [("Artifact", known | stored)]


def _checkpoint(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    node = {"node_id": event["node_id"]}
    saved = _common(event) | node | {"checkpoint_path": event["checkpoint_path"], "cxdb_context_id": facts.context_id}
    turns = [("CheckpointSaved", saved)]
    if event.get("git_commit_sha"):
        commit = {"status": event["status"], "git_commit_sha": event["git_commit_sha"]}
        turns.insert(0, ("GitCheckpoint", _common(event) | node | commit))
    return turns


def _loop_restart(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    copied = {key: event.get(key) for key in ("restart_count", "signature", "failure_class", "failure_reason")}
    node = event.get("node_id") or event.get("from")
    return [("LoopRestart", _common(event) | copied | {"node_id": node, "event": event["event"]})]


def _run_completed(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    ended = {"final_status": event["status"], "final_git_commit_sha": event.get("final_git_commit_sha")}
    return [("RunCompleted", _common(event) | ended | {"cxdb_context_id": facts.context_id})]


def _run_failed(event: Event, facts: RunFacts) -> list[tuple[str, _Fields]]:
    ended = {"reason": event.get("failure_reason") or "", "git_commit_sha": event.get("final_git_commit_sha")}
    copied = {key: event.get(key) for key in ("node_id", "failure_class")}
    return [("RunFailed", _common(event) | ended | copied)]


_MAKERS: Final[dict[str, _Maker]] = {
    EventName.RUN_STARTED: _run_started,
    EventName.RUN_RESUMED: _run_resumed,
    EventName.STAGE_ATTEMPT_START: _stage_start,
    EventName.STAGE_ATTEMPT_END: _stage_end,
    EventName.STAGE_RETRY_SLEEP: _retry,
    EventName.AGENT_STARTED: _agent_started,
    EventName.AGENT_MESSAGE: _agent_message,
    EventName.AGENT_TOOL_CALL: _agent_tool_call,
    EventName.AGENT_TOOL_RESULT: _agent_tool_result,
    EventName.INTERVIEW_STARTED: _interview_started,
    EventName.INTERVIEW_TIMEOUT: _interview_timeout,
    EventName.INTERVIEW_COMPLETED: _interview_completed,
    EventName.ARTIFACT_STORED: _artifact,
    EventName.CHECKPOINT_SAVED: _checkpoint,
    EventName.LOOP_RESTART: _loop_restart,
    EventName.LOOP_RESTART_BLOCKED: _loop_restart,
    EventName.LOOP_RESTART_SIGNATURE: _loop_restart,
    EventName.LOOP_RESTART_CIRCUIT_BREAKER: _loop_restart,
    EventName.RUN_COMPLETED: _run_completed,
    EventName.RUN_FAILED: _run_failed,
    EventName.RUN_CANCELED: _run_failed,
}
