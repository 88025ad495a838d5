"""Appends to a CXDB over one connection, by the client's clock.

It is the engine's own connection that is measured, and the harness must not import the engine: so the script is a
text here and runs in a process of its own. Four turns are sent at a time, as the engine does after a node; the time
ends when the last is acknowledged, and the server's own count says that all of them are there.
"""

from __future__ import annotations

import sys

from harness.bench.outcomes import Metric, Sample
from harness.bench.plan import Job
from harness.bench.running import bound_for, process_sample, told_by
from harness.bench.workbench import Workbench

__all__ = ["measure_append"]

# python -c SCRIPT ADDRESS TURNS. The payload is MessagePack: {1: 180 characters, 2: 7}.
SCRIPT = r"""
import json
import sys
import time

from attractor.cxdb import CxdbConnection

address, turns = sys.argv[1], int(sys.argv[2])
payload = b"\x82\x01\xd9\xb4" + b"x" * 180 + b"\x02\x07"
connection = CxdbConnection(address, client_tag="attractor-bench")
context = connection.create_context().context_id
began = time.perf_counter()
for number in range(1, turns + 1):
    connection.append(context, b"attractor.bench.Turn", 1, payload)
    if number % 4 == 0:
        connection.push()
connection.barrier(60)
seconds = time.perf_counter() - began
depth = connection.head(context).depth
connection.close()
assert depth + 1 >= turns, (depth, turns)
print(json.dumps({"seconds": seconds, "steps": turns}))
"""


def measure_append(job: Job, bench: Workbench) -> Sample:
    argv = [sys.executable, "-P", "-c", SCRIPT, bench.cxdb()["binary_addr"], str(job.size)]
    environment = {**bench.environment, **bench.engine.environment}
    with bench.folder() as folder:
        done = bench.finish(
            "appends to CXDB", argv, folder, bound_seconds=bound_for(job.size), environment=environment
        ).must_be(0)
    return {Metric.RATE: job.size / told_by(done)["seconds"], **process_sample(done)}
