"""The example package, installed: each kind of extension does its work from the command line."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.app.runs import until_there
from tests.extensions.conftest import ROOT, Attractor

GRAPH = ROOT / "examples" / "extension" / "review.dot"


def run_review(attractor: Attractor, logs: Path, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
    options = ("--no-cxdb", "--run-id", "r1", "--logs-root", logs, "--interviewer", "example.letterbox", *more)
    return attractor("run", "--graph", GRAPH, *options, **variables)


def test_a_run_with_a_handler_a_transform_and_an_interviewer_of_the_package(
    attractor: Attractor, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    done = run_review(attractor, logs, EXAMPLE_LETTERBOX="echo yes")
    assert done.returncode == 0, done.stderr
    assert (logs / "count" / "count.txt").read_text() == "2\n"
    assert json.loads((logs / "checkpoint.json").read_text())["context"]["example.lines"] == 2
    events = [json.loads(line) for line in (logs / "progress.ndjson").read_text().splitlines()]
    (answered,) = [event for event in events if event["event"] == "interview_completed"]
    assert (answered["by"], answered["label"]) == ("letterbox", "Yes")
    source = "attractor-example-extension 0.1.0"
    assert json.loads((logs / "manifest.json").read_text())["extensions"] == {
        "transform example.time_limits": source,
        "handler example.count": source,
        "interviewer example.letterbox": source,
    }


def test_the_example_has_no_finding_with_its_package_and_is_laid_out(attractor: Attractor) -> None:
    done = attractor("validate", "--strict", GRAPH)
    assert done.returncode == 0, done.stdout
    assert attractor("format", "--check", GRAPH).returncode == 0


def test_without_the_package_the_graph_is_refused_and_says_what_is_missing(
    attractor: Attractor, tmp_path: Path
) -> None:
    done = attractor("run", "--graph", GRAPH, "--no-cxdb", "--logs-root", tmp_path / "logs", PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert "node count needs the handler 'example.count'" in done.stderr
    assert "install the extension that has it" in done.stderr
    assert not (tmp_path / "logs").exists()


def test_a_transform_shows_in_explain(attractor: Attractor) -> None:
    done = attractor("explain", GRAPH, "write", "--json")
    assert done.returncode == 0, done.stderr
    (timeout,) = [each for each in json.loads(done.stdout)["attributes"] if each["key"] == "timeout"]
    assert (timeout["value"], timeout["source"]) == ("20s", "transform")
    assert "example.time_limits" in json.dumps(timeout)


def test_a_lint_rule_of_the_package_finds(attractor: Attractor, tmp_path: Path) -> None:
    place = tmp_path / "g.dot"
    place.write_text("digraph { start [shape=Mdiamond] a [prompt=x] exit [shape=Msquare] start -> a -> exit }")
    done = attractor("validate", "--json", place)
    assert "example.goal_stated" in {finding["rule"] for finding in json.loads(done.stdout)}


def test_a_resume_without_the_package_says_so_and_with_it_goes_on(attractor: Attractor, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    assert run_review(attractor, logs, EXAMPLE_LETTERBOX="false").returncode == 1
    missing = attractor("resume", "--logs-root", logs, PYTHONPATH=str(ROOT))
    assert missing.returncode == 2
    assert "the run was begun with the transform example.time_limits (it came with attractor-example" in missing.stderr
    done = attractor("resume", "--logs-root", logs, EXAMPLE_LETTERBOX="echo yes")
    assert done.returncode == 0, done.stderr


def test_an_interviewer_that_is_not_there_is_refused_before_anything_is_made(
    attractor: Attractor, tmp_path: Path
) -> None:
    done = attractor(
        "run", "--graph", GRAPH, "--no-cxdb", "--logs-root", tmp_path / "logs", "--interviewer", "letterbox"
    )
    assert done.returncode == 2
    assert "there is no interviewer 'letterbox'" in done.stderr
    assert "example.letterbox" in done.stderr
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("detach", [(), ("--detach",)])
def test_an_interviewer_that_gives_no_answer_fails_closed(
    attractor: Attractor, tmp_path: Path, detach: tuple[str, ...]
) -> None:
    logs = tmp_path / "logs"
    run_review(attractor, logs, *detach, EXAMPLE_LETTERBOX="true")
    if detach:
        attractor("status", "--logs-root", logs, "--follow")
    final = json.loads((logs / "final.json").read_text())
    assert (final["status"], final["failed_node"]) == ("fail", "ask")


def test_the_program_that_asks_is_ended_with_the_run(attractor: Attractor, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    asks = tmp_path / "asks.sh"
    asks.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid.new\nmv {tmp_path}/pid.new {tmp_path}/pid\nexec sleep 300\n")
    asks.chmod(0o755)
    run_review(attractor, logs, "--detach", EXAMPLE_LETTERBOX=str(asks))
    pid = int(until_there(tmp_path / "pid").read_text())
    assert attractor("stop", "--logs-root", logs).returncode == 0
    assert json.loads((logs / "final.json").read_text())["status"] == "canceled"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
