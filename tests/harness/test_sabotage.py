"""Saboteurs: the table is complete, a patch reaches the engine's process, and only real bites count."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.matrix import find_cases
from harness.prove import judge_saboteur
from harness.report import ProveVerdict
from harness.results import CaseResult, Verdict
from harness.sabotage import SABOTEURS, named_saboteur, read_mark, sabotage_environment

ROOT = Path(__file__).parents[2]
SITE = ROOT / "harness" / "sabotage" / "site"
CALLED = ("placed x", "called x")


def patches() -> Mapping[str, Mapping[str, object]]:
    sys.path.insert(0, str(SITE))
    try:
        import saboteur_patches
    finally:
        sys.path.remove(str(SITE))
    table: Mapping[str, Mapping[str, object]] = saboteur_patches.PATCHES
    return table


def test_every_saboteur_has_a_patch_and_every_patch_a_saboteur() -> None:
    assert set(patches()) == {saboteur.name for saboteur in SABOTEURS}


def test_every_saboteur_attacks_a_guardrail_with_a_killer_case_of_it() -> None:
    ids = {case.case_id for case in find_cases(ROOT / "scenarios")}
    known = ids | {case_id.partition("[")[0] for case_id in ids}
    for saboteur in SABOTEURS:
        assert saboteur.killer in known
        assert saboteur.killer.startswith(saboteur.guardrail + "/")


def test_every_guardrail_is_attacked() -> None:
    guardrails = {case.scenario.guardrail for case in find_cases(ROOT / "scenarios")}
    assert {saboteur.guardrail for saboteur in SABOTEURS} == guardrails


def test_an_unknown_saboteur_is_refused_with_a_suggestion() -> None:
    with pytest.raises(KeyError, match="did you mean 'breaker-off'"):
        named_saboteur("braker-off")


def test_a_patch_is_put_in_place_when_the_module_is_imported_and_notes_its_first_call(tmp_path: Path) -> None:
    names = tmp_path / "attractor" / "workspace" / "names.py"
    names.parent.mkdir(parents=True)
    for package in (tmp_path / "attractor", names.parent):
        (package / "__init__.py").touch()
    names.write_text("def check_run_id(run_id):\n    raise ValueError(run_id)\n")
    environment = sabotage_environment("run-id-unchecked", tmp_path, {"PYTHONPATH": str(tmp_path)})
    program = "from attractor.workspace.names import check_run_id as c; print(c('..'), c('a/b'))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert done.stdout == ".. a/b\n"
    words = [line.split(" pid ")[0] for line in read_mark(tmp_path)]
    assert words == [f"{word} attractor.workspace.names.check_run_id" for word in ("placed", "called")]


def test_a_process_without_a_saboteur_is_left_alone() -> None:
    words = [sys.executable, "-c", "import sys; print([type(f).__name__ for f in sys.meta_path])"]
    done = subprocess.run(words, env={"PYTHONPATH": str(SITE)}, capture_output=True, text=True, check=True)
    assert "_PatchAfterImport" not in done.stdout


def result(case_id: str, verdict: Verdict) -> CaseResult:
    return CaseResult(
        case_id=case_id, guardrail="g", title="", why="", scenario_path="", verdict=verdict, reason="because"
    )


ROWS = {
    "a red case catches": ([("g/a[saboteur=x]", "red")], CALLED, {"g/a": "green"}, ProveVerdict.CAUGHT),
    "green cases let it live": ([("g/a[saboteur=x]", "green")], CALLED, {"g/a": "green"}, ProveVerdict.SURVIVED),
    "one red case is enough": (
        [("g/a[saboteur=x]", "green"), ("g/b[how=y,saboteur=x]", "red")],
        CALLED,
        {"g/a": "green", "g/b[how=y]": "green"},
        ProveVerdict.CAUGHT,
    ),
    "a patch nobody called attacked nothing": (
        [("g/a[saboteur=x]", "red")],
        CALLED[:1],
        {"g/a": "green"},
        ProveVerdict.INVALID,
    ),
    "a patch nobody placed attacked nothing": (
        [("g/a[saboteur=x]", "red")],
        (),
        {"g/a": "green"},
        ProveVerdict.INVALID,
    ),
    "a case that is red anyway catches nobody": (
        [("g/a[saboteur=x]", "red")],
        CALLED,
        {"g/a": "red"},
        ProveVerdict.INVALID,
    ),
    "an invalid case says nothing": ([("g/a[saboteur=x]", "invalid")], CALLED, {"g/a": "green"}, ProveVerdict.INVALID),
    "no case at all says nothing": ([], (), {}, ProveVerdict.INVALID),
}


@pytest.mark.parametrize("name", ROWS)
def test_who_caught_whom(name: str) -> None:
    cases, marks, controls, verdict = ROWS[name]
    row = judge_saboteur(
        SABOTEURS[0],
        [result(case_id, Verdict(word)) for case_id, word in cases],
        {case_id: marks for case_id, _ in cases},
        {case_id: Verdict(word) for case_id, word in controls.items()},
    )
    assert row.verdict is verdict
    assert bool(row.reason) is (verdict is ProveVerdict.INVALID)
