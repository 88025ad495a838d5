"""`cxdb.required: true`: a run whose record is not whole has failed, and nothing is run twice to end it well."""

from pathlib import Path

import pytest

from attractor.app import flush_run
from attractor.config import load_run_config
from attractor.errors import PreflightFailed
from harness.cxdb.embedded import EmbeddedCxdb
from harness.cxdb.reader import read_turns
from tests.app.runs import resume, run

BODY = 'a [tool_command="cat ../../killer | sh; echo x >> ../../ran"] start -> a -> exit'


@pytest.fixture
def required(config: Path) -> Path:
    config.write_text(config.read_text().replace("{", "{required: true, ", 1))
    return config


def killing(repo: Path, server: EmbeddedCxdb) -> str:
    """A stage that kills the server."""
    (repo.parent / "killer").write_text(f"kill -KILL {server.pid}\n")
    return BODY


def test_it_is_off_unless_asked_for(config: Path, required: Path) -> None:
    assert load_run_config(required).cxdb_required
    required.write_text(required.read_text().replace("required: true, ", ""))
    assert not load_run_config(config).cxdb_required


def test_a_run_that_is_recorded_whole_succeeds(repo: Path, server: EmbeddedCxdb, required: Path) -> None:
    ran = run(repo, "a start -> a -> exit", config=required, use_cxdb=True)
    assert (ran.status, ran.json("final.json")["cxdb_pending_turns"]) == ("success", 0)
    turns = read_turns(server.http_base_url, ran.json("final.json")["cxdb_context_id"])
    assert turns[-1].type_id.endswith("RunCompleted")


@pytest.mark.slow
def test_one_that_is_not_fails_at_its_end_and_a_resume_runs_nothing_again(
    repo: Path, server: EmbeddedCxdb, required: Path
) -> None:
    ran = run(repo, killing(repo, server), config=required, use_cxdb=True)
    final = ran.json("final.json")
    assert (final["status"], final["failure_class"], final["failed_node"]) == ("fail", "transient_infra", "")
    assert f"CXDB at {server.binary_addr} lacks" in final["failure_reason"]
    assert "attractor resume --logs-root" in final["failure_reason"]
    assert ran.nodes() == ["start success", "a success", "exit success"]
    assert ran.events()[-1]["failure_reason"] == final["failure_reason"]
    server.restart()
    again = resume(ran.root)
    assert (again.status, again.json("final.json")["cxdb_pending_turns"]) == ("success", 0)
    assert again.nodes() == ran.nodes()
    assert (repo.parent / "ran").read_text() == "x\n"


@pytest.mark.slow
def test_what_was_shipped_by_hand_is_no_success_before_the_resume(
    repo: Path, server: EmbeddedCxdb, required: Path
) -> None:
    ran = run(repo, killing(repo, server), config=required, use_cxdb=True)
    server.restart()
    assert flush_run(ran.root).pending == 0
    assert ran.json("final.json")["status"] == "fail"
    assert resume(ran.root).status == "success"


@pytest.mark.slow
def test_a_run_that_has_failed_anyway_keeps_its_own_reason(repo: Path, server: EmbeddedCxdb, required: Path) -> None:
    (repo.parent / "killer").write_text(f"kill -KILL {server.pid}\n")
    body = 'a [tool_command="sh ../../killer; exit 3"] start -> a -> exit'
    final = run(repo, body, config=required, use_cxdb=True).json("final.json")
    assert (final["status"], final["failed_node"]) == ("fail", "a")
    assert final["cxdb_pending_turns"] > 0


def test_to_be_recorded_and_not_to_be_cannot_both_be_asked_for(repo: Path, required: Path) -> None:
    with pytest.raises(PreflightFailed, match=r"cxdb\.required: true, and --no-cxdb was given"):
        run(repo, "a start -> a -> exit", config=required, use_cxdb=False)
