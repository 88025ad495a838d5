"""attractor: runs agent pipelines written as DOT graphs, one commit a finished node, resumable after any crash.

`attractor.library` says how to use it from Python. Nothing is imported before it is asked for, so that
`attractor --version` costs no more than the interpreter's own start.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from attractor.app import Plan, RunRequest, RunResult, plan_run, resume_run, start_run
    from attractor.contracts import (
        Answer,
        AnswerKind,
        ArtifactInfo,
        Artifacts,
        EventName,
        FailureClass,
        Handler,
        Interviewer,
        Option,
        Outcome,
        Question,
        QuestionType,
        StageRun,
        Status,
        Waiting,
    )
    from attractor.diagnostics import Diagnostic, Severity
    from attractor.errors import (
        AttractorError,
        ConfigError,
        CxdbError,
        GraphError,
        PreflightFailed,
        RunDirectoryError,
        UsageError,
        WorkspaceError,
    )
    from attractor.extensions import Extensions, installed_extensions
    from attractor.graph import Attribute, Edge, Graph, Node, Scope, Transform
    from attractor.human import (
        AutoApproveInterviewer,
        CallbackInterviewer,
        ConsoleInterviewer,
        QueueInterviewer,
        RecordingInterviewer,
    )
    from attractor.library import parse, resume, run, validate
    from attractor.lint import RULES, Facts, Finding, Rule, Validation
    from attractor.processes import StopRequest
    from attractor.rundir import Final

# Which module a name comes from.
_HOMES = {
    "app": ("Plan", "RunRequest", "RunResult", "plan_run", "resume_run", "start_run"),
    "contracts": (
        "Answer",
        "AnswerKind",
        "ArtifactInfo",
        "Artifacts",
        "EventName",
        "FailureClass",
        "Handler",
        "Interviewer",
        "Option",
        "Outcome",
        "Question",
        "QuestionType",
        "StageRun",
        "Status",
        "Waiting",
    ),
    "diagnostics": ("Diagnostic", "Severity"),
    "errors": (
        "AttractorError",
        "ConfigError",
        "CxdbError",
        "GraphError",
        "PreflightFailed",
        "RunDirectoryError",
        "UsageError",
        "WorkspaceError",
    ),
    "extensions": ("Extensions", "installed_extensions"),
    "graph": ("Attribute", "Edge", "Graph", "Node", "Scope", "Transform"),
    "human": (
        "AutoApproveInterviewer",
        "CallbackInterviewer",
        "ConsoleInterviewer",
        "QueueInterviewer",
        "RecordingInterviewer",
    ),
    "library": ("parse", "resume", "run", "validate"),
    "lint": ("RULES", "Facts", "Finding", "Rule", "Validation"),
    "processes": ("StopRequest",),
    "rundir": ("Final",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "RULES",
    "Answer",
    "AnswerKind",
    "ArtifactInfo",
    "Artifacts",
    "AttractorError",
    "Attribute",
    "AutoApproveInterviewer",
    "CallbackInterviewer",
    "ConfigError",
    "ConsoleInterviewer",
    "CxdbError",
    "Diagnostic",
    "Edge",
    "EventName",
    "Extensions",
    "Facts",
    "FailureClass",
    "Final",
    "Finding",
    "Graph",
    "GraphError",
    "Handler",
    "Interviewer",
    "Node",
    "Option",
    "Outcome",
    "Plan",
    "PreflightFailed",
    "Question",
    "QuestionType",
    "QueueInterviewer",
    "RecordingInterviewer",
    "Rule",
    "RunDirectoryError",
    "RunRequest",
    "RunResult",
    "Scope",
    "Severity",
    "StageRun",
    "Status",
    "StopRequest",
    "Transform",
    "UsageError",
    "Validation",
    "Waiting",
    "WorkspaceError",
    "__version__",
    "installed_extensions",
    "parse",
    "plan_run",
    "resume",
    "resume_run",
    "run",
    "start_run",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME_OF]
