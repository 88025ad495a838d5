"""How each kind of job is measured once: a table from kind to function, each giving one sample.

Rules: a sample is only given when what it is about has really happened, by evidence from outside the engine's own
words where there is some (commits by git, steps by the peer's database); otherwise MeasureError. Every wait has a
bound. Knows nothing of rows, targets or repetition.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.bench.appending import measure_append, measure_server
from harness.bench.children import Finished, MeasureError
from harness.bench.graphs import ENDS, FAN_OUT_ENDS, fan_out_graph, linear_graph
from harness.bench.outcomes import Metric, Sample
from harness.bench.plan import PEERS, Job, Kind
from harness.bench.resuming import measure_resume
from harness.bench.running import RunFolder, bound_for, process_sample, told_by
from harness.bench.timeline import TimelineError, check_branches, run_seconds
from harness.bench.workbench import PEER_SCRIPTS, CxdbAddress, Workbench
from harness.link import LinkSpec, Way

__all__ = ["MEASURES", "missing_for"]

MAX_PARALLEL = 8
START_BOUND_SECONDS = 60.0
MATRIX_BOUND_SECONDS = 900.0
_NOT_INSTALLED = 7

# Exits 0 if all the named distributions are there, without importing them.
_PROBE = f"""\
import importlib.metadata as metadata, sys
try:
    print(", ".join(f"{{name}} {{metadata.version(name)}}" for name in sys.argv[1:]))
except metadata.PackageNotFoundError:
    sys.exit({_NOT_INSTALLED})
