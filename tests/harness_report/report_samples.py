"""Sample sessions for the report tests and for looking at reports: every verdict, long and hostile texts.

Run as a program it writes a whole sample report: `python report_samples.py DIRECTORY [COPIES]`.
The evidence files look like those of a real run; nothing here imports the engine.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.report import ProveVerdict, ReportContext, SaboteurRow, write_all
from harness.results import (
    Artifact,
    CaseResult,
    CheckResult,
    CommandRecord,
    FaultRecord,
    ProgressEvent,
    ProgressKind,
    Verdict,
)
from harness.store import ReportDirectory, case_slug

START = datetime.datetime(2026, 3, 14, 9, 26, 53, tzinfo=datetime.UTC)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> `|` ]]> "
HOSTILE += "\x00\x07\x1b[31mred\x1b[0m \u202etxt \ud83d"
GRAPH = """// a plan, a build that may be tried again, a way out
digraph ship {
  graph [goal="ship it", retry.default=2]
  start [shape=Mdiamond]
  plan  [shape=parallelogram, label="Plan the work", tool_command="echo plan"]
  build [shape=parallelogram, label="Build", tool_command="make", timeout=900s, max_retries=2]
  check [shape=diamond, label="All tests pass?"]
  fix   [shape=parallelogram, label="Fix what broke"]
  done  [shape=Msquare]
  start -> plan -> build -> check
  check -> done [label="yes", condition="outcome=success"]
  check -> fix  [label="no", condition="outcome=fail"]
  fix -> build [loop_restart=true]
}
"""
GIT_LOG = """* 9f2c1e7b  (attractor/run/r-20260314) attractor(r-20260314): build (success)
|   Attractor,
|
* 9f2c1e7a  attractor(r-20260314): plan (success)
|   Attractor,
|
* 4b825dc6  (HEAD -> main) first
    Somebody,
