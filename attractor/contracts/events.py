"""The vocabulary of `progress.ndjson` (DESIGN 2.6) and the order it promises.

Every event is one JSON object a line: `seq` (1, 2, 3 ... without a gap over the whole run, restarts and
resumes included), `ts` (RFC 3339, UTC, microseconds), `run_id`, `event`, and the fields named here.
One life of an engine ends with at most one terminal event, and nothing follows it but `run_resumed`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class EventName(StrEnum):
    """One name an event; the comment lists its fields."""

    RUN_STARTED = "run_started"  # graph_name goal repo_path base_sha run_branch worktree logs_root
    RUN_RESUMED = "run_resumed"  # after_node next_node restart_count resume_count
    PREFLIGHT_PASSED = "preflight_passed"  # checks
    SETUP_COMMAND = "setup_command"  # command exit_code duration_ms
    STAGE_ATTEMPT_START = "stage_attempt_start"  # node_id handler attempt max_attempts visit command
    STAGE_ATTEMPT_END = "stage_attempt_end"  # node_id attempt status failure_* duration_ms will_retry
    STAGE_HEARTBEAT = "stage_heartbeat"  # node_id attempt elapsed_ms
    AGENT_STARTED = "agent_started"  # node_id attempt provider model fidelity continues prompt
    AGENT_MESSAGE = "agent_message"  # node_id attempt model text
    AGENT_TOOL_CALL = "agent_tool_call"  # node_id attempt tool tool_id arguments
    AGENT_TOOL_RESULT = "agent_tool_result"  # node_id attempt tool tool_id output is_error
    AGENT_FAILOVER = "agent_failover"  # node_id from_provider to_provider to_model reason
    AGENT_ESCALATION = "agent_escalation"  # node_id attempt provider model
    STAGE_RETRY_SLEEP = "stage_retry_sleep"  # node_id attempt delay_ms
    STAGE_RETRY_BLOCKED = "stage_retry_blocked"  # node_id attempt failure_class failure_reason
    EDGE_SELECTED = "edge_selected"  # from to rule label condition loop_restart
    ARTIFACT_STORED = "artifact_stored"  # node_id name size_bytes blake3 path, artifact_id file_bytes sha256 or attempt
    FOREIGN_WORK_KEPT = "foreign_work_kept"  # node_id reference
    CHECKPOINT_SAVED = "checkpoint_saved"  # node_id status sequence git_commit_sha checkpoint_path step
    LOOP_RESTART = "loop_restart"  # from to restart_count logs_root state
    LOOP_RESTART_BLOCKED = "loop_restart_blocked"  # node_id failure_class failure_reason
    LOOP_RESTART_SIGNATURE = "loop_restart_signature"  # node_id signature count limit
    LOOP_RESTART_CIRCUIT_BREAKER = "loop_restart_circuit_breaker"  # node_id signature count limit
    PARALLEL_STARTED = "parallel_started"  # node_id branches join max_parallel
    PARALLEL_BRANCH_STARTED = "parallel_branch_started"  # node_id branch
    PARALLEL_BRANCH_COMPLETED = "parallel_branch_completed"  # node_id branch status failure_* canceled duration_ms kept
    PARALLEL_COMPLETED = "parallel_completed"  # node_id status succeeded failed canceled
    BRANCH_ADOPTED = "branch_adopted"  # node_id branch nodes git_branch head_sha
    INTERVIEW_STARTED = "interview_started"  # node_id question_id type text options default timeout_seconds
    INTERVIEW_TIMEOUT = "interview_timeout"  # node_id question_id default duration_ms
    INTERVIEW_COMPLETED = "interview_completed"  # node_id question_id answer label target text by who duration_ms
    CHILD_STARTED = "child_started"  # node_id child graph
    CHILD_OBSERVED = "child_observed"  # node_id cycle active_node finished failures quiet_ms
    CHILD_STEERED = "child_steered"  # node_id cycle active_node
    CHILD_COMPLETED = "child_completed"  # node_id status failure_* canceled duration_ms kept
    CXDB_DEGRADED = "cxdb_degraded"  # reason
    CXDB_RECOVERED = "cxdb_recovered"  # context_id outage_ms
    RUN_COMPLETED = "run_completed"  # status final_git_commit_sha
    RUN_FAILED = "run_failed"  # status failure_reason failure_class node_id final_git_commit_sha
    RUN_CANCELED = "run_canceled"  # status failure_reason failure_class final_git_commit_sha


TERMINAL_EVENTS: Final = frozenset(
    {EventName.RUN_COMPLETED, EventName.RUN_FAILED, EventName.RUN_CANCELED},
)
