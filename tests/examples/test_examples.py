"""Every example is well-formed, laid out as `attractor format` does, and runs to its end without any agent."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from attractor.app import RunRequest, plan_run, start_run
from attractor.cli.main import attractor
from attractor.processes import StopRequest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.dot"))


def test_there_are_ten() -> None:
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_no_finding_and_the_canonical_layout(example: Path) -> None:
    said = CliRunner().invoke(attractor, ["validate", "--strict", str(example)], standalone_mode=False)
    assert said.return_value == 0, said.output
    laid_out = CliRunner().invoke(attractor, ["format", "--check", str(example)], standalone_mode=False)
    assert laid_out.return_value == 0, laid_out.output


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_to_its_end(example: Path, repo: Path, tmp_path: Path) -> None:
    request = RunRequest(
        graph=example,
        cwd=repo,
        environment=os.environ,
        run_id="r1",
        logs_root=tmp_path / "logs",
        use_cxdb=False,
        simulate=True,
        auto_approve=True,
    )
    result = start_run(plan_run(request), environment=os.environ, stop=StopRequest())
    assert result.final.status == "success", result.final.failure_reason
