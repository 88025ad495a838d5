"""Claims about the page: self-contained, inert, bounded, complete."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_samples as samples

from harness.report import group
from harness.report.graph_picture import GraphPainter
from harness.report.html_page import render_html
from harness.results import Artifact, CaseResult, CheckResult, CommandRecord, Verdict

VOID = {"meta", "br", "input", "link", "img", "hr", "line", "rect", "path", "polygon", "polyline", "ellipse"}


class Page(HTMLParser):
    """What a browser would make of the page, as far as the claims need it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.misnested: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.misnested.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        wanted = {name.rstrip("_"): value for name, value in wanted.items()}
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page(tmp_path: Path, results: list[CaseResult], **context: object) -> tuple[str, Page]:
    samples.write_sample(tmp_path, results)
    text = render_html(group(results, samples.context(**context)), tmp_path)
    return text, Page(text)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    results = [*samples.sample_results(), samples.hostile_case()]
    return page(tmp_path_factory.mktemp("full"), results, prove=samples.prove_rows())


def test_nothing_outside_the_folder_is_referred_to(full: tuple[str, Page]) -> None:
    for tag, attributes in full[1].elements:
        for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset", "style"):
            value = attributes.get(name)
            if value is not None:
                assert tag == "a", (tag, attributes)
                assert re.match(r"#|cases/", value), value
    assert "url(" not in full[0]
    assert "@import" not in full[0]


def test_all_ids_are_unique_and_all_anchors_lead_somewhere(full: tuple[str, Page]) -> None:
    ids = [attributes["id"] for _, attributes in full[1].elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = [a["href"] for a in full[1].all("a") if (a.get("href") or "").startswith("#")]
    assert {(anchor or "")[1:] for anchor in anchors} <= set(ids)


def test_hostile_text_is_inert(full: tuple[str, Page]) -> None:
    text, parsed = full
    assert len(parsed.all("script")) == 1
    assert parsed.all("img") == []
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in parsed.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)


def test_the_content_policy_allows_just_the_page_own_script(full: tuple[str, Page]) -> None:
    script = re.search(r"<script>(.*?)</script>", full[0], re.S)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = full[1].all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"] or ""
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_elements_are_nested_properly(full: tuple[str, Page]) -> None:
    assert full[1].misnested == []
    assert full[1].open == []


def test_every_case_is_there_with_its_verdict_reason_and_command(full: tuple[str, Page]) -> None:
    cases = [each for each in full[1].all("details") if "data-verdict" in each]
    assert len(cases) == 28
    for case in samples.sample_results():
        assert case.reason in full[1].text
        assert case.reproduce in full[1].text
    assert len(full[1].all("button", class_="copy")) == 28


def test_the_evidence_of_a_case_is_shown(tmp_path: Path) -> None:
    text, parsed = page(tmp_path, [samples.case("detach/a", Verdict.RED)])
    for told in (
        "pid 4711 ended by SIGKILL",
        "Plan the work",
        "stage_retry_sleep",
        "attractor(r-20260314): plan (success)",
        "GitCheckpoint",
        "make: *** [Makefile:12: all] Error 2",
        "no such file after 20 s",
        "try 2",
    ):
        assert told in parsed.text
    assert [g for g in parsed.all("g") if "is-success" in (g.get("class") or "")]
    assert [g for g in parsed.all("g") if "is-fail" in (g.get("class") or "")]
    assert len(parsed.all("rect", class_="bar o-retry")) == 1
    assert parsed.all("a", href="cases/detach--a/evidence/progress.ndjson")
    assert "+810" in text


def test_the_page_can_be_moved_with_its_folder_and_names_no_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    command = CommandRecord(
        step=1,
        name="run",
        argv=("attractor", f"--logs-root={tmp_path}/cases/x", "/home/somebody/graph.dot"),
        cwd=str(tmp_path),
        exit_code=0,
        duration_seconds=1.0,
        stdout_tail=f"logs_root={tmp_path}/cases/x\nhome=/home/somebody/x\n",
    )
    text, _ = page(tmp_path, [samples.case("detach/a", commands=(command,))])
    assert str(tmp_path) not in text
    assert "somebody" not in text


