"""Claims about reading evidence of any engine, torn or hostile, and about the pictures made of it."""

from __future__ import annotations

import json
import re

import pytest
import report_samples as samples

from harness.report.case_evidence import outcomes, read_commits, read_events, read_turns, stage_attempts
from harness.report.graph_picture import GraphPainter
from harness.report.timeline import timeline


def lines(*rows: dict[str, object]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_stage_attempts_pair_starts_with_ends() -> None:
    events, unreadable = read_events(lines(*samples.events()))
    attempts = stage_attempts(events)
    told = [(attempt.node, attempt.number, attempt.outcome) for attempt in attempts]
    assert told == [
        ("plan", 1, "success"),
        ("build", 1, "retry"),
        ("build", 2, "success"),
        ("check", 1, "fail"),
        ("fix", 1, "open"),
    ]
    assert unreadable == 0
    assert attempts[1].reason == "timeout"
    assert outcomes(attempts) == {"plan": "success", "build": "success", "check": "fail", "fix": "open"}


def test_parallel_attempts_do_not_end_each_other() -> None:
    rows: list[dict[str, object]] = [
        {"ts": samples.at(n), "event": f"stage_attempt_{what}", "node_id": node, "status": "success"}
        for n, (what, node) in enumerate([("start", "a"), ("start", "b"), ("end", "a"), ("end", "b")])
    ]
    attempts = stage_attempts(read_events(lines(*rows))[0])
    assert [(each.node, (each.end - each.start).total_seconds()) for each in attempts if each.end] == [
        ("a", 2.0),
        ("b", 2.0),
    ]


@pytest.mark.parametrize("data", [b"\x00\xff\n[1]\n{}\n", b'{"event": "x"', b"[" * 100_000, b'"\\ud83d"\n'])
def test_lines_that_are_no_events_are_counted(data: bytes) -> None:
    events, unreadable = read_events(data)
    assert events == []
    assert unreadable >= 1


@pytest.mark.parametrize(
    "data",
    [
        samples.GIT_LOG.encode(),
        b"9f2c1e7b (attractor/run/r) one\n9f2c1e7a two\n4b825dc6 three\n",
        json.dumps([{"sha": "9f2c1e7b", "subject": "x"}, {"hash": "9f2c1e7a", "message": "y\n\nz"}, {}]).encode(),
    ],
)
def test_git_logs_are_read_in_every_form_they_are_kept_in(data: bytes) -> None:
    commits = read_commits(data)
    assert len(commits) == 3
    assert commits[0].sha == "9f2c1e7b"


def test_turns_of_the_server_and_turns_as_kept_read_alike() -> None:
    data = {"node_id": "plan", "status": "success"}
    kept = [{"type": "com.kilroy.attractor.StageFinished", "depth": 2, "data": data}]
    declared = {"type_id": "com.kilroy.attractor.StageFinished", "type_version": 1}
    served = {"turns": [{"declared_type": declared, "depth": 2, "data": data, "turn_id": "7"}]}
    for form in (kept, served):
        turn = read_turns(json.dumps(form).encode())[0]
        assert (turn.kind, turn.depth, turn.node, turn.detail) == (
            "StageFinished",
            "2",
            "plan",
            "status=success",
        )


def test_the_picture_holds_nothing_of_a_graph_but_labels_and_arrows() -> None:
    source = (
        'digraph { a [URL="javascript:alert(1)", image="/etc/passwd", label="<script>x</script>"]'
        ' a -> b [href="http://example.invalid/", label="y"] }'
    )
    picture = GraphPainter().draw(source, {"a": "success"})
    assert picture.problem == ""
    assert set(re.findall(r"<([a-z]+)", picture.svg)) <= {
        "svg",
        "g",
        "title",
        "polygon",
        "path",
        "text",
        "ellipse",
    }
    for bad in ("javascript", "passwd", "example.invalid", "<script", " id=", "href"):
        assert bad not in picture.svg
    assert "is-success" in picture.svg


@pytest.mark.parametrize(
    "source",
    [
        "",
        "digraph {",
        "\x00\xff",
        "digraph { a -> }",
        "graph LR; a --> b",
        "digraph { " + "a;" * 40_000 + "}",
    ],
)
def test_a_graph_that_cannot_be_drawn_says_why(source: str) -> None:
    picture = GraphPainter().draw(source, {})
    assert picture.svg == ""
    assert re.search("not drawn|too large", picture.problem)


def test_the_dialect_of_the_graph_language_can_be_drawn() -> None:
    picture = GraphPainter().draw(samples.GRAPH, {})
    assert picture.problem == ""
    assert "All tests pass?" in picture.svg


def test_bars_stay_on_the_axis_and_ticks_are_round() -> None:
    attempts = stage_attempts(read_events(lines(*samples.events()))[0])
    start, end = attempts[0].start, attempts[-1].start
    drawn = timeline(attempts, [start, samples.START], start, end)
    assert all(bar.left >= 0 and bar.left + bar.width <= 100.01 and bar.width > 0 for bar in drawn.bars)
    assert [label for _, label in drawn.ticks] == ["0", "500 ms", "1 s"]
    assert drawn.faults == (0.0,)  # the one before the run has no place
