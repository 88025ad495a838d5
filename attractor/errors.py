"""Every error the engine raises, in one tree, split by who must act on it.

    AttractorError
      the pipeline author
        GraphError              a graph file has errors; carries the diagnostics
      the operator, or the machine it runs on
        UsageError              wrong command line (exit code 2)
        PreflightFailed         the run would fail: found before any node ran; lists every problem
        ConfigError             wrong run configuration (exit code 2); says which key
        WorkspaceError          git repository, worktree or branch is not as a run needs it
        RunDirectoryError       a run directory is missing, damaged, locked or someone else's
          RecordsLost           a branch's records cannot be written; nothing is wrong with its work
      the remote peer
        CxdbError
          CxdbUnreachable       no connection, or it was lost before anything was sent
          CxdbProtocolError     the server answered something the protocol does not allow
          CxdbOutcomeUnknown    sent, but no answer: it may or may not have happened
      us
        InternalError           a rule of our own code was broken; please report it

Rules kept here: an error carries fields, not only text. The message says what happened and where, with paths
and ids verbatim; `hint` says what to do next. A foreign exception is translated once, at the boundary, with
`raise ... from cause`. New classes go to the end of this file and into the tree above.

Must not know: any package above it.
"""

from attractor.diagnostics import Diagnostic

__all__ = [
    "MAX_SHOWN_DIAGNOSTICS",
    "AttractorError",
    "ConfigError",
    "CxdbError",
    "CxdbOutcomeUnknown",
    "CxdbProtocolError",
    "CxdbUnreachable",
    "GraphError",
    "InternalError",
    "PreflightFailed",
    "RecordsLost",
    "RunDirectoryError",
    "UsageError",
    "WorkspaceError",
]


MAX_SHOWN_DIAGNOSTICS = 50
MAX_BRIEF_DIAGNOSTICS = 3


class AttractorError(Exception):
    """The root. `exit_code` is what the command line ends with when this error reaches it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message

    @property
    def brief(self) -> str:
        """What is the matter, on one line, for a record that has no room for more."""
        return self.message


# --- the pipeline author ------------------------------------------------------------------------------------


class GraphError(AttractorError):
    """A graph cannot be used. `diagnostics` holds what is wrong with it and where."""

    def __init__(self, message: str, *, diagnostics: tuple[Diagnostic, ...] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        shown = [diagnostic.render() for diagnostic in self.diagnostics[:MAX_SHOWN_DIAGNOSTICS]]
        rest = len(self.diagnostics) - len(shown)
        return "\n".join([super().__str__(), *shown, *([f"... and {rest} more"] if rest else [])])

    @property
    def brief(self) -> str:
        told = [diagnostic.headline for diagnostic in self.diagnostics[:MAX_BRIEF_DIAGNOSTICS]]
        return ": ".join([self.message, "; ".join(told)]) if told else self.message


# --- the operator, or the machine it runs on ----------------------------------------------------------------


class UsageError(AttractorError):
    """The command line asks for something that makes no sense. Nothing was started or written."""

    exit_code = 2


class ConfigError(AttractorError):
    """The run configuration is wrong. `place` is the file and key, such as `run.yaml: cxdb.binary_addr`."""

    exit_code = 2

    def __init__(self, message: str, *, place: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.place = place

    def __str__(self) -> str:
        text = super().__str__()
        return f"{self.place}: {text}" if self.place else text


class PreflightFailed(AttractorError):
    """Checks made before the first node found problems. Nothing was run; the message lists all of them."""


class WorkspaceError(AttractorError):
    """The git repository, worktree or branch is not in a state a run can work with."""


class RunDirectoryError(AttractorError):
    """A run directory is missing, damaged, in use, or belongs to another run."""


class RecordsLost(RunDirectoryError):
    """The records of a fan-out's branch, or of a child pipeline, cannot be written or read. The machine's trouble: it
    ends the run in order, and is never a failure of the branch, whose work another life finishes.
    """


# --- the remote peer ----------------------------------------------------------------------------------------


class CxdbError(AttractorError):
    """CXDB did not do what was asked. `address` is the server's, as configured."""

    def __init__(self, message: str, *, address: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.address = address


class CxdbUnreachable(CxdbError):
    """No connection could be made, or it broke before the request was on its way. Safe to try again."""


class CxdbProtocolError(CxdbError):
    """The server's answer breaks the protocol. Trying again will not help."""


class CxdbOutcomeUnknown(CxdbError):
    """The request was sent and no answer came. It may have been carried out: never repeat it blindly."""


# --- us -----------------------------------------------------------------------------------------------------


class InternalError(AttractorError):
    """A rule of our own code does not hold. Not the user's doing, and not to be caught and ignored."""
