"""Who asks a run's people: approval by itself, the embedding program's interviewer, or the run's own desk."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable
from datetime import UTC, datetime

from attractor.contracts import Interviewer, Question
from attractor.extensions import Extensions
from attractor.human import AutoApproveInterviewer, Console, DeskInterviewer, choices_line, has_console
from attractor.rundir import Layout, Policy, rfc3339


def choose_interviewer(
    layout: Layout, given: Interviewer | None, policy: Policy, extensions: Extensions, *, auto_approve: bool = False
) -> Interviewer:
    """`layout` is the run's base logs root. Without anything else, people are asked by question files alone.

    `auto_approve`: for this life, whatever the policy says. Raises ConfigError for an interviewer that is not there.
    """
    if auto_approve or policy.auto_approve:
        return AutoApproveInterviewer()
    if policy.interviewer:
        return extensions.interviewer(policy.interviewer)
    return given or desk(layout)


def desk(layout: Layout, write: Callable[[str], None] | None = None, *, quiet: bool = True) -> DeskInterviewer:
    """The run's desk: its question files, and with `write` (shows a text on standard error) the terminal, where there
    is one. Where there is none, `quiet` off still says what is asked.
    """
    console = Console(write) if write is not None and has_console() else None

    def announce(question: Question, command: str) -> None:
        if write is not None and not quiet:
            write(f"ask  {question.id}  {question.text}  {choices_line(question)}\n     answer with: {command}\n")

    return DeskInterviewer(layout, timestamp, console, person(), announce)


def timestamp() -> str:
    return rfc3339(datetime.now(UTC))


def person() -> str:
    """`user@host` of this process."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
