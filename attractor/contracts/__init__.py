"""Values and protocols shared by the engine and the parts around it."""

from attractor.contracts.agents import (
    USAGE_COST,
    USAGE_TOKENS,
    AgentSettings,
    ProbePolicy,
    ProviderSettings,
    SpendLimits,
    over_limit,
)
from attractor.contracts.events import TERMINAL_EVENTS, EventName
from attractor.contracts.outcome import FailureClass, Outcome, Status
from attractor.contracts.parallel import BranchPlan, BranchResult, BranchRunner
from attractor.contracts.ports import (
    CommitInfo,
    Committed,
    CrashObserver,
    EventSink,
    Handler,
    StageRun,
    Stop,
    TurnSink,
    Workspace,
)
from attractor.contracts.state import Finished, RunState

__all__ = [
    "TERMINAL_EVENTS",
    "USAGE_COST",
    "USAGE_TOKENS",
    "AgentSettings",
    "BranchPlan",
    "BranchResult",
    "BranchRunner",
    "CommitInfo",
    "Committed",
    "CrashObserver",
    "EventName",
    "EventSink",
    "FailureClass",
    "Finished",
    "Handler",
    "Outcome",
    "ProbePolicy",
    "ProviderSettings",
    "RunState",
    "SpendLimits",
    "StageRun",
    "Status",
    "Stop",
    "TurnSink",
    "Workspace",
    "over_limit",
]
