"""Resume, measured: a run is killed near its end, then how long until the resumed run says that it goes on.

Rules: the kill is real (SIGKILL) and shown to have hit a run that was under way; a run that got to its end first
is tried again, and three such are a failure to measure. The time to `run_resumed` is between two readings of the
same clock: ours before the process is made, the engine's in the event.
"""

from __future__ import annotations

import time
from pathlib import Path

from harness.bench.children import Child, MeasureError
from harness.bench.graphs import ENDS, linear_graph, node_name
from harness.bench.outcomes import Metric, Sample
from harness.bench.plan import Job
from harness.bench.running import RunFolder, bound_for, process_sample
from harness.bench.timeline import event_lines, moment
from harness.bench.workbench import Workbench

__all__ = ["kill_at", "measure_resume"]

ATTEMPTS = 3
LOOK_SECONDS = 0.002  # shorter than a node, so that the kill comes at the node it is meant for


def kill_at(nodes: int) -> str:
    """The node whose checkpoint is waited for: ten before the last, as far as there are as many."""
    return node_name(max(1, nodes - min(10, nodes // 2)))


def measure_resume(job: Job, bench: Workbench) -> Sample:
    for _ in range(ATTEMPTS):
        with bench.folder() as folder:
            run = RunFolder(folder, bench, graph=linear_graph(job.size), commits=job.size + ENDS)
            if _kill_under_way(run, job.size):
                return _resume(run, folder, job.size, bench)
    raise MeasureError(f"attractor run: ended before it could be killed, {ATTEMPTS} times")


def _kill_under_way(run: RunFolder, nodes: int) -> bool:
    """False when the run was over before the signal came."""
    with run.start() as child:
        _wait_for_checkpoint(run.progress, kill_at(nodes), child, bound_for(nodes))
        child.kill()
        child.wait(bound_for(nodes))
    with run.progress.open("rb") as file:
        return not event_lines(file, "run_completed")


def _wait_for_checkpoint(progress: Path, node: str, child: Child, bound_seconds: float) -> None:
    """Reads on from where it stopped, or the looking would slow what it looks at."""
    needle = f'"event":"checkpoint_saved","node_id":"{node}"'.encode()
    deadline = time.monotonic() + bound_seconds
    tail, position = b"", 0
    while needle not in tail:
        if time.monotonic() > deadline:
            raise MeasureError(f"attractor run: no checkpoint of {node} after {bound_seconds:.0f} s")
        if child.has_ended():
            child.wait(bound_seconds).must_be(0)
            return
        time.sleep(LOOK_SECONDS)
        if progress.exists():
            with progress.open("rb") as file:
                file.seek(position)
                data = file.read()
            position += len(data)
            tail = tail[-len(needle) :] + data


def _resume(run: RunFolder, folder: Path, nodes: int, bench: Workbench) -> Sample:
    with bench.start_engine(folder, "resume", "--logs-root", str(run.logs_root), "--quiet") as child:
        done = child.wait(bound_for(nodes)).must_be(0)
    with run.progress.open("rb") as file:
        resumed = event_lines(file, "run_resumed")
    if len(resumed) != 1:
        raise MeasureError(f"attractor resume: expected one run_resumed event, found {len(resumed)}")
    run.check_commits()
    return {Metric.TO_RESUMED: moment(resumed[0]) - child.started_at, **process_sample(done)}
