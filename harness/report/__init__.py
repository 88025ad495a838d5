"""harness.report: shows a session while it runs and keeps it in files afterwards.

The only surface of this package. It reads results, progress events and evidence files; it judges
nothing (that is `harness.verdict` and the checks) and starts no engine.
"""

from harness.report.board import BoardState, follow
from harness.report.jsonl import read_jsonl
from harness.report.prove import GridForm, ProveVerdict, SaboteurRow, prove_exit_code, render_prove_grid
from harness.report.session import CrashTable, ReportContext, Session, describe_host, group
from harness.report.summary import print_summary
from harness.report.writers import Written, write_all

__all__ = [
    "BoardState",
    "CrashTable",
    "GridForm",
    "ProveVerdict",
    "ReportContext",
    "SaboteurRow",
    "Session",
    "Written",
    "describe_host",
    "follow",
    "group",
    "print_summary",
    "prove_exit_code",
    "read_jsonl",
    "render_prove_grid",
    "write_all",
]
