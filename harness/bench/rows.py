"""From samples to the rows of the table: which figure, which unit, which target, which remark.

Rules: pure; rows follow the plan, and a job that could not be measured still has its row, with the reason. Ratios
between contenders are taken round by round. Knows nothing of processes, files or how a row is printed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from harness.bench.figures import Figure, Verdict, is_noisy, judge, paired_ratio, summarise
from harness.bench.outcomes import NOTHING, Metric, Outcome
from harness.bench.plan import FLAT_FROM, IN_A_ROW, PEERS, SLEEP, TARGETS, Group, Job, Kind

__all__ = ["SECTIONS", "Row", "build_rows"]

SECTIONS = ("nodes", "memory", "steps", "branches", "latency", "resume", "start", "validate", "append", "matrix")

_OURS = (
    ("steps/attractor", "with all"),
    ("steps/attractor-no-cxdb", "no CXDB"),
    ("steps/attractor-no-git-no-cxdb", "no git, no CXDB"),
)
_FLAG_LABELS = {
    (): "attractor: commit, checkpoint, CXDB",
    ("--no-cxdb",): "attractor: commit, checkpoint",
    ("--no-git", "--no-cxdb"): "attractor: checkpoint",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of the table, its remarks on lines of their own. `section` is one of SECTIONS."""

    row_id: str
    section: str
    label: str
    unit: str
    figure: Figure | None
    target: float | None
    verdict: Verdict
    notes: tuple[str, ...] = ()
    size: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class _Measured:
    """All jobs and their outcomes: a row may compare its own with another's."""

    jobs: Mapping[str, Job]
    outcomes: Mapping[str, Outcome]

    def values(self, job_id: str, metric: str) -> list[float]:
        return self.outcomes.get(job_id, NOTHING).values(metric)

    def sizes(self, kind: Kind, part: str) -> list[int]:
        return [job.size for job in self.jobs.values() if job.kind is kind and job.job_id.startswith(part)]


def build_rows(groups: Sequence[Group], outcomes: Mapping[str, Outcome]) -> list[Row]:
    jobs = {job.job_id: job for group in groups for job in group.jobs}
    measured = _Measured(jobs, outcomes)
    rows = [
        row for job in jobs.values() for row in _ROWS_OF[job.kind](job, outcomes.get(job.job_id, NOTHING), measured)
    ]
    return sorted(rows, key=lambda row: SECTIONS.index(row.section))


def _row(
    row_id: str,
    section: str,
    label: str,
    unit: str,
    values: Sequence[float],
    source: Outcome,
    *notes: str,
    size: int = 0,
) -> Row:
    return _row_of(row_id, section, label, unit, summarise(values), source, *notes, size=size)


def _row_of(
    row_id: str, section: str, label: str, unit: str, figure: Figure | None, source: Outcome, *notes: str, size: int = 0
) -> Row:
    target = TARGETS.get(row_id)
    verdict = Verdict.ABSENT if source.absent else Verdict.OPEN if source.problem else judge(figure, target)
    remarks = [text for text in (source.absent, source.problem, *notes) if text]
    if figure and target and figure.lowest <= target < figure.highest and is_noisy(figure):
        remarks.append("the target lies inside the spread: measure again on a quiet machine")
    return Row(row_id, section, label, unit, figure, target, verdict, tuple(remarks), size)


# What each kind of job has to show


def _run_rows(job: Job, outcome: Outcome, measured: _Measured) -> Iterator[Row]:
    section = job.job_id.partition("/")[0]
    label = _FLAG_LABELS[job.flags] if section == "steps" else f"{job.size:,} nodes"
    values = outcome.values(Metric.MS_A_NODE)
    yield _row(job.job_id, section, label, "ms", values, outcome, _process_note(outcome), size=job.size)
    if section == "nodes":
        if job.size > FLAT_FROM:
            against = measured.values(f"nodes/{FLAT_FROM}", Metric.MS_A_NODE)
            ratio = paired_ratio(values, against)
            if ratio is not None:
                label = f"  {job.size:,} against {FLAT_FROM} nodes"
                yield _row_of(f"growth/{job.job_id}", section, label, "x", ratio, outcome)
        if job.size == max(measured.sizes(Kind.RUN, "nodes/")):
            label = f"a run of {job.size:,} nodes"
            yield _row(f"memory/{job.size}", "memory", label, "MB", outcome.values(Metric.PEAK), outcome)


def _process_note(outcome: Outcome) -> str:
    wall, cpu, peak = (summarise(outcome.values(key)) for key in (Metric.WALL, Metric.CPU, Metric.PEAK))
    if wall is None or cpu is None or peak is None:
        return ""
    return f"whole process {wall.median:.2f} s, CPU with its tools {cpu.median:.2f} s, peak {peak.median:.0f} MB"


def _peer_rows(job: Job, outcome: Outcome, measured: _Measured) -> Iterator[Row]:
    values = outcome.values(Metric.MS_A_NODE)
    ratios = []
    for ours, name in _OURS:
        ratio = paired_ratio(measured.values(ours, Metric.MS_A_NODE), values)
        if ratio is not None:
            ratios.append(f"{ratio.median:.2f} {name}")
    note = f"attractor / this: {'; '.join(ratios)}" if ratios else ""
    yield _row(job.job_id, "steps", PEERS[job.peer].label, "ms", values, outcome, note, size=job.size)


