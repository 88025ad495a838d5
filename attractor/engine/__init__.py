"""The engine: pure decisions (routing, failure, retry, restart) and the loop that acts on them."""

from attractor.engine.failure import POLICY, TEXT_HINTS, ClassPolicy, classify, signature
from attractor.engine.loop import Ending, RestartFolders, RunLoop, checkpoint_fields, restart_fields
from attractor.engine.parallel import (
    BranchEdge,
    all_failed,
    best_of,
    branches_of,
    decided,
    join,
)
from attractor.engine.restart import RestartDecision, RestartRuling, decide_restart, restarted_state
from attractor.engine.retry import PRESETS, Backoff, RetryPolicy, retry_policy
from attractor.engine.routing import (
    GateVerdict,
    Route,
    Rule,
    check_goal_gates,
    choose_route,
    normalize_label,
)
from attractor.engine.stage import STEERING, Settled, StageRunner

__all__ = [
    "POLICY",
    "PRESETS",
    "STEERING",
    "TEXT_HINTS",
    "Backoff",
    "BranchEdge",
    "ClassPolicy",
    "Ending",
    "GateVerdict",
    "RestartDecision",
    "RestartFolders",
    "RestartRuling",
    "RetryPolicy",
    "Route",
    "Rule",
    "RunLoop",
    "Settled",
    "StageRunner",
    "all_failed",
    "best_of",
    "branches_of",
    "check_goal_gates",
    "checkpoint_fields",
    "choose_route",
    "classify",
    "decide_restart",
    "decided",
    "join",
    "normalize_label",
    "restart_fields",
    "restarted_state",
    "retry_policy",
    "signature",
]
