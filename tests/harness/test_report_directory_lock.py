"""The report directory: one session at a time, and a folder of its own for every case."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.store import ReportDirectory, case_slug


def test_a_second_session_is_refused_and_told_who_holds_the_directory(tmp_path: Path) -> None:
    second = ReportDirectory(tmp_path).owned()
    with (
        ReportDirectory(tmp_path).owned(),
        pytest.raises(HarnessError, match=r"is in use by another session \(process \d+\).*--report-dir"),
    ):
        second.__enter__()
    with ReportDirectory(tmp_path).owned():
        pass


def test_no_two_cases_share_a_folder() -> None:
    ids = ["a/b", "a/b[x=1]", "a/b[x=]", "a/b[x=[]]", "a/b[x= ]", "a/b[x={}]", "a/b[x=1,y=2]", "a/b[x=1 y=2]"]
    slugs = [case_slug(case_id) for case_id in ids]
    assert len(set(slugs)) == len(ids)
    assert slugs[:2] == ["a--b", "a--b-x-1"], "ordinary ids stay readable"


def test_no_two_shipped_cases_share_a_folder() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "harness", "list", "--scenarios", str(Path(__file__).parents[2] / "scenarios")],
        capture_output=True,
        text=True,
        check=True,
    )
    ids = [line.split("  ")[0].strip() for line in done.stdout.splitlines() if "/" in line.split("  ")[0]]
    assert len(ids) > 100
    assert len({case_slug(case_id) for case_id in ids}) == len(ids)
