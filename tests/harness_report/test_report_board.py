"""Claims about the board and the lines that are shown while a session runs."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import report_samples as samples
from rich.console import Console

from harness.report import follow
from harness.report.board_state import BoardState, CaseState, ProgressTail
from harness.report.board_view import Canvas, board_lines, render
from harness.results import ProgressKind, Verdict
from harness.store import EVENTS, ReportDirectory

NOW = samples.START.timestamp() + 30


def running_board(*, finished: int = 20, copies: int = 1) -> BoardState:
    results = samples.sample_results()
    for number in range(1, copies):
        results += [samples.case(f"{each.case_id}-{number}", each.verdict) for each in samples.sample_results()]
    state = BoardState()
    for event in samples.session_progress(results, finished=finished):
        state.apply(event)
    return state


def drawn(state: BoardState, canvas: Canvas) -> list[str]:
    console = Console(file=io.StringIO(), width=canvas.width, force_terminal=True, no_color=True)
    assert render(board_lines(state, canvas, NOW), console)
    return [line.plain for line in board_lines(state, canvas, NOW)]


@pytest.mark.parametrize("width", [40, 79, 99, 199])
@pytest.mark.parametrize("height", [8, 23, 49])
@pytest.mark.parametrize("copies", [1, 8])
def test_the_board_fits_and_always_shows_the_counts(width: int, height: int, copies: int) -> None:
    lines = drawn(running_board(copies=copies), Canvas(width, height))
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width
    assert "20/" in lines[0]
    assert "✘ 1" in lines[-1]
    assert "▶ 3" in lines[-1]


def test_the_head_names_the_engine_and_the_cxdb() -> None:
    state = running_board()
    state.apply(samples.progress(ProgressKind.SESSION_STARTED, 0, cxdb="container cxdb/cxdb:latest"))
    assert "attractor 0.1.0  CXDB container cxdb/cxdb:latest" in drawn(state, Canvas(199, 49))[0]


def test_a_wide_board_names_its_cases_and_a_low_one_shows_symbols() -> None:
    assert any("✘ launcher-killed" in line for line in drawn(running_board(), Canvas(199, 49)))
    assert any("✔ ✘ ? ✔ ✔ ✔" in line for line in drawn(running_board(), Canvas(79, 23)))


def test_every_state_is_told_by_a_symbol_of_its_own() -> None:
    state = running_board(finished=24, copies=1)
    seen = {case.state for case in state.cases.values()}
    assert seen >= {CaseState.RUNNING, CaseState.RED, CaseState.INVALID, CaseState.ERROR, CaseState.FLAKY}
    foot = drawn(state, Canvas(150, 40))[-1]
    assert len({part.split()[0] for part in foot.split("  ")}) == len(foot.split("  "))


def test_reasons_stand_below_the_grid() -> None:
    text = "\n".join(drawn(running_board(), Canvas(120, 50)))
    assert samples.REASONS[Verdict.RED] in text
    assert samples.REASONS[Verdict.INVALID] in text


def test_without_utf8_the_board_is_pure_ascii() -> None:
    assert "\n".join(drawn(running_board(finished=27), Canvas(99, 40, unicode=False))).isascii()


def test_an_empty_session_has_an_empty_state() -> None:
    assert "waiting for the first case" in "\n".join(drawn(BoardState(), Canvas(80, 24)))


def test_a_case_that_starts_again_is_running_again() -> None:
    state = BoardState()
    state.apply(samples.progress(ProgressKind.CASE_FINISHED, 1, "detach/a", verdict=Verdict.RED))
    state.apply(samples.progress(ProgressKind.CASE_STARTED, 2, "detach/a"))
    assert state.cases["detach/a", ""].state is CaseState.RUNNING
    assert state.finished == 0


def test_a_finish_without_a_verdict_is_never_green() -> None:
    state = BoardState()
    state.apply(samples.progress(ProgressKind.CASE_FINISHED, 1, "detach/a"))
    assert state.cases["detach/a", ""].state is CaseState.ERROR


def test_the_same_case_against_two_saboteurs_is_two_cells() -> None:
    state = BoardState()
    for saboteur in ("no-setsid", "breaker-off"):
        state.apply(samples.progress(ProgressKind.CASE_STARTED, 1, "detach/a", saboteur=saboteur))
    assert [case.name for case in state.cases.values()] == ["a (no-setsid)", "a (breaker-off)"]


def test_the_tail_reads_each_complete_line_once_and_counts_the_unreadable(tmp_path: Path) -> None:
    report, tail = ReportDirectory(tmp_path), ProgressTail(tmp_path)
    assert tail.read() == []
    report.append(samples.progress(ProgressKind.CASE_STARTED, 1, "detach/a"))
    with (tmp_path / EVENTS).open("ab") as file:
        file.write(b'not json\n{"kind": "case_st')
    assert [event.case_id for event in tail.read()] == ["detach/a"]
    assert (tail.read(), tail.unreadable) == ([], 1)


def test_the_tail_begins_again_with_another_session(tmp_path: Path) -> None:
    report, tail = ReportDirectory(tmp_path), ProgressTail(tmp_path)
    report.append(samples.progress(ProgressKind.CASE_STARTED, 1, "detach/a-long-name"))
    tail.read()
    report.begin()
    report.append(samples.progress(ProgressKind.CASE_STARTED, 1, "detach/b"))
    assert [event.case_id for event in tail.read()] == ["detach/b"]


def followed(tmp_path: Path, stream: io.StringIO, **options: object) -> BoardState:
    report = ReportDirectory(tmp_path)
    for event in samples.session_progress(samples.sample_results(), finished=4, running=0):
        report.append(event)
    report.append(samples.progress(ProgressKind.SESSION_FINISHED, 9))
    return follow(tmp_path, 0, stream, sleep=lambda _: None, now=lambda: NOW, **options)  # type: ignore[arg-type]


def test_off_a_terminal_each_finished_case_is_one_line(tmp_path: Path) -> None:
    stream = io.StringIO()
    followed(tmp_path, stream)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "[ 1/27] + green      2.4 s  detach/launcher-exits"
    assert lines[1].startswith("[ 2/27] X red        2.4 s  detach/launcher-killed  2 of 3 checks failed")
    assert len(lines) == 4
    assert "\x1b" not in stream.getvalue()


def test_a_session_whose_process_died_names_the_cases_it_left(tmp_path: Path) -> None:
    ReportDirectory(tmp_path).append(samples.progress(ProgressKind.CASE_STARTED, 1, "detach/a"))
    stream = io.StringIO()
    follow(tmp_path, 1, stream, done=lambda: True)
    assert stream.getvalue() == "started and never finished: detach/a\n"


def test_the_board_hides_the_cursor_and_gives_it_back(tmp_path: Path) -> None:
    stream = io.StringIO()
    followed(tmp_path, stream, plain=False, environment={"TERM": "xterm-256color"})
    assert stream.getvalue().index("\x1b[?25l") < stream.getvalue().rindex("\x1b[?25h")


def test_no_color_is_respected(tmp_path: Path) -> None:
    stream = io.StringIO()
    followed(tmp_path, stream, plain=False, environment={"TERM": "xterm-256color", "NO_COLOR": "1"})
    assert "\x1b[31m" not in stream.getvalue()
    assert "\x1b[32m" not in stream.getvalue()


def test_an_interrupt_leaves_a_usable_terminal_and_goes_through(tmp_path: Path) -> None:
    ReportDirectory(tmp_path).append(samples.progress(ProgressKind.CASE_STARTED, 1, "detach/a"))

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        follow(tmp_path, 2, stream, plain=False, sleep=interrupted, environment={"TERM": "xterm"})
    after = stream.getvalue().rpartition("\x1b[?25h")[2]
    assert after.splitlines() == [
        "interrupted: 0 of 2 cases finished",
        "running when interrupted: detach/a",
    ]


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    ReportDirectory(tmp_path).append(samples.progress(ProgressKind.SESSION_STARTED, 0, case_ids=("detach/a",)))
    looks: Iterator[bool] = iter([False, False, False, True])
    stream, sizes = io.StringIO(), []
    follow(
        tmp_path,
        0,
        stream,
        plain=False,
        done=lambda: next(looks),
        now=lambda: NOW,
        sleep=lambda _: sizes.append(len(stream.getvalue())),
        environment={"TERM": "xterm"},
    )
    assert len(set(sizes)) == 1


def test_rich_is_imported_only_when_a_board_is_shown() -> None:
    script = "import sys, harness.report; sys.exit('rich' in sys.modules or 'jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
