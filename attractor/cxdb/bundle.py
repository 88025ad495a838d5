"""The types of our turns, and the registry bundle that lets CXDB's own viewer name their fields.

The type names are the ones published for Attractor runs, with the same fields under the same tags, so that
existing viewers show our runs. Ours are version 3: they add `event_seq` and `event_part`, which say from which
line of progress.ndjson a turn was made, and are what "complete and not doubled" is checked by; and, in an event's first
turn, the line itself, so that a run can be brought back from its context.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

PREFIX: Final = "com.kilroy.attractor."
TYPE_VERSION: Final = 3

# short type name -> field name -> (tag, type)
_S, _U64, _U32, _BOOL = "string", "u64", "u32", "bool"
FIELDS: Final[dict[str, dict[str, tuple[int, str]]]] = {
    "RunStarted": {
        "run_id": (1, _S),
        "timestamp_ms": (2, _U64),
        "repo_path": (3, _S),
        "base_sha": (4, _S),
        "run_branch": (5, _S),
        "logs_root": (6, _S),
        "worktree_dir": (7, _S),
        "graph_name": (8, _S),
        "goal": (9, _S),
        "graph_dot": (12, _S),
        "manifest_json": (13, _S),
        "run_config_json": (14, _S),
    },
    "RunResumed": {
        "run_id": (1, _S),
        "timestamp_ms": (2, _U64),
        "after_node": (3, _S),
        "next_node": (4, _S),
        "restart_count": (5, _U32),
        "resume_count": (6, _U32),
    },
    "StageStarted": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "timestamp_ms": (3, _U64),
        "handler_type": (4, _S),
        "attempt": (5, _U32),
    },
    "Prompt": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "text": (3, _S),
        "timestamp_ms": (4, _U64),
    },
    "AssistantMessage": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "text": (3, _S),
        "model": (4, _S),
        "timestamp_ms": (8, _U64),
    },
    "ToolCall": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "tool_name": (3, _S),
        "call_id": (4, _S),
        "arguments_json": (5, _S),
    },
    "ToolResult": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "tool_name": (3, _S),
        "call_id": (4, _S),
        "output": (5, _S),
        "is_error": (6, _BOOL),
    },
    "StageFinished": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "timestamp_ms": (3, _U64),
        "status": (4, _S),
        "preferred_label": (5, _S),
        "failure_reason": (6, _S),
        "notes": (7, _S),
    },
    "StageFailed": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "timestamp_ms": (3, _U64),
        "failure_reason": (4, _S),
        "will_retry": (5, _BOOL),
        "attempt": (6, _U32),
    },
    "StageRetrying": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "timestamp_ms": (3, _U64),
        "attempt": (4, _U32),
        "delay_ms": (5, _U64),
    },
    "InterviewStarted": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "timestamp_ms": (3, _U64),
        "question_text": (4, _S),
        "question_type": (5, _S),
        "question_id": (6, _S),
    },
    "InterviewTimeout": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "timestamp_ms": (3, _U64),
        "question_text": (4, _S),
        "duration_ms": (5, _U64),
        "question_id": (6, _S),
    },
    "InterviewCompleted": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "timestamp_ms": (3, _U64),
        "answer_value": (4, _S),
        "duration_ms": (5, _U64),
        "question_id": (6, _S),
        "answer_label": (7, _S),
        "answer_text": (8, _S),
        "answered_by": (9, _S),
        "answered_who": (10, _S),
    },
    "Artifact": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "name": (3, _S),
        "mime": (4, _S),
        "content_hash": (5, _S),
        "bytes_len": (6, _U64),
        "local_path": (7, _S),
    },
    "GitCheckpoint": {
        "run_id": (1, _S),
        "node_id": (2, _S),
        "status": (3, _S),
        "git_commit_sha": (4, _S),
        "timestamp_ms": (5, _U64),
    },
    "CheckpointSaved": {
        "run_id": (1, _S),
        "timestamp_ms": (2, _U64),
        "checkpoint_path": (3, _S),
        "cxdb_context_id": (4, _S),
        "node_id": (6, _S),
    },
    "LoopRestart": {
        "run_id": (1, _S),
        "timestamp_ms": (2, _U64),
        "node_id": (3, _S),
        "event": (4, _S),
        "restart_count": (5, _U32),
        "signature": (6, _S),
        "failure_class": (7, _S),
        "failure_reason": (8, _S),
    },
    "Event": {
        "run_id": (1, _S),
        "timestamp_ms": (2, _U64),
        "event": (3, _S),
        "node_id": (4, _S),
    },
    "RunCompleted": {
        "run_id": (1, _S),
        "timestamp_ms": (2, _U64),
        "final_status": (3, _S),
        "final_git_commit_sha": (4, _S),
        "cxdb_context_id": (5, _S),
    },
    "RunFailed": {
        "run_id": (1, _S),
        "timestamp_ms": (2, _U64),
        "reason": (3, _S),
        "node_id": (4, _S),
        "git_commit_sha": (5, _S),
        "failure_class": (6, _S),
    },
}
RUN_ID_TAG: Final = 1  # in every type
SEQ_TAG: Final = 100
PART_TAG: Final = 101
LINE_TAG: Final = 102


def registry_bundle() -> tuple[str, bytes]:
    """The bundle's id and its JSON. The id names the content, so a changed bundle gets a new one."""
    types = {PREFIX + name: {"versions": {str(TYPE_VERSION): {"fields": _fields(name)}}} for name in FIELDS}
    digest = hashlib.sha256(msgspec.json.encode(types)).hexdigest()[:12]
    bundle_id = f"attractor-v{TYPE_VERSION}-{digest}"
    bundle = {"registry_version": 1, "bundle_id": bundle_id, "types": types, "enums": {}}
    return bundle_id, msgspec.json.encode(bundle)


def _fields(name: str) -> dict[str, dict[str, Any]]:
    described = {str(tag): _field(field, kind) for field, (tag, kind) in FIELDS[name].items()}
    described[str(SEQ_TAG)] = _field("event_seq", "u64")
    described[str(PART_TAG)] = _field("event_part", "u32")
    described[str(LINE_TAG)] = _field("event_json", "string")
    return described


def _field(name: str, kind: str) -> dict[str, Any]:
    description: dict[str, Any] = {"name": name, "type": kind}
    if name == "timestamp_ms":
        description["semantic"] = "unix_ms"
    elif name.endswith("_ms"):
        description["semantic"] = "duration_ms"
    if name not in ("run_id", "event_seq", "event_part"):
        description["optional"] = True
    return description
