"""The run directory: the only place that knows its files, their format and who may write them."""

from attractor.rundir.artifacts import ArtifactStore, artifact_id_of
from attractor.rundir.branches import branch_layouts, leader_notes, owned_branches
from attractor.rundir.checkpoint import CheckpointStore, load_checkpoint
from attractor.rundir.events import Event, EventLog, last_event, read_events, rfc3339
from attractor.rundir.files import (
    check_own_directory,
    encode_json,
    make_directory,
    make_own_directory,
    open_regular,
    pretty_json,
    read_regular,
    write_atomic,
)
from attractor.rundir.layout import Layout
from attractor.rundir.owner import (
    Owner,
    RunLock,
    acquire,
    is_held,
    is_there,
    living_owner,
    process_start_time,
    read_owner,
    runs_home,
)
from attractor.rundir.questions import OpenQuestion, QuestionPlace, open_questions, question_place
from attractor.rundir.records import (
    CxdbManifest,
    Final,
    Manifest,
    Policy,
    new_token,
    read_final,
    read_manifest,
    write_final,
    write_manifest,
)

__all__ = [
    "ArtifactStore",
    "CheckpointStore",
    "CxdbManifest",
    "Event",
    "EventLog",
    "Final",
    "Layout",
    "Manifest",
    "OpenQuestion",
    "Owner",
    "Policy",
    "QuestionPlace",
    "RunLock",
    "acquire",
    "artifact_id_of",
    "branch_layouts",
    "check_own_directory",
    "encode_json",
    "is_held",
    "is_there",
    "last_event",
    "leader_notes",
    "living_owner",
    "load_checkpoint",
    "make_directory",
    "make_own_directory",
    "new_token",
    "open_questions",
    "open_regular",
    "owned_branches",
    "pretty_json",
    "process_start_time",
    "question_place",
    "read_events",
    "read_final",
    "read_manifest",
    "read_owner",
    "read_regular",
    "rfc3339",
    "runs_home",
    "write_atomic",
    "write_final",
    "write_manifest",
]