"""
WHY = {
    "detach": "A run started with --detach must outlive the shell, terminal and directory it was started "
    "from; a run that dies with its launcher loses a night's work without a trace.",
    "deterministic-failure": "A failure that will happen again must end the run at once; "
    "retrying it burns hours and hides the cause.",
    "transient-timeout": "A time-out of the infrastructure must be tried again, with a bound; "
    "giving up at once wakes people for nothing, never giving up costs more.",
    "resume": "After a crash at any instant, resume must reach the same tree, the same nodes and one commit a node.",
    "paths": "Relative paths and hostile names given at the door must mean the same inside the run.",
}
NAMES = {
    "detach": (
        "launcher-exits",
        "launcher-killed",
        "terminal-hangup",
        "cwd-removed",
        "two-at-once",
        "same-id-twice",
    ),
    "deterministic-failure": ("plain", "blocks-restart", "repeated", "final-json"),
    "transient-timeout": (
        "retried",
        "restarts-then-succeeds",
        "circuit-breaker",
        "max-restarts",
        "ignores-sigterm",
    ),
    "resume": (
        "kill-in-stage",
        "kill-between-stages",
        "kill-in-restart",
        "twice",
        "finished-run",
        "damaged",
        "drift",
    ),
    "paths": ("relative-logs-root", "relative-graph", "relative-config", "dirty-checkout", "hostile-run-ids"),
}


def at(seconds: float) -> str:
    return (START + datetime.timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def case(case_id: str, verdict: Verdict = Verdict.GREEN, **fields: object) -> CaseResult:
    """A case with what every case has; anything can be given."""
    guardrail, _, name = case_id.partition("/")
    given: dict[str, object] = {
        "case_id": case_id,
        "guardrail": guardrail,
        "title": f"{name.replace('-', ' ').capitalize()}: the run goes on to its end, and says so",
        "why": WHY.get(guardrail, "Without it a run gets lost."),
        "scenario_path": f"scenarios/{case_id}.toml",
        "verdict": verdict,
        "reason": "" if verdict is Verdict.GREEN else REASONS[verdict],
        "checks": CHECKS[verdict],
        "faults": FAULTS[verdict],
        "started_at": at(0.4),
        "duration_seconds": 2.4,
        "case_dir": f"cases/{case_slug(case_id)}",
        "logs_root": f"/tmp/matrix/{case_slug(case_id)}/logs",
        "reproduce": f"attractor-harness run {case_id} --keep",
        "engine": "attractor 0.1.0",
        "commands": COMMANDS,
        "artifacts": ARTIFACTS,
    }
    return CaseResult(**{**given, **fields})  # type: ignore[arg-type]


REASONS = {
    Verdict.RED: "2 of 3 checks failed: no final.json 20 s after the engine had gone",
    Verdict.INVALID: "the terminal's hang-up never reached the engine: it had ended 0.3 s before",
    Verdict.ERROR: "the embedded CXDB did not answer on port 9009 within 5 s",
    Verdict.SKIPPED: "strace is not installed (apt install strace)",
    Verdict.FLAKY: "red, then green when run again: final.json came 40 ms after the limit",
}
_HELD = (
    CheckResult(name="exit code of run", verdict=Verdict.GREEN, summary="as expected", expected="0", found="0"),
    CheckResult(
        name="history: one commit a finished node",
        verdict=Verdict.GREEN,
        summary="4 nodes, 4 commits, linear",
        expected="plan, build, check, fix",
        found="plan, build, check, fix",
    ),
)
_BROKEN = (
    CheckResult(
        name="final.json exists once no engine process is left",
        verdict=Verdict.RED,
        summary="no final.json",
        expected="a file whose status is one of success, fail, canceled",
        found="no such file after 20 s; the logs root holds checkpoint.json, manifest.json, progress.ndjson",
        evidence="evidence/tree.txt",
    ),
    CheckResult(
        name="events end with exactly one terminal event",
        verdict=Verdict.RED,
        summary="the last event is stage_attempt_start",
        expected="run_completed\nor run_failed\nor run_canceled",
        found="stage_attempt_start (seq 9)",
    ),
    _HELD[0],
)
_UNPROVEN = (
    CheckResult(name="exit code of run", verdict=Verdict.INVALID, summary="not judged: the fault never fired"),
)
CHECKS = {
    Verdict.GREEN: _HELD,
    Verdict.RED: _BROKEN,
    Verdict.INVALID: _UNPROVEN,
    Verdict.ERROR: (),
    Verdict.SKIPPED: (),
    Verdict.FLAKY: _HELD,
}
_FIRED = (
    FaultRecord(
        kind="kill",
        target="launcher of step 1",
        fired=True,
        proof="pid 4711 ended by SIGKILL (wait status 9) while pid 4712, the engine, was running",
        at=at(1.31),
    ),
)
_MISSED = (
    FaultRecord(
        kind="hangup",
        target="terminal of step 1",
        fired=False,
        proof="the engine had ended before the hang-up",
        at="",
    ),
)
FAULTS: dict[Verdict, tuple[FaultRecord, ...]] = {
    Verdict.GREEN: _FIRED,
    Verdict.RED: _FIRED,
    Verdict.INVALID: _MISSED,
    Verdict.ERROR: (),
    Verdict.SKIPPED: (),
    Verdict.FLAKY: _FIRED,
}
COMMANDS = (
    CommandRecord(
        step=1,
        name="run",
        argv=("attractor", "run", "--graph", "ship.dot", "--detach", "--label", "why=it's a test"),
        cwd="repo",
        exit_code=0,
        duration_seconds=0.31,
        stdout_tail="detached=true\nrun_id=r-20260314\npid_file=logs/run.pid\n",
    ),
    CommandRecord(
        step=2,
        name="resume",
        argv=("attractor", "resume", "--logs-root", "logs"),
        cwd="repo",
        exit_code=1,
        duration_seconds=1.94,
        stderr_tail="error: build: exit status 2\n  make: *** [Makefile:12: all] Error 2\n",
    ),
)
ARTIFACTS = (
    Artifact(name="scenario", path="scenario.toml", title="the scenario as it ran"),
    Artifact(name="graph", path="evidence/graph.dot", title="graph"),
    Artifact(name="progress", path="evidence/progress.ndjson", title="events"),
    Artifact(name="git_log", path="evidence/git-log.txt", title="git log of all branches"),
    Artifact(name="turns", path="evidence/turns.json", title="CXDB turns"),
    Artifact(name="final", path="evidence/final.json", title="final.json"),
)


def sample_results(verdicts: Sequence[Verdict] | None = None) -> list[CaseResult]:
    """A whole matrix; without verdicts given, one with something of everything."""
    ids = [f"{guardrail}/{name}" for guardrail, names in NAMES.items() for name in names]
    odd = {
        "detach/launcher-killed": Verdict.RED,
        "detach/terminal-hangup": Verdict.INVALID,
        "transient-timeout/retried": Verdict.FLAKY,
        "resume/damaged": Verdict.ERROR,
        "paths/dirty-checkout": Verdict.SKIPPED,
    }
    chosen = verdicts or [odd.get(case_id, Verdict.GREEN) for case_id in ids]
    return [case(case_id, verdict) for case_id, verdict in zip(ids, chosen, strict=False)]


def hostile_case() -> CaseResult:
    """A case in which every text tries to break out of every format."""
    bad = CheckResult(name=HOSTILE, verdict=Verdict.RED, summary=HOSTILE, expected=HOSTILE, found="x" * 5_000_000)
    fault = FaultRecord(kind=HOSTILE, target=HOSTILE, fired=False, proof=HOSTILE, at=HOSTILE)
    command = CommandRecord(
        step=1,
        name=HOSTILE,
        argv=("sh", "-c", HOSTILE),
        cwd=HOSTILE,
        exit_code=-9,
        duration_seconds=0.1,
        stdout_tail=HOSTILE * 50_000,
        stderr_tail="```\n| a | b |\n</details>" + HOSTILE,
    )
    return case(
        "hostile/<b>`|`",
        Verdict.RED,
        title=HOSTILE,
        why=HOSTILE,
        reason=HOSTILE,
        checks=(bad,),
        faults=(fault,),
        commands=(command,),
        reproduce=f"attractor-harness run '{HOSTILE}'",
        case_dir="cases/hostile",
        artifacts=(*ARTIFACTS, Artifact(name="escape", path="../../../etc/passwd", title=HOSTILE)),
        tags=(HOSTILE,),
        axes={"axis": HOSTILE},
    )


def events() -> list[dict[str, object]]:
    told: list[tuple[float, str, dict[str, object]]] = [
        (0.50, "run_started", {"goal": "ship it"}),
        (0.52, "stage_attempt_start", {"node_id": "plan", "attempt": 1}),
        (0.61, "stage_attempt_end", {"node_id": "plan", "attempt": 1, "status": "success"}),
        (0.62, "checkpoint_saved", {"node_id": "plan", "git_commit_sha": "9f2c1e7a"}),
        (0.62, "edge_selected", {"from_node": "plan", "to_node": "build"}),
        (0.63, "stage_attempt_start", {"node_id": "build", "attempt": 1}),
        (
            1.13,
            "stage_attempt_end",
            {"node_id": "build", "attempt": 1, "status": "retry", "failure_reason": "timeout"},
        ),
        (1.14, "stage_retry_sleep", {"node_id": "build", "delay_ms": 200, "attempt": 1}),
        (1.34, "stage_attempt_start", {"node_id": "build", "attempt": 2}),
        (1.90, "stage_attempt_end", {"node_id": "build", "attempt": 2, "status": "success"}),
        (1.91, "checkpoint_saved", {"node_id": "build", "git_commit_sha": "1b77d0aa"}),
        (1.92, "stage_attempt_start", {"node_id": "check", "attempt": 1}),
        (
            1.97,
            "stage_attempt_end",
            {"node_id": "check", "attempt": 1, "status": "fail", "failure_reason": "2 failed"},
        ),
        (1.98, "stage_attempt_start", {"node_id": "fix", "attempt": 1}),
    ]
    return [
        {"seq": seq, "ts": at(seconds), "run_id": "r-20260314", "event": name, **fields}
        for seq, (seconds, name, fields) in enumerate(told, start=1)
    ]


def write_evidence(case_dir: Path, *, more_events: int = 0, note: str = "") -> None:
    """The files a case's artifacts name."""
    evidence = case_dir / "evidence"
    evidence.mkdir(parents=True, exist_ok=True)
    (case_dir / "scenario.toml").write_text("title = 'sample'\n")
    (evidence / "graph.dot").write_text(GRAPH)
    lines = events()
    lines += [
        {"seq": 20 + n, "ts": at(2 + n / 10), "event": "stage_heartbeat", "node_id": "fix", "note": note}
        for n in range(more_events)
    ]
    (evidence / "progress.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (evidence / "git-log.txt").write_text(GIT_LOG)
    kinds = ("RunStarted", "StageStarted", "StageFinished", "GitCheckpoint", "StageStarted")
    turns = [
        {
            "type": f"com.kilroy.attractor.{kind}",
            "depth": n,
            "data": {
                "run_id": "r-20260314",
                "node_id": "plan",
                "status": "success",
                "timestamp_ms": "1773480413000",
            },
        }
        for n, kind in enumerate(kinds)
    ]
    (evidence / "turns.json").write_text(json.dumps(turns, indent=1))
    (evidence / "final.json").write_text('{"status": "success"}\n')


def prove_rows() -> tuple[SaboteurRow, ...]:
    return (
        SaboteurRow(
            name="no-new-session",
            guardrail="detach",
            historic_bug="the detached child stayed in its launcher's session and died with it",
            verdict=ProveVerdict.CAUGHT,
            caught_by=("detach/launcher-killed", "detach/terminal-hangup"),
            missed_by=("detach/launcher-exits",),
        ),
        SaboteurRow(
            name="drifting-prefix",
            guardrail="resume",
            historic_bug="the branch prefix was lost at resume, so that commits went elsewhere",
            verdict=ProveVerdict.SURVIVED,
            missed_by=("resume/drift",),
        ),
        SaboteurRow(
            name="breaker-off",
            guardrail="transient-timeout",
            historic_bug="a run restarted for ever on the same signature",
            verdict=ProveVerdict.INVALID,
            reason="the shim was never loaded",
        ),
    )


def context(**fields: object) -> ReportContext:
    given: dict[str, object] = {
        "engine": "attractor 0.1.0",
        "started_at": at(0),
        "duration_seconds": 41.2,
        "python": "CPython 3.11.9",
        "platform": "Linux 6.1 x86_64",
        "git": "2.39.5",
        "cxdb": "embedded",
    }
    return ReportContext(**{**given, **fields})  # type: ignore[arg-type]


def progress(kind: ProgressKind, seconds: float, case_id: str = "", **fields: object) -> ProgressEvent:
    return ProgressEvent(kind=kind, at=at(seconds), case_id=case_id, **fields)  # type: ignore[arg-type]


def session_progress(results: Sequence[CaseResult], *, finished: int, running: int = 3) -> list[ProgressEvent]:
    """The progress of a session in which so many cases have ended and some are running."""
    ids = tuple(each.case_id for each in results)
    told = [progress(ProgressKind.SESSION_STARTED, 0, case_ids=ids, engine="attractor 0.1.0")]
    for number, each in enumerate(results[: finished + running]):
        begun = number * 0.7
        told.append(progress(ProgressKind.CASE_STARTED, begun, each.case_id, guardrail=each.guardrail))
        if number < finished:
            told.append(
                progress(
                    ProgressKind.CASE_FINISHED,
                    begun + 2.4,
                    each.case_id,
                    guardrail=each.guardrail,
                    verdict=each.verdict,
                    reason=each.reason.encode("utf-8", "replace").decode(),
                    duration_seconds=2.4,
                )
            )
    return told


def write_sample(directory: Path, results: Sequence[CaseResult]) -> ReportDirectory:
    report = ReportDirectory(directory)
    report.begin()
    for each in results:
        if each.case_dir:
            write_evidence(directory / each.case_dir)
    for event in session_progress(results, finished=len(results), running=0):
        report.append(event)
    return report


def main(directory: Path, copies: int) -> None:
    results = [*sample_results(), hostile_case()]
    for number in range(1, copies):
        results += [case(f"{each.case_id}-{number}", each.verdict) for each in sample_results()]
    write_sample(directory, results)
    written = write_all(results, directory, context(prove=prove_rows()))
    sys.stdout.write("".join(f"{path}\n" for path in written.paths.values()))
    sys.stdout.write("".join(f"{problem}\n" for problem in written.problems))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
