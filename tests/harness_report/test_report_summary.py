"""Claims about the last lines of a session and about the saboteur grid."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
import report_samples as samples

from harness.report import GridForm, ProveVerdict, group, print_summary, prove_exit_code, render_prove_grid
from harness.report.summary import Style, last_line, summary_text
from harness.results import CaseResult, Verdict


def summary(results: list[CaseResult], **style: object) -> str:
    return summary_text(group(results, samples.context()), Style(**style))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdicts", "line", "code"),
    [
        ([Verdict.GREEN] * 3, "matrix: GREEN 3 cases (3 green) in 41 s", 0),
        ([Verdict.GREEN, Verdict.RED], "matrix: RED 2 cases (1 green, 1 red) in 41 s, exit 1", 1),
        ([Verdict.GREEN, Verdict.INVALID], "matrix: INVALID 2 cases (1 green, 1 invalid) in 41 s, exit 3", 3),
        ([Verdict.GREEN, Verdict.SKIPPED], "matrix: GREEN 2 cases (1 green, 1 skipped) in 41 s", 0),
        ([Verdict.GREEN], "matrix: GREEN 1 case (1 green) in 41 s", 0),
        ([], "matrix: NOTHING RAN (no cases) in 41 s, exit 3", 3),
    ],
)
def test_the_last_line_is_the_answer(verdicts: list[Verdict], line: str, code: int) -> None:
    results = [samples.case(f"detach/{n}", verdict) for n, verdict in enumerate(verdicts)]
    session = group(results, samples.context())
    stream = io.StringIO()
    assert last_line(session) == line
    assert print_summary(session, stream, page=Path("reports/index.html")) == code
    assert stream.getvalue().splitlines()[-2:] == ["report: reports/index.html", line]


def test_a_red_case_tells_what_to_do() -> None:
    text = summary([samples.case("detach/a", Verdict.RED)])
    for told in (
        "✘ RED detach/a",
        "because 2 of 3 checks failed",
        "matters A run started with --detach",
        "expected a file whose status is one of",
        "found    no such file after 20 s",
        "evidence  cases/detach--a",
        "reproduce attractor-harness run detach/a --keep",
    ):
        assert told in text
    assert "exit code of run" not in text  # that check held


def test_green_cases_take_one_row_of_the_table_and_no_more() -> None:
    text = summary([samples.case(f"detach/{n}") for n in range(50)])
    assert len(text.splitlines()) == 5


@pytest.mark.parametrize("width", [60, 80, 120])
def test_only_commands_and_paths_may_be_wider_than_the_terminal(width: int) -> None:
    text = summary(samples.sample_results(), width=width)
    wide = [line for line in text.splitlines()[:-1] if len(line) > width]
    assert all(line.lstrip().startswith(("reproduce", "evidence")) for line in wide)


def test_without_utf8_and_colour_the_summary_is_plain_ascii() -> None:
    text = summary([*samples.sample_results(), samples.hostile_case()], unicode=False)
    assert text.isascii()
    assert "\x1b" not in text


def test_hostile_text_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in summary([samples.hostile_case()])
    assert "\x07" not in summary([samples.hostile_case()], colour=True)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ((ProveVerdict.CAUGHT, ProveVerdict.CAUGHT), 0),
        ((ProveVerdict.CAUGHT, ProveVerdict.SURVIVED), 1),
        ((ProveVerdict.CAUGHT, ProveVerdict.INVALID, ProveVerdict.SURVIVED), 3),
        ((), 3),
    ],
)
def test_only_all_saboteurs_caught_is_a_success(verdicts: tuple[ProveVerdict, ...], code: int) -> None:
    by_verdict = {row.verdict: row for row in samples.prove_rows()}
    assert prove_exit_code([by_verdict[verdict] for verdict in verdicts]) == code


@pytest.mark.parametrize("form", list(GridForm))
def test_every_form_of_the_grid_names_catchers_and_survivors(form: GridForm) -> None:
    text = render_prove_grid(samples.prove_rows(), form)
    assert "1 of 3 saboteurs caught; survived: drifting-prefix; invalid: breaker-off" in text
    for told in ("no-new-session", "launcher-killed", "terminal-hangup", "launcher-exits", "drift"):
        assert told in text
    assert form is not GridForm.ASCII or text.isascii()


def test_the_html_grid_is_well_formed_and_escaped() -> None:
    seen: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)

    row = samples.SaboteurRow(
        name=samples.HOSTILE,
        guardrail=samples.HOSTILE,
        historic_bug=samples.HOSTILE,
        verdict=ProveVerdict.SURVIVED,
        caught_by=(samples.HOSTILE,),
        reason=samples.HOSTILE,
    )
    Tags().feed(render_prove_grid([row], GridForm.HTML))
    assert {"script", "img"}.isdisjoint(seen)
    assert "table" in seen