@pytest.mark.slow
def test_five_megabytes_of_output_and_sixty_cases_stay_small(tmp_path: Path) -> None:
    huge = CheckResult(name="x" * 9000, verdict=Verdict.RED, summary="y" * 9000, found="<" * 5_000_000)
    results = [
        samples.case(f"detach/{n}", Verdict.RED, checks=(huge,) * 60, commands=samples.COMMANDS * 30) for n in range(60)
    ]
    samples.write_sample(tmp_path, results)
    for result in results:
        samples.write_evidence(tmp_path / result.case_dir, more_events=1500, note="<" * 500)
    text = render_html(group(results, samples.context()), tmp_path)
    assert len(text.encode()) < 5_000_000
    assert "left out here" in text
    assert "cut: the first" in text


def test_long_event_logs_are_cut_in_the_middle_with_a_link(tmp_path: Path) -> None:
    samples.write_sample(tmp_path, [samples.case("detach/a")])
    samples.write_evidence(tmp_path / "cases/detach--a", more_events=1000)
    text = render_html(group([samples.case("detach/a")], samples.context()), tmp_path)
    assert "774 events left out here" in text
    assert 'left out here: <a href="cases/detach--a/evidence/progress.ndjson">whole file</a>' in text
    assert "+101,400" in text  # the last one is still there


def test_without_graphviz_the_source_is_shown_and_that_is_said(tmp_path: Path) -> None:
    results = [samples.case("detach/a")]
    samples.write_sample(tmp_path, results)
    painter = GraphPainter("no-such-dot-program")
    parsed = Page(render_html(group(results, samples.context()), tmp_path, painter=painter))
    assert "Graphviz is not installed" in parsed.text
    assert "digraph ship {" in parsed.text


def test_a_directory_outside_of_the_report_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.dot"
    secret.write_text("digraph { treasure }")
    report = tmp_path / "report"
    inside = samples.case("a/in", artifacts=(Artifact(name="graph", path="../../../secret.dot"),))
    (report / inside.case_dir).mkdir(parents=True)
    (report / inside.case_dir / "link").symlink_to(secret)
    outside = samples.case("a/out", case_dir="..", artifacts=(Artifact(name="graph", path="secret.dot"),))
    parsed = Page(render_html(group([inside, outside], samples.context()), report))
    assert "treasure" not in parsed.text
    assert "its directory lies outside of the report" in parsed.text
    assert not [a for a in parsed.all("a") if "link" in (a.get("href") or "")]


def test_file_names_with_anything_in_them_are_linked_right(tmp_path: Path) -> None:
    result = samples.case("detach/a")
    directory = tmp_path / result.case_dir
    directory.mkdir(parents=True)
    (directory / 'a b#?"<ü>.txt').write_text("x")
    (directory / os.fsdecode(b"\xff.txt")).write_text("x")
    parsed = Page(render_html(group([result], samples.context()), tmp_path))
    assert parsed.all("a", href="cases/detach--a/%FF.txt")
    assert parsed.all("a", href="cases/detach--a/a%20b%23%3F%22%3C%C3%BC%3E.txt")


def test_an_empty_session_has_a_page_that_says_so(tmp_path: Path) -> None:
    _, parsed = page(tmp_path, [])
    assert "NOTHING RAN" in parsed.text
    assert "nothing is proven" in parsed.text


def test_the_same_case_against_two_saboteurs_has_two_anchors(tmp_path: Path) -> None:
    results = [samples.case("detach/a", saboteur=name) for name in (None, "x", "x")]
    ids = [each["id"] for each in page(tmp_path, results)[1].all("details", **{"data-verdict": "green"})]
    assert ids[0] == "case-detach--a"
    assert ids[1].startswith("case-detach--a-x")
    assert ids[2] == f"{ids[1]}-2"
