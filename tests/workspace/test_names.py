"""Branch names and run ids: what git and the file system would choke on is refused first."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attractor.errors import AttractorError, ConfigError, UsageError
from attractor.workspace import check_prefix, check_run_id, new_run_id, run_branch

HOSTILE = [
    "",
    "parallel",
    "PARALLEL",
    "..",
    "a..b",
    "a/b",
    "/a",
    "x.lock",
    "a.",
    "-x",
    ".hidden",
    "a b",
    "a\nb",
    "a\0b",
]
HOSTILE += ["ünï", "a~b", "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "@{", "x" * 300, "$(id)", "a;b"]


@pytest.mark.parametrize("run_id", HOSTILE, ids=repr)
def test_a_hostile_run_id_is_refused_with_its_name_and_the_rule(run_id: str) -> None:
    with pytest.raises(UsageError) as refusal:
        check_run_id(run_id)
    assert repr(run_id)[1:20] in refusal.value.message
    assert "letters, digits" in str(refusal.value.hint)


@pytest.mark.parametrize("run_id", ["r", "detach-smoke", "20260401T120000Z-1f3a", "a.b_c-d", "9", "x" * 100])
def test_an_ordinary_run_id_is_accepted(run_id: str) -> None:
    assert check_run_id(run_id) == run_id


@given(st.text(max_size=120))
def test_whatever_is_accepted_git_accepts_as_a_branch(text: str) -> None:
    try:
        run_id = check_run_id(text)
    except AttractorError:
        return
    branch = run_branch("attractor/run", run_id)
    done = subprocess.run(["git", "check-ref-format", f"refs/heads/{branch}"], check=False)
    assert done.returncode == 0
    assert Path(run_id).name == run_id


def test_a_new_run_id_is_acceptable_and_sorts_by_time() -> None:
    early = new_run_id(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "ffffff")
    late = new_run_id(datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC), "000000")
    assert check_run_id(early) < check_run_id(late)


@pytest.mark.parametrize(
    "prefix", ["", "/", "/abs", "parallel", "parallel/x", "a//b", "a/../b", "-x", "a b", "x.lock/y"]
)
def test_a_prefix_that_would_make_bad_branches_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        check_prefix(prefix, "run.yaml: git.run_branch_prefix")


def test_a_prefix_loses_the_slash_at_its_end_and_nothing_else() -> None:
    assert run_branch(check_prefix("team/runs/", "x"), "r1") == "team/runs/r1"
