"""Reaching a person: the interviewers (spec 6.4), and what their answers mean."""

from attractor.human.callback import CallbackInterviewer
from attractor.human.console import Console, ConsoleInterviewer, has_console
from attractor.human.desk import DeskInterviewer, answer_command
from attractor.human.given import AutoApproveInterviewer, QueueInterviewer, RecordingInterviewer
from attractor.human.matching import choices_line, find_option, problem_with, unanswered
from attractor.human.waiting import AnswerWait

__all__ = [
    "AnswerWait",
    "AutoApproveInterviewer",
    "CallbackInterviewer",
    "Console",
    "ConsoleInterviewer",
    "DeskInterviewer",
    "QueueInterviewer",
    "RecordingInterviewer",
    "answer_command",
    "choices_line",
    "find_option",
    "has_console",
    "problem_with",
    "unanswered",
]
