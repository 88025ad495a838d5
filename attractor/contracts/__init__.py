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
from attractor.contracts.parallel import (
    FAN_IN_ADOPTED,
    FAN_IN_BEST_ID,
    FAN_IN_BEST_OUTCOME,
    PARALLEL_RESULTS,
    BranchPlan,
    BranchResult,
    BranchRunner,
)
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
from attractor.contracts.questions import (
    Answer,
    AnswerKind,
    Interviewer,
    Option,
    Question,
    QuestionType,
    Waiting,
)
from attractor.contracts.state import Finished, RunState

__all__ = [
    "FAN_IN_ADOPTED",
    "FAN_IN_BEST_ID",
    "FAN_IN_BEST_OUTCOME",
    "PARALLEL_RESULTS",
    "TERMINAL_EVENTS",
    "USAGE_COST",
    "USAGE_TOKENS",
    "AgentSettings",
    "Answer",
    "AnswerKind",
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
    "Interviewer",
    "Option",
    "Outcome",
    "ProbePolicy",
    "ProviderSettings",
    "Question",
    "QuestionType",
    "RunState",
    "SpendLimits",
    "StageRun",
    "Status",
    "Stop",
    "TurnSink",
    "Waiting",
    "Workspace",
    "over_limit",
]
