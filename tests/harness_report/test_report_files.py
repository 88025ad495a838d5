"""Claims about the reports for programs: JUnit, JSON lines, Markdown, and how they are put in place."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import report_samples as samples

from harness.report import group, read_jsonl, write_all
from harness.report.atomic import write_atomically
from harness.report.jsonl import render_jsonl
from harness.report.junit import render_junit
from harness.report.markdown import fence, render_markdown
from harness.results import CaseResult, Verdict


def junit(results: list[CaseResult]) -> ET.Element:
    return ET.fromstring(render_junit(group(results, samples.context())))


def markdown(results: list[CaseResult]) -> str:
    return render_markdown(group(results, samples.context(prove=samples.prove_rows())))


@pytest.mark.parametrize(
    ("verdict", "element", "kind"),
    [
        (Verdict.GREEN, None, None),
        (Verdict.RED, "failure", "red"),
        (Verdict.FLAKY, "failure", "flaky"),
        (Verdict.INVALID, "error", "invalid"),
        (Verdict.ERROR, "error", "error"),
        (Verdict.SKIPPED, "skipped", None),
    ],
)
def test_each_verdict_becomes_its_junit_element(verdict: Verdict, element: str | None, kind: str | None) -> None:
    found = junit([samples.case("detach/a", verdict)]).find("testsuite/testcase")
    assert found is not None
    outcomes = [child for child in found if child.tag != "system-out"]
    assert [child.tag for child in outcomes] == ([element] if element else [])
    if element:
        assert outcomes[0].get("message") == samples.REASONS[verdict]
        assert outcomes[0].get("type") == kind


def test_junit_has_a_suite_a_guardrail_and_its_counts_add_up() -> None:
    root = junit(samples.sample_results())
    assert [suite.get("name") for suite in root] == sorted(samples.NAMES)
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == (
        "27",
        "2",
        "2",
        "1",
    )
    for suite in root:
        assert suite.get("tests") == str(len(suite.findall("testcase")))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))


def test_junit_points_to_the_evidence() -> None:
    out = junit([samples.case("detach/a")]).findtext("testsuite/testcase/system-out")
    assert out is not None
    assert "progress: cases/detach--a/evidence/progress.ndjson" in out


def test_hostile_text_leaves_junit_parseable_and_bounded() -> None:
    data = render_junit(group([samples.hostile_case()], samples.context()))
    assert len(data) < 20_000
    assert ET.fromstring(data).find("testsuite/testcase/failure") is not None


def test_each_json_line_gives_the_case_back() -> None:
    results = samples.sample_results()
    data = render_jsonl(group(results, samples.context()))
    assert data.startswith(b'{"format":"attractor-harness.results","version":1,"case_id":')
    assert sorted(read_jsonl(data), key=lambda case: case.case_id) == sorted(results, key=lambda case: case.case_id)


def test_a_lone_surrogate_does_not_stop_the_json_lines() -> None:
    data = render_jsonl(group([samples.case("detach/a", title="\ud83d")], samples.context()))
    assert next(read_jsonl(data)).title == "\\ud83d"


def test_lines_of_another_version_are_refused_by_number() -> None:
    with pytest.raises(ValueError, match=r"line 2: expected .* version 1, found x 9"):
        list(read_jsonl(b'\n{"format":"x","version":9}\n'))


def test_markdown_tables_keep_their_shape_whatever_the_case_says() -> None:
    text = markdown([*samples.sample_results(), samples.hostile_case()])
    tables = [line for line in text.split("\n") if line.startswith("|") and "a | b" not in line]
    assert tables
    for line in tables:
        assert line.endswith("|")
        assert line.count("|") in (5, 7, 10), line  # checks, saboteurs, six verdicts with name and time


def test_markdown_lets_nothing_of_a_case_become_markup() -> None:
    text = markdown([samples.hostile_case()])
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", text)
    tags = set(re.findall(r"</?([a-zA-Z]+)", outside))
    assert tags <= {"details", "summary", "br"}
    assert outside.count("<details>") == outside.count("</details>") == 1


def test_a_fence_is_longer_than_any_inside_it() -> None:
    assert fence("````\nx").startswith("`````text\n")


def test_markdown_stays_under_what_a_ci_service_takes() -> None:
    results = [samples.case(f"detach/{n}", Verdict.RED, reproduce="x" * 1900) for n in range(600)]
    text = markdown(results)
    assert len(text.encode()) < 1_000_000
    assert "more: see index.html" in text


def test_an_empty_session_says_that_nothing_is_proven() -> None:
    assert "No case ran, so nothing is proven." in markdown([])
    assert junit([]).get("tests") == "0"


def test_all_reports_are_written(tmp_path: Path) -> None:
    samples.write_sample(tmp_path, samples.sample_results())
    written = write_all(samples.sample_results(), tmp_path, samples.context())
    assert written.problems == ()
    assert sorted(written.paths) == ["index.html", "junit.xml", "results.jsonl", "summary.md"]
    assert all(path.stat().st_size for path in written.paths.values())


def test_one_report_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    def broken(session: object, report_dir: Path) -> str:
        raise RuntimeError("no ink")

    written = write_all([], tmp_path, samples.context(), writers={"a": broken, "b": lambda *_: "text"})
    assert written.problems == ("a was not written: RuntimeError: no ink",)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_failed_write_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "index.html"
    write_atomically(target, "former")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(target, "\ud83d")
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "taken", "text")
    assert target.read_text() == "former"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "taken"]