def _fan_out_rows(job: Job, outcome: Outcome, measured: _Measured) -> Iterator[Row]:
    """Of branches that wait the run's whole time, of others what each costs."""
    unit, metric, each = _in_what(job)
    label = f"{job.size} branches of `{job.command}`{each}"
    note = _process_note(outcome)
    yield _row(job.job_id, "branches", label, unit, outcome.values(metric), outcome, note, size=job.size)


def _chain_rows(job: Job, outcome: Outcome, measured: _Measured) -> Iterator[Row]:
    unit, metric, each = _in_what(job)
    label = f"  {job.size} of them in a row{each}"
    yield _row(job.job_id, "branches", label, unit, outcome.values(metric), outcome, size=job.size)
    branches = job.job_id.removesuffix(IN_A_ROW)
    ratio = paired_ratio(measured.values(branches, Metric.RUN), outcome.values(Metric.RUN))
    if ratio is not None:
        label = f"  {job.size} branches against {job.size} in a row"
        yield _row_of(f"ratio/{branches}", "branches", label, "x", ratio, outcome)


def _in_what(job: Job) -> tuple[str, str, str]:
    return ("s", Metric.RUN, "") if job.command == SLEEP else ("ms", Metric.MS_A_NODE, ", each")


def _late_rows(job: Job, outcome: Outcome, measured: _Measured) -> Iterator[Row]:
    values = outcome.values(Metric.MS_A_NODE)
    label = f"replies {job.latency_ms} ms late" if job.latency_ms else "replies as they come"
    yield _row(job.job_id, "latency", label, "ms", values, outcome, size=job.size)
    ratio = paired_ratio(values, measured.values("latency/0", Metric.MS_A_NODE)) if job.latency_ms else None
    if ratio is not None:
        label = f"  {job.latency_ms} ms late against not late"
        yield _row_of(f"growth/{job.job_id}", "latency", label, "x", ratio, outcome)


def _resume_rows(job: Job, outcome: Outcome, measured: _Measured) -> Iterator[Row]:
    for name, metric, label in (
        ("to-resumed", Metric.TO_RESUMED, f"{job.size:,} nodes, until run_resumed"),
        ("whole", Metric.WALL, f"{job.size:,} nodes, to the end of the run"),
    ):
        yield _row(f"{job.job_id}/{name}", "resume", label, "s", outcome.values(metric), outcome)


def _version_rows(job: Job, outcome: Outcome, measured: _Measured) -> Iterator[Row]:
    """Ratio of medians, as the target is worded; its spread is that of the pairs."""
    ours, bare = outcome.values(Metric.WALL), measured.values("start/python", Metric.WALL)
    pairs, mine, theirs = paired_ratio(ours, bare), summarise(ours), summarise(bare)
    figure = None
    if pairs is not None and mine is not None and theirs is not None:
        figure = dataclasses.replace(pairs, median=mine.median / theirs.median)
    yield _row("start/attractor", "start", "attractor --version", "s", ours, outcome)
    yield _row_of("start/version", "start", "attractor --version / python -c pass", "x", figure, outcome)


def _interpreter_rows(job: Job, outcome: Outcome, measured: _Measured) -> Iterator[Row]:
    yield _row("start/python", "start", "python -c pass", "s", outcome.values(Metric.WALL), outcome)


def _validate_rows(job: Job, outcome: Outcome, measured: _Measured) -> Iterator[Row]:
    values = outcome.values(Metric.WALL)
    yield _row(job.job_id, "validate", f"{job.size:,} nodes", "s", values, outcome, size=job.size)
    half = job.size // 2
    ratio = paired_ratio(values, measured.values(f"validate/{half}", Metric.WALL))
    if ratio is not None:
        label = f"  {job.size:,} against {half:,} nodes"
        yield _row_of(f"growth/{job.job_id}", "validate", label, "x", ratio, outcome)


def _append_rows(job: Job, outcome: Outcome, measured: _Measured) -> Iterator[Row]:
    yield _row(job.job_id, "append", f"{job.size:,} turns", "/s", outcome.values(Metric.RATE), outcome)


def _server_rows(job: Job, outcome: Outcome, measured: _Measured) -> Iterator[Row]:
    label = f"{job.size:,} turns made beforehand"
    yield _row(job.job_id, "append", label, "/s", outcome.values(Metric.RATE), outcome)


def _matrix_rows(job: Job, outcome: Outcome, measured: _Measured) -> Iterator[Row]:
    codes = sorted({int(code) for code in outcome.values(Metric.EXIT)} - {0})
    note = f"not all green: exit {', '.join(map(str, codes))}" if codes else ""
    yield _row(job.job_id, "matrix", "all cases", "s", outcome.values(Metric.WALL), outcome, note)


_ROWS_OF: dict[Kind, Callable[[Job, Outcome, _Measured], Iterator[Row]]] = {
    Kind.RUN: _run_rows,
    Kind.FAN_OUT: _fan_out_rows,
    Kind.CHAIN: _chain_rows,
    Kind.LATE: _late_rows,
    Kind.PEER: _peer_rows,
    Kind.RESUME: _resume_rows,
    Kind.VERSION: _version_rows,
    Kind.INTERPRETER: _interpreter_rows,
    Kind.VALIDATE: _validate_rows,
    Kind.APPEND: _append_rows,
    Kind.SERVER: _server_rows,
    Kind.MATRIX: _matrix_rows,
}
