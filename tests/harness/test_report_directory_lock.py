"""Two sessions on one report directory would remove each other's sandboxes."""

from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.store import ReportDirectory


def test_a_second_session_is_refused_and_told_who_holds_the_directory(tmp_path: Path) -> None:
    second = ReportDirectory(tmp_path).owned()
    with (
        ReportDirectory(tmp_path).owned(),
        pytest.raises(HarnessError, match=r"is in use by another session \(process \d+\).*--report-dir"),
    ):
        second.__enter__()
    with ReportDirectory(tmp_path).owned():
        pass
