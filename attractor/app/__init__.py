"""Use cases: what the commands do, wired together from the parts. The only package that knows all of them."""

from attractor.app.answer import Answered, answer_question
from attractor.app.detach import (
    READY_FD_VARIABLE,
    READY_TIMEOUT_SECONDS,
    RESUME_WAIT_SECONDS,
    Launched,
    announce_ownership,
    launch,
)
from attractor.app.inspect import (
    RunStatus,
    RunView,
    find_run,
    known_runs,
    latest_run,
    remember_run,
    view_run,
)
from attractor.app.interviews import desk
from attractor.app.life import RunResult
from attractor.app.peers import CxdbPeer, reach_cxdb
from attractor.app.preflight import Check, Preflight, preflight_only
from attractor.app.prune import prune_run
from attractor.app.request import Plan, RunRequest, plan_run
from attractor.app.restore import Restored, restore_run
from attractor.app.resume import resume_run
from attractor.app.shipping import Flushed, RecordedContext, flush_run, newest_turns, recorded_contexts
from attractor.app.start import start_run
from attractor.app.stop import Stopped, stop_run
from attractor.app.supervise import SupervisePolicy, Supervisor
from attractor.rundir import make_directory

__all__ = [
    "READY_FD_VARIABLE",
    "READY_TIMEOUT_SECONDS",
    "RESUME_WAIT_SECONDS",
    "Answered",
    "Check",
    "CxdbPeer",
    "Flushed",
    "Launched",
    "Plan",
    "Preflight",
    "RecordedContext",
    "Restored",
    "RunRequest",
    "RunResult",
    "RunStatus",
    "RunView",
    "Stopped",
    "SupervisePolicy",
    "Supervisor",
    "announce_ownership",
    "answer_question",
    "desk",
    "find_run",
    "flush_run",
    "known_runs",
    "latest_run",
    "launch",
    "make_directory",
    "newest_turns",
    "plan_run",
    "preflight_only",
    "prune_run",
    "reach_cxdb",
    "recorded_contexts",
    "remember_run",
    "restore_run",
    "resume_run",
    "start_run",
    "stop_run",
    "view_run",
]