"""


def missing_for(job: Job, bench: Workbench) -> str:
    """Why a job cannot be measured here at all, '' if it can."""
    needs = PEERS[job.peer].needs if job.peer else ()
    if not needs:
        return ""
    with bench.folder() as folder:
        argv = [bench.peers_python, "-P", "-c", _PROBE, *needs]
        done = bench.finish("peers' python", argv, folder, bound_seconds=START_BOUND_SECONDS)
    if done.exit_code == _NOT_INSTALLED:
        return "not installed (pip install 'attractor[bench]')"
    done.must_be(0)
    return ""


def _measure_run(job: Job, bench: Workbench) -> Sample:
    saved = job.size + ENDS
    return _measure_graph(job, bench, linear_graph(job.size, job.command), saved=saved, commits=saved)


def _measure_fan_out(job: Job, bench: Workbench) -> Sample:
    graph = fan_out_graph(job.size, job.command, max_parallel=min(job.size, MAX_PARALLEL))
    commits = job.size + FAN_OUT_ENDS + 1
    return _measure_graph(job, bench, graph, saved=FAN_OUT_ENDS, commits=commits, branches=job.size)


def _measure_late(job: Job, bench: Workbench) -> Sample:
    """Through a link also without latency, so that what is compared is the latency and not the link."""
    from harness.link.proxy import LinkProxy  # costs time, and most jobs need none

    saved = job.size + ENDS
    graph = linear_graph(job.size, job.command)
    spec = LinkSpec(latency_seconds=job.latency_ms / 1000)
    with LinkProxy(**bench.cxdb(), spec=spec) as link:
        sample = _measure_graph(job, bench, graph, saved=saved, commits=saved, cxdb=link.addresses)
        counts = link.counts()
    if counts.frames[Way.REPLY] <= job.size or (job.latency_ms > 0) is not (counts.delayed > 0):
        raise MeasureError(f"attractor run: its link to CXDB has seen something else: {counts}")
    return sample


def _measure_graph(
    job: Job,
    bench: Workbench,
    graph: str,
    *,
    saved: int,
    commits: int,
    branches: int = 0,
    cxdb: CxdbAddress | None = None,
) -> Sample:
    """`saved` nodes by the run itself, `commits` by it and its branches."""
    with bench.folder() as folder:
        run = RunFolder(folder, bench, graph=graph, commits=commits, flags=job.flags, cxdb=cxdb)
        with run.start() as child:
            done = child.wait(bound_for(job.size)).must_be(0)
        try:
            with run.progress.open("rb") as lines:
                seconds = run_seconds(lines, nodes_saved=saved)
            if branches:
                with run.progress.open("rb") as lines:
                    check_branches(lines, branches=branches)
        except (OSError, TimelineError) as error:
            raise MeasureError(f"attractor run: {error}") from error
        run.check_commits()
    return {Metric.MS_A_NODE: seconds * 1000 / job.size, Metric.RUN: seconds, **process_sample(done)}


def _measure_peer(job: Job, bench: Workbench) -> Sample:
    peer = PEERS[job.peer]
    python = bench.peers_python if peer.needs else sys.executable
    with bench.folder() as folder:
        argv = [python, "-P", str(PEER_SCRIPTS / peer.script), str(job.size), str(folder), *peer.arguments]
        done = bench.finish(peer.label, argv, folder, bound_seconds=bound_for(job.size)).must_be(0)
    told = told_by(done)
    return {Metric.MS_A_NODE: told["seconds"] * 1000 / job.size, **process_sample(done)}


def _measure_version(job: Job, bench: Workbench) -> Sample:
    script = bench.console_script("attractor")
    environment = bench.environment if script else {**bench.environment, **bench.engine.environment}
    done = _measure_start([*(script or bench.engine.command), "--version"], environment, bench)
    if not any(character.isdigit() for character in done.stdout):
        raise MeasureError(f"attractor --version: printed no version: {done.stdout!r}")
    return process_sample(done)


def _measure_interpreter(job: Job, bench: Workbench) -> Sample:
    return process_sample(_measure_start([sys.executable, "-c", "pass"], bench.environment, bench))


def _measure_start(argv: list[str], environment: Mapping[str, str], bench: Workbench) -> Finished:
    name = f"{Path(argv[0]).name} {argv[1]}"
    with bench.folder() as folder:
        return bench.finish(
            name, argv, folder, bound_seconds=START_BOUND_SECONDS, environment=environment, bare=True
        ).must_be(0)


def _measure_validate(job: Job, bench: Workbench) -> Sample:
    with bench.folder() as folder:
        graph = folder / "graph.dot"
        graph.write_text(linear_graph(job.size), encoding="utf-8")
        with bench.start_engine(folder, "validate", str(graph)) as child:
            return process_sample(child.wait(START_BOUND_SECONDS + bound_for(job.size)).must_be(0))


def _measure_matrix(job: Job, bench: Workbench) -> Sample:
    """Red cases are for the matrix to tell; here it counts that it came to its end."""
    with bench.folder() as folder:
        argv = [sys.executable, "-P", "-m", "harness", "matrix", "--plain", "--report-dir", str(folder / "reports")]
        scenarios = _scenarios()
        if scenarios is not None:
            argv += ["--scenarios", str(scenarios)]
        done = bench.finish(
            "matrix", argv, folder, bound_seconds=MATRIX_BOUND_SECONDS, environment=bench.harness_environment()
        ).must_be(0, 1, 3)
    return {Metric.EXIT: float(done.exit_code), **process_sample(done)}


def _scenarios() -> Path | None:
    """Those of the current directory, since the matrix is started from another one; else it finds its own."""
    here = Path("scenarios").absolute()
    return here if here.is_dir() else None


MEASURES: dict[Kind, Callable[[Job, Workbench], Sample]] = {
    Kind.RUN: _measure_run,
    Kind.FAN_OUT: _measure_fan_out,
    Kind.CHAIN: _measure_run,
    Kind.LATE: _measure_late,
    Kind.PEER: _measure_peer,
    Kind.RESUME: measure_resume,
    Kind.VERSION: _measure_version,
    Kind.INTERPRETER: _measure_interpreter,
    Kind.VALIDATE: _measure_validate,
    Kind.APPEND: measure_append,
    Kind.SERVER: measure_server,
    Kind.MATRIX: _measure_matrix,
}
