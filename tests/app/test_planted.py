"""Links, pipes and edits in a run's directory: nothing outside is written or removed, and nobody waits for a pipe."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from attractor.app import remember_run, view_run
from attractor.cli.main import attractor
from attractor.errors import RunDirectoryError
from attractor.rundir import Layout
from tests.app.runs import killed_in_stage, resume, run


@pytest.fixture
def outside(repo: Path) -> Path:
    place = repo.parent / "outside"
    place.mkdir()
    (place / "theirs").write_text("theirs")
    return place


def untouched(outside: Path) -> bool:
    return [path.name for path in outside.iterdir()] == ["theirs"] and (outside / "theirs").read_text() == "theirs"


@pytest.mark.parametrize(
    "plant",
    [
        "ln -s {outside} $ATTRACTOR_LOGS_ROOT/b",
        "ln -s {outside} $ATTRACTOR_LOGS_ROOT/b && rmdir $ATTRACTOR_STAGE_DIR/none; true",
        "rm -rf $ATTRACTOR_STAGE_DIR && ln -s {outside} $ATTRACTOR_STAGE_DIR",
        "rm -f $ATTRACTOR_LOGS_ROOT/stage.pid; ln -s {outside}/theirs $ATTRACTOR_LOGS_ROOT/stage.pid",
        "rm -f $ATTRACTOR_LOGS_ROOT/stage.pid; mkfifo $ATTRACTOR_LOGS_ROOT/stage.pid",
    ],
)
def test_what_a_stage_plants_is_not_followed(repo: Path, outside: Path, plant: str) -> None:
    ran = run(
        repo, f'a [tool_command="{plant.format(outside=outside)}"] start -> a -> b -> exit b [tool_command="true"]'
    )
    assert untouched(outside)
    assert ran.status == ("success" if "stage.pid" in plant else "fail")
    if ran.status == "fail":
        assert "link" in ran.result.final.failure_reason or "in its place" in ran.result.final.failure_reason


BIG = (
    'printf \'{\\"outcome\\":\\"success\\",\\"context_updates\\":{\\"v\\":\\"%0200000d\\"}}\' 1 '
    "> $ATTRACTOR_STATUS_FILE"
)
MAKES = {
    "parallel.d": "fan [shape=component] pick [shape=tripleoctagon] x y a -> fan -> x -> pick -> exit fan -> y -> pick",
    "restart-1": 'fails [tool_command="echo connection refused >&2; exit 1"] check [shape=diamond] a -> fails -> check '
    'check -> exit [condition="outcome=success"] check -> fails [condition="outcome=fail", loop_restart=true]',
    "artifacts": f'b [tool_command="{BIG}"] a -> b -> exit',
}


@pytest.mark.parametrize("name", MAKES)
def test_a_link_in_the_place_of_a_folder_that_is_to_be_made_is_refused(repo: Path, outside: Path, name: str) -> None:
    ran = run(repo, f'a [tool_command="ln -s {outside} $ATTRACTOR_LOGS_ROOT/{name}"] start -> a {MAKES[name]}')
    assert untouched(outside)
    assert ran.status == "fail"
    assert f"{name} is not a folder of the run" in ran.result.final.failure_reason


@pytest.fixture
def crashed(repo: Path) -> Path:
    return killed_in_stage(repo, "echo > {ready}; sleep 30", "true")


def edit(root: Path, name: str, **fields: str) -> None:
    path = root / name
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_worktree_that_is_not_the_runs_own_is_not_touched(crashed: Path, outside: Path) -> None:
    edit(crashed, "manifest.json", worktree=str(outside))
    with pytest.raises(RunDirectoryError, match="not the run's own folder"):
        resume(crashed)
    assert untouched(outside)


def test_a_run_id_that_leads_elsewhere_is_refused(crashed: Path) -> None:
    edit(crashed, "manifest.json", run_id="../../x")
    with pytest.raises(RunDirectoryError, match="can be no run's id"):
        resume(crashed)


def test_another_runs_final_json_is_not_believed(crashed: Path) -> None:
    final = {"timestamp": "t", "status": "success", "run_id": "other", "final_git_commit_sha": "0" * 40}
    (crashed / "final.json").write_text(json.dumps(final))
    for look in (view_run, resume):
        with pytest.raises(RunDirectoryError, match="it is of run 'other', not of 'r1'"):
            look(crashed)


@pytest.mark.parametrize("name", ["manifest.json", "final.json", "checkpoint.json", "progress.ndjson"])
@pytest.mark.parametrize("look", [view_run, resume])
def test_nobody_waits_for_a_pipe(crashed: Path, name: str, look: Callable[[Path], object]) -> None:
    (crashed / name).unlink(missing_ok=True)
    os.mkfifo(crashed / name)
    if look is view_run and name == "checkpoint.json":
        assert view_run(crashed).status.value == "crashed"
        return
    with pytest.raises(RunDirectoryError, match=name):
        look(crashed)


@pytest.mark.parametrize("name", ["manifest.json", "final.json"])
def test_a_damaged_run_is_listed_as_such(crashed: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (crashed / name).write_text("x")
    monkeypatch.setenv("XDG_STATE_HOME", str(crashed.parent / "state"))
    remember_run(Layout(crashed), "r1", os.environ)
    done = CliRunner().invoke(attractor, ["runs", "list"])
    assert done.exit_code == 0
    assert f"damaged  {crashed}: " in done.stderr
    assert name in done.stderr or "manifest is damaged" in done.stderr
